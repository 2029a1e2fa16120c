//! What a node does beside: it rings at the others, moves what was published by SQL, and deletes what is old.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_postgres::types::Type;

use crate::fault::Fault;
use crate::link::Purpose;
use crate::outbox::{self, Moved};
use crate::row::read;
use crate::store::Store;

/// The least time between the beginnings of two rings. With 5 ms after each one's end, other nodes had updates at 200 a
/// second after 7 times the time of a bare insert instead of 3.
const RING: Duration = Duration::from_millis(2);
/// How often to look into the outbox while there is much in it.
const BUSY: Duration = Duration::from_millis(5);
/// How often to look if there was nothing.
const IDLE: Duration = Duration::from_millis(20);
/// How often to look whether anything is to be deleted.
const RETENTION: Duration = Duration::from_secs(1);
/// After a failure.
const FAILED: Duration = Duration::from_millis(500);
/// The number of the newest subscription events that are kept.
const MOST_EVENTS: i64 = 50_000;
/// How many records are deleted at a time.
const SLICE: i32 = 2_000;
/// How many deleted records are worth a vacuum; and which part of the table, if that is more, because each vacuum reads
/// all of its indexes.
const VACUUM: u64 = 50_000;
const VACUUM_PART: u64 = 5;
/// How long a vacuum may take.
const VACUUM_TIME: Duration = Duration::from_secs(3_600);
/// At its full speed publishers would wait for the disk behind it: so it goes at that of the server's own.
const VACUUM_GENTLY: &str = "SET vacuum_cost_delay = '2ms'";

/// How long something fails before that is logged, and how often then.
const PATIENCE: Duration = Duration::from_secs(5);
const TOLD: Duration = Duration::from_secs(60);

/// Logs what goes on failing.
struct Complaint {
    what: &'static str,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Complaint {
    fn of(what: &'static str) -> Self {
        Self {
            what,
            since: None,
            told: None,
        }
    }

    fn works(&mut self) {
        self.since = None;
    }

    fn fails(&mut self, error: &impl Display) {
        let lasts = self.since.get_or_insert_with(Instant::now).elapsed();
        let is_told = self.told.is_some_and(|told| told.elapsed() < TOLD);
        if lasts < PATIENCE || is_told {
            return;
        }
        self.told = Some(Instant::now());
        tracing::warn!(
            name: "log_chore_failing",
            chore = self.what,
            %error,
            "what is done beside the log goes on failing; it is tried again"
        );
    }
}

/// Does all of it until it is aborted.
pub(crate) async fn run(store: &Store) {
    tokio::join!(ring(store), empty_outbox(store), retain(store));
}

async fn ring(store: &Store) {
    loop {
        store.rings.notified().await;
        let next = Instant::now() + RING;
        // Those who are not rung at look by themselves.
        _ = store.ask(Purpose::Chores, "ring()", &[]).await;
        sleep_until(next).await;
    }
}

async fn empty_outbox(store: &Store) {
    let mut complaint = Complaint::of("outbox");
    loop {
        let begun = Instant::now();
        let moved = outbox::move_some(store).await;
        let pause = match moved {
            Ok(Moved { all: false, .. }) => Duration::ZERO,
            // A look that takes long, behind a transaction that stays open, must not fill the server's time.
            Ok(Moved { count: 0, .. }) => IDLE.max(begun.elapsed() * 2),
            Ok(Moved { .. }) => BUSY,
            Err(ref error) => {
                complaint.fails(error);
                FAILED
            }
        };
        if moved.is_ok() {
            complaint.works();
        }
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            sleep(pause).await;
        }
    }
}

async fn retain(store: &Store) {
    let mut garbage = Garbage::default();
    let mut complaint = Complaint::of("retention");
    loop {
        let begun = Instant::now();
        let slice = match retain_slice(store).await {
            Ok(slice) => {
                complaint.works();
                slice
            }
            Err(fault) => {
                complaint.fails(&fault.later());
                0
            }
        };
        // Publishers have half of the time to themselves.
        let pause = match i64::from(slice) < i64::from(SLICE) {
            true => RETENTION,
            false => begun.elapsed(),
        };
        garbage.records += u64::from(slice);
        if let Err(error) = garbage.collect(store).await {
            tracing::debug!(?error, "the log cannot be vacuumed");
        }
        sleep(pause).await;
    }
}

async fn retain_slice(store: &Store) -> Result<u32, Fault> {
    let size = i64::try_from(store.options.size).unwrap_or(i64::MAX);
    let age = store.options.max_age.unwrap_or_default().as_millis();
    let age = i64::try_from(age).unwrap_or(i64::MAX).min(1 << 45);
    let parameters = [
        (&store.tag() as _, Type::INT8),
        (&size as _, Type::INT8),
        (&age as _, Type::INT8),
        (&MOST_EVENTS as _, Type::INT8),
        (&SLICE as _, Type::INT4),
    ];
    let rows = store
        .ask(Purpose::Chores, "retain($1, $2, $3, $4, $5)", &parameters)
        .await?;
    let row = rows.first().ok_or(Fault::Unexpected("a row"))?;
    let removed: i32 = read(row, 0)?;
    Ok(u32::try_from(removed).unwrap_or(0))
}

/// Deleted records whose room the table has not got back.
#[derive(Default)]
struct Garbage {
    records: u64,
    /// How many were not worth a vacuum at the last look.
    too_few: u64,
}

impl Garbage {
    /// Gives their room back to the log, if that is worth it and the role owns it: the server does so by itself too, but
    /// not soon enough where much is deleted. What is free at the end of the file goes back to the system.
    async fn collect(&mut self, store: &Store) -> Result<(), Fault> {
        if self.records < VACUUM.max(self.too_few) {
            return Ok(());
        }
        let worth = worth(store).await;
        if let Ok(Some(worth)) = worth
            && self.records < worth
        {
            self.too_few = worth;
            return Ok(());
        }
        *self = Self::default();
        if worth?.is_none() {
            return Ok(());
        }
        let (held, _) = store.link.own().await?;
        // What a pooler lends has other users after us.
        if !store.is_pooled(&held) {
            held.connection.ask(VACUUM_GENTLY, &[]).await?;
        }
        let vacuum = format!("VACUUM (SKIP_LOCKED) {}", store.table("log"));
        held.connection.ask_for(VACUUM_TIME, &vacuum, &[]).await?;
        Ok(())
    }
}

/// How many deleted records are worth a vacuum; none if the role does not own the table.
async fn worth(store: &Store) -> Result<Option<u64>, Fault> {
    let statement = "SELECT pg_has_role(relowner, 'USAGE'), reltuples::bigint FROM pg_class \
        WHERE oid = $1::text::regclass";
    let held = store.link.shared(Purpose::Chores).await?;
    let log = store.table("log");
    let parameters = [(&log as _, Type::TEXT)];
    let answer = held.connection.ask(statement, &parameters).await;
    let rows = store.link.judge(&held, answer)?;
    let row = rows.first().ok_or(Fault::Unexpected("a row"))?;
    let (is_owner, rows): (bool, i64) = (read(row, 0)?, read(row, 1)?);
    let part = u64::try_from(rows).unwrap_or(0) / VACUUM_PART;
    Ok(is_owner.then_some(part.max(VACUUM)))
}
