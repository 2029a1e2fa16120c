//! A node without an engine, and what the tests publish.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use talaria_conformance::{PATIENCE, within, within_time};
use talaria_postgres::{Encryption, Host, Mode, Postgres, PostgresOptions};
use talaria_protocol::Update;
use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{
    BackendError, Batch, Condition, Entry, Member, Outcome, Record,
};

use crate::session::SUPERUSER;
use crate::site::Site;

/// What an election of a new primary may take.
pub(crate) const ELECTION: Duration = Duration::from_secs(30);

/// The options for the server at an address.
pub(crate) fn at(address: SocketAddr) -> PostgresOptions {
    at_each(&[address])
}

/// The options for servers of which one is the primary.
pub(crate) fn at_each(addresses: &[SocketAddr]) -> PostgresOptions {
    let servers = addresses.iter().map(|address| talaria_postgres::Server {
        host: Host::Name(address.ip().to_string()),
        address: None,
        port: address.port(),
        password: None,
    });
    let mut options = PostgresOptions::new(servers.collect(), SUPERUSER, SUPERUSER);
    options.encryption = Encryption {
        mode: Mode::Disable,
        ..Encryption::default()
    };
    options
}

/// The options for a server.
pub(crate) fn on(site: &Site) -> PostgresOptions {
    at(site.address())
}

/// A member of a log, which counts its batches.
pub(crate) struct Node {
    pub(crate) backend: Postgres,
    pub(crate) member: Member,
    pub(crate) number: u64,
    /// Up to where it has read.
    pub(crate) read: Position,
}

impl Node {
    /// Enters, and reads from what is there.
    pub(crate) async fn enter(options: PostgresOptions, member: u128) -> Self {
        let backend = Postgres::new(options).expect("the options can be used");
        let member = Member(member);
        // A replica that has just begun to follow does not confirm yet.
        let attached = until(
            "replicas confirm",
            || backend.attach(member, Position::ORIGIN),
            |attached| *attached != Err(BackendError::NotDurable),
        );
        let attached = attached.await.expect("it enters");
        Self {
            backend,
            member,
            number: 0,
            read: attached.bounds.head,
        }
    }

    /// The next batch.
    pub(crate) fn batch(&mut self, entries: Vec<Entry>) -> Batch {
        self.number += 1;
        Batch {
            after: Position::ORIGIN,
            member: self.member,
            number: self.number,
            entries,
        }
    }

    /// The next batch, which does not count: the server refuses it.
    pub(crate) fn refused_batch(&self, entries: Vec<Entry>) -> Batch {
        Batch {
            after: Position::ORIGIN,
            member: self.member,
            number: self.number + 1,
            entries,
        }
    }

    pub(crate) async fn try_append(
        &mut self,
        entries: Vec<Entry>,
    ) -> Result<Vec<Outcome>, BackendError> {
        let batch = self.batch(entries);
        self.backend.append(&batch).await
    }

    pub(crate) async fn append(&mut self, entries: Vec<Entry>) -> Vec<Outcome> {
        self.try_append(entries)
            .await
            .expect("the batch is appended")
    }

    /// Appends updates with these contents, and returns their positions.
    pub(crate) async fn publish<T: ToString>(&mut self, all: &[T]) -> Vec<Position> {
        let entries = all
            .iter()
            .map(|data| always(update(&data.to_string())))
            .collect();
        self.append(entries)
            .await
            .into_iter()
            .map(position)
            .collect()
    }

    /// Reads on by the tail until there are `count` records.
    pub(crate) async fn tail(&mut self, count: usize) -> Vec<Record> {
        let mut all = Vec::new();
        within("the records arrive", async {
            while all.len() < count {
                let records = self.backend.tail(self.read).await.expect("the log is read");
                self.read = records.last().map_or(self.read, |record| record.position);
                all.extend(records);
            }
        })
        .await;
        all
    }

    /// Waits until the floor is here.
    pub(crate) async fn floor_is(&self, floor: Position) {
        let beat = until(
            "what is old is deleted",
            || self.backend.beat(self.member),
            |beat| beat.as_ref().is_ok_and(|beat| beat.bounds.floor >= floor),
        );
        assert_eq!(beat.await.expect("a beat").bounds.floor, floor);
    }

    /// The contents of all records that are kept.
    pub(crate) async fn kept(&self) -> Vec<String> {
        let all = self
            .backend
            .page(Position::ORIGIN, LAST, usize::MAX, usize::MAX)
            .await;
        contents(&all.expect("the log is read").records)
    }

    /// Appends one update until the log takes it; returns its position. What was not answered is settled.
    pub(crate) async fn publish_at_last(&mut self, data: &str) -> Position {
        let mut batch = self.batch(vec![always(update(data))]);
        within_time(ELECTION, "an update is stored again", async {
            loop {
                match self.backend.append(&batch).await {
                    Ok(outcomes) => return position(outcomes[0]),
                    Err(BackendError::OutOfOrder) => {
                        _ = self.backend.settle(self.member, batch.number).await;
                        batch.number += 1;
                        self.number = batch.number;
                    }
                    Err(BackendError::NoMember) => {
                        self.member = Member(self.member.0 + 1);
                        (batch.member, batch.number, self.number) = (self.member, 1, 1);
                        _ = self.backend.attach(self.member, self.read).await;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        })
        .await
    }
}

/// After all positions.
pub(crate) const LAST: Position = Position(i64::MAX as u64);

pub(crate) fn update(data: &str) -> Update {
    Update {
        topics: vec!["https://example.com/books/1".to_owned()],
        data: data.to_owned(),
        ..Update::default()
    }
}

/// A subscription event.
pub(crate) fn event(topic: &str, data: &str) -> Update {
    Update {
        topics: vec![topic.to_owned()],
        data: data.to_owned(),
        event_type: Some("mercure".to_owned()),
        private: true,
        by_hub: true,
        ..Update::default()
    }
}

pub(crate) fn always(update: Update) -> Entry {
    with(Condition::Always, update)
}

pub(crate) fn with(condition: Condition, update: Update) -> Entry {
    Entry { update, condition }
}

pub(crate) fn position(outcome: Outcome) -> Position {
    match outcome {
        Outcome::Stored(position) => position,
        other => panic!("{other:?} instead of a position"),
    }
}

pub(crate) fn contents(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| record.update.data.clone())
        .collect()
}

pub(crate) fn run(position: Position) -> u64 {
    position.0 >> 32
}

pub(crate) fn number(position: Position) -> u64 {
    position.0 & 0xFFFF_FFFF
}

/// Asks until the answer is as wanted.
pub(crate) async fn until<T, F: Future<Output = T>>(
    what: &str,
    mut ask: impl FnMut() -> F,
    mut is_so: impl FnMut(&T) -> bool,
) -> T {
    within_time(PATIENCE * 3, what, async {
        loop {
            let answer = ask().await;
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Makes each of these functions of a [`Kind`](crate::site::Kind) a test of that kind. All are tests of `Direct`, and
/// the other kinds have those in which they may differ.
macro_rules! tests_on {
    (Direct: $($name:ident),+ $(,)?) => { tests_on!(direct, Direct: $($name),+); };
    (Pooled: $($name:ident),+ $(,)?) => { tests_on!(pooled, Pooled: $($name),+); };
    (Newest: $($name:ident),+ $(,)?) => { tests_on!(newest, Newest: $($name),+); };
    ($module:ident, $kind:ident: $($name:ident),+) => {
        mod $module { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::site::Kind::$kind).await; })+ }
    };
}
pub(crate) use tests_on;
