//! A server, and the way to it.

use std::net::SocketAddr;

use talaria_conformance::servers::{PgBouncer, Postgres, Postgresql};
use talaria_conformance::{PATIENCE, within_time};

use crate::session::{SUPERUSER, Session};

/// The connections of the pooler to the server.
const POOL: u16 = 10;
/// The roles that the pooler lets in.
const ROLES: [&str; 2] = [SUPERUSER, "hub"];

/// Which server keeps the log, and how it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The oldest supported version.
    Direct,
    /// The oldest supported version, behind PgBouncer.
    Pooled,
    /// The newest version.
    Newest,
}

/// A server, and perhaps a pooler in front of it.
pub(crate) struct Site {
    server: Postgres,
    pooler: Option<PgBouncer>,
}

impl Site {
    pub(crate) fn start(kind: Kind) -> Self {
        let version = match kind {
            Kind::Direct | Kind::Pooled => Postgresql::V15,
            Kind::Newest => Postgresql::V18,
        };
        Self::of(Postgres::start(version), kind)
    }

    pub(crate) fn of(server: Postgres, kind: Kind) -> Self {
        let pooler = (kind == Kind::Pooled).then(|| PgBouncer::start(&server, &ROLES, POOL));
        Self { server, pooler }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let pooled = self.pooler.as_ref().map(PgBouncer::address);
        pooled.unwrap_or_else(|| self.server.address())
    }

    /// A connection to the server, whatever is in front of it.
    pub(crate) async fn session(&self) -> Session {
        Session::open(self.server.address()).await
    }

    /// Changes a setting, and waits until it is in force.
    pub(crate) async fn set_at_last(&self, setting: &str, value: &str) {
        self.server.set(setting, value);
        let show = format!("SHOW {setting}");
        within_time(PATIENCE, setting, async {
            while self.server.ask(&show) != value {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

impl std::ops::Deref for Site {
    type Target = Postgres;

    fn deref(&self) -> &Postgres {
        &self.server
    }
}

impl std::ops::DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Postgres {
        &mut self.server
    }
}
