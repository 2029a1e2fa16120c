//! A node, and what it shows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_conformance::servers::Postgres as Server;
use talaria_conformance::{within, within_time};
use talaria_postgres::{Encryption, Host, Mode, Postgres, PostgresOptions};
use talaria_protocol::Update;
use talaria_transport::shared::{Shared, SharedOptions};
use talaria_transport::{Frame, Ring, Route, Transport};
use tokio::sync::watch;

use crate::session::SUPERUSER;

/// How long the slowest of the tests may take to show all.
const SHOWN: Duration = Duration::from_secs(120);

/// An update that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) position: u64,
}

/// Puts updates where readers look, and remembers them.
struct Shown {
    ring: Arc<Ring>,
    updates: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
}

impl Route for Shown {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.ring.extend(group);
        let seen = group.iter().map(|frame| Seen {
            id: frame.event_id.to_string(),
            position: frame.position.0,
        });
        self.updates.lock().unwrap().extend(seen);
        acknowledge();
        self.count.send_modify(|count| *count += group.len());
    }
}

pub(crate) struct Node {
    pub(crate) log: Shared<Postgres>,
    shown: Arc<Shown>,
}

impl Node {
    pub(crate) async fn open(server: &Server) -> Self {
        let address = server.address();
        let place = talaria_postgres::Server {
            host: Host::Name(address.ip().to_string()),
            address: None,
            port: address.port(),
            password: None,
        };
        let mut options = PostgresOptions::new(vec![place], SUPERUSER, SUPERUSER);
        options.encryption = Encryption {
            mode: Mode::Disable,
            ..Encryption::default()
        };
        let postgres = Arc::new(Postgres::new(options).expect("options"));
        let mut options = SharedOptions::default();
        options.publish_timeout = Duration::from_secs(3);
        let log = within("the log", Shared::open(postgres, options))
            .await
            .expect("a log");
        let shown = Arc::new(Shown {
            ring: Arc::clone(log.ring()),
            updates: Mutex::default(),
            count: watch::channel(0).0,
        });
        log.start(Arc::clone(&shown) as _);
        Self { log, shown }
    }

    /// What it has shown once that is `count` updates.
    pub(crate) async fn has(&self, count: usize) -> Vec<Seen> {
        let mut shown = self.shown.count.subscribe();
        within_time(
            SHOWN,
            "the updates",
            shown.wait_for(|shown| *shown >= count),
        )
        .await
        .unwrap();
        self.shown.updates.lock().unwrap().clone()
    }

    /// What it has shown once a position is among it, or passed.
    pub(crate) async fn has_passed(&self, position: u64) -> Vec<Seen> {
        let mut shown = self.shown.count.subscribe();
        let updates = &self.shown.updates;
        let is_passed = |_: &usize| {
            let updates = updates.lock().unwrap();
            updates.last().is_some_and(|last| last.position >= position)
        };
        within_time(SHOWN, "the updates", shown.wait_for(is_passed))
            .await
            .unwrap();
        self.shown.updates.lock().unwrap().clone()
    }
}

pub(crate) fn update(data: &impl ToString) -> Update {
    Update {
        topics: vec!["https://example.com/t".to_owned()],
        data: data.to_string(),
        ..Update::default()
    }
}
