//! The backend of one node: its connection to the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, sleep, sleep_until};

use super::command::{Answer, Command, Request, subscriptions};
use super::guarded::Guarded;
use super::log::Log;
use super::network::Arrival;
use super::server::State;
use super::world::{Done, World};
use crate::Position;
use crate::shared::backend::{
    Attached, Backend, BackendError, Batch, Beat, Continue, Member, Outcome, Record, Records,
    Settled, Subscriptions,
};
use crate::sync::Mutex;

/// How long a call waits for its answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a read of the tail waits for records, and a write for replicas.
const BLOCKED: Duration = Duration::from_secs(1);
/// How long it takes to learn that a connection is refused or broken.
const NOTICED: Duration = Duration::from_millis(1);

/// The simulated server as one node sees it.
#[derive(Debug)]
pub struct SimulatedNode {
    name: String,
    world: Arc<Guarded>,
    /// The tag of the log that the node has attached to.
    tag: Mutex<Option<u64>>,
}

fn silent() -> BackendError {
    BackendError::Away("the server does not answer".to_owned())
}

fn broken() -> BackendError {
    BackendError::Away("the connection broke".to_owned())
}

impl SimulatedNode {
    pub(super) fn new(name: &str, world: Arc<Guarded>) -> Self {
        Self {
            name: name.to_owned(),
            world,
            tag: Mutex::default(),
        }
    }

    /// The identity of the server that the node talks to; `None` if there is no process.
    fn server(&self) -> Option<u64> {
        self.world.with(|world, _| {
            let server = world.server_of(&self.name);
            (server.state != State::Down).then_some(server.identity)
        })
    }

    async fn connected(&self) -> Result<u64, BackendError> {
        match self.server() {
            Some(server) => Ok(server),
            None => {
                sleep(NOTICED).await;
                Err(broken())
            }
        }
    }

    /// Puts a command on its way; `None` if it will never arrive.
    fn send(&self, to: u64, command: Command) -> Option<oneshot::Receiver<Done>> {
        let is_attach = matches!(command, Command::Attach { .. });
        let tag = if is_attach { None } else { *self.tag.lock() };
        self.world.with(|world, now| {
            let arrives = match world.network.request(&self.name, &mut world.random) {
                Arrival::After(way) => now + way,
                Arrival::TooLate(more) => now + DEADLINE + more,
                Arrival::Never | Arrival::Broken => return None,
            };
            Some(world.send(to, Request { tag, command }, arrives))
        })
    }

    /// Has a command executed.
    async fn write(&self, command: Command, is_durable: bool) -> Result<Answer, BackendError> {
        let deadline = Instant::now() + DEADLINE;
        let server = self.connected().await?;
        let Some(mut answer) = self.send(server, command) else {
            sleep_until(deadline).await;
            return Err(silent());
        };
        let executed = self.world.wait(deadline, |_, _| match answer.try_recv() {
            Ok(done) => Some(Ok(done)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(broken())),
        });
        let mut done = executed.await.ok_or_else(silent)??;
        if is_durable && let Ok((_, written)) = &done {
            let confirmed = self.confirmed(server, *written).await;
            done = confirmed.and(done);
        }
        self.come_back(deadline).await?;
        done.map(|(answer, _)| answer)
    }

    /// Waits until as many replicas as configured have what the server had executed.
    async fn confirmed(&self, server: u64, written: usize) -> Result<(), BackendError> {
        let confirmed = self
            .world
            .wait(Instant::now() + BLOCKED, |world, _| {
                let Some(server) = world.server(server) else {
                    return Some(Err(broken()));
                };
                let is_confirmed = server.state == State::Running
                    && server.confirmed(written) >= world.options.confirmations;
                is_confirmed.then_some(Ok(()))
            })
            .await;
        confirmed.unwrap_or(Err(BackendError::NotDurable))
    }

    /// The way of an answer.
    async fn come_back(&self, deadline: Instant) -> Result<(), BackendError> {
        let arrival = self
            .world
            .with(|world, _| world.network.answer(&self.name, &mut world.random));
        match arrival {
            Arrival::After(Duration::ZERO) => Ok(()),
            Arrival::After(way) if Instant::now() + way <= deadline => {
                sleep(way).await;
                Ok(())
            }
            Arrival::Broken => {
                sleep(NOTICED).await;
                Err(broken())
            }
            _ => {
                sleep_until(deadline).await;
                Err(silent())
            }
        }
    }

    /// Looks at the log until something is found, for `patience` at most. Returns it with the server, and how much
    /// the server had executed.
    async fn look<T>(
        &self,
        patience: Duration,
        mut find: impl FnMut(&Log, usize) -> Option<T>,
    ) -> Result<Option<(T, u64, usize)>, BackendError> {
        let server = self.connected().await?;
        let tag = *self.tag.lock();
        let arrival = self
            .world
            .with(|world, _| world.network.request(&self.name, &mut world.random));
        let Arrival::After(way) = arrival else {
            sleep(DEADLINE).await;
            return Err(silent());
        };
        if !way.is_zero() {
            sleep(way).await;
        }
        let ends = Instant::now() + patience;
        let mut look = |world: &World, now: Instant| {
            let most = world.options.page_records;
            let Some(server) = world.server(server) else {
                return Some(Err(broken()));
            };
            match server.state {
                State::Down => return Some(Err(broken())),
                State::Stopped => return None,
                State::Running => {}
            }
            let found = match server.data.log_of(tag) {
                Ok(log) => find(log, most),
                Err(error) => return Some(Err(error)),
            };
            match found {
                Some(found) => Some(Ok(Some((found, server.identity, server.written())))),
                None => (now >= ends).then_some(Ok(None)),
            }
        };
        let found = match self.world.wait(ends, &mut look).await {
            Some(found) => Some(found),
            // The server is stopped, and answers once it goes on.
            None => self.world.wait(ends + DEADLINE, &mut look).await,
        };
        found.ok_or_else(silent)?
    }

    async fn read<T>(&self, find: impl Fn(&Log, usize) -> T) -> Result<T, BackendError> {
        let deadline = Instant::now() + DEADLINE;
        let found = self
            .look(Duration::ZERO, |log, most| Some(find(log, most)))
            .await?;
        self.come_back(deadline).await?;
        found.map(|(found, _, _)| found).ok_or_else(silent)
    }
}

impl Backend for SimulatedNode {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn attach(&self, member: Member, after: Position) -> Result<Attached, BackendError> {
        let command = self.world.with(|world, _| {
            let key = [world.random.next(), world.random.next()];
            let key = (u128::from(key[0]) << 64 | u128::from(key[1])).to_be_bytes();
            Command::Attach {
                member,
                after,
                key,
                tag: world.random.next() >> 6,
            }
        });
        match self.write(command, true).await? {
            Answer::Attached(attached) => {
                *self.tag.lock() = Some(attached.tag);
                Ok(attached)
            }
            _ => Err(broken()),
        }
    }

    async fn append(&self, batch: &Batch) -> Result<Vec<Outcome>, BackendError> {
        match self.write(Command::Append(batch.clone()), false).await? {
            Answer::Outcomes(outcomes) => Ok(outcomes),
            _ => Err(broken()),
        }
    }

    async fn settle(&self, member: Member, number: u64) -> Result<Settled, BackendError> {
        match self.write(Command::Settle(member, number), true).await? {
            Answer::Settled(settled) => Ok(settled),
            _ => Err(broken()),
        }
    }

    async fn tail(&self, after: Position) -> Result<Vec<Record>, BackendError> {
        let found = self.look(BLOCKED, |log, most| {
            let records = log.after(after).take(most);
            let records: Vec<Record> = records.map(|record| (**record).clone()).collect();
            (!records.is_empty()).then_some(records)
        });
        let found = found.await?;
        if let Some((_, server, written)) = &found {
            self.confirmed(*server, *written).await?;
        }
        self.come_back(Instant::now() + DEADLINE).await?;
        Ok(found.map(|(records, _, _)| records).unwrap_or_default())
    }

    async fn page(
        &self,
        after: Position,
        up_to: Position,
        most_records: usize,
        most_bytes: usize,
    ) -> Result<Records, BackendError> {
        self.read(|log, most| log.page(after, up_to, most_records.min(most), most_bytes))
            .await
    }

    async fn newest(&self, up_to: Position, most_bytes: usize) -> Result<Records, BackendError> {
        self.read(|log, _| log.newest(up_to, most_bytes)).await
    }

    async fn find(&self, id: &str) -> Result<Option<Position>, BackendError> {
        let found = self.look(Duration::ZERO, |log, _| Some(log.find(id)));
        let (found, server, written) = found.await?.ok_or_else(silent)?;
        // A former primary that is cut off does not know what the present one has, and has what that one has not.
        self.confirmed(server, written).await?;
        self.come_back(Instant::now() + DEADLINE).await?;
        Ok(found)
    }

    async fn beat(&self, member: Member) -> Result<Beat, BackendError> {
        match self.write(Command::Beat(member), false).await? {
            Answer::Beat(beat) => Ok(beat),
            _ => Err(broken()),
        }
    }

    async fn bury(&self, member: Member, counter: u64) -> Result<bool, BackendError> {
        match self.write(Command::Bury(member, counter), false).await? {
            Answer::Buried(is_buried) => Ok(is_buried),
            _ => Err(broken()),
        }
    }

    async fn leave(&self, member: Member) -> Result<(), BackendError> {
        self.write(Command::Leave(member), false).await.map(|_| ())
    }

    async fn subscriptions(
        &self,
        of: Option<Member>,
        from: &Continue,
    ) -> Result<Subscriptions, BackendError> {
        self.read(|log, most| subscriptions(log, of, from, most))
            .await
    }
}
