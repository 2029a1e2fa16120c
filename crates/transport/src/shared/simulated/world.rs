//! The servers, the network between them and the nodes, and what is on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::command::{Answer, Command, Data, Request};
use super::log::{Limits, Log};
use super::network::Network;
use super::options::SimulatedOptions;
use super::random::Random;
use super::server::{Server, State};
use crate::Position;
use crate::shared::backend::BackendError;

/// An executed command: the answer, and how many commands its server had executed then.
pub(super) type Done = Result<(Answer, usize), BackendError>;

/// A request that has not arrived yet.
#[derive(Debug)]
struct Sent {
    /// The identity of the server that it goes to.
    to: u64,
    request: Request,
    reply: oneshot::Sender<Done>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) random: Random,
    pub(super) options: SimulatedOptions,
    began: Instant,
    pub(super) network: Network,
    pub(super) primary: Server,
    /// The primary before, which some nodes may still talk to.
    pub(super) former: Option<Server>,
    /// The nodes that still talk to the former primary.
    pub(super) stale: BTreeSet<String>,
    pub(super) backup: Option<Data>,
    /// Why the servers refuse to write.
    pub(super) refusing: Option<&'static str>,
    /// How many entries of the next batch are stored before it fails.
    pub(super) failing_after: Option<usize>,
    sent: BTreeMap<(Instant, u64), Sent>,
    sequence: u64,
    /// The greatest position that any server gave.
    highest: Position,
    /// Positions that not all nodes may have read: the next primary did not know them, or another server had given a
    /// greater one before.
    pub(super) lost: BTreeSet<Position>,
    /// Positions that the present primary knows and its predecessor did not.
    pub(super) regained: BTreeSet<Position>,
}

fn given(data: &Data) -> BTreeSet<Position> {
    let log: Option<&Log> = data.log.as_ref();
    log.map_or_else(BTreeSet::new, |log| log.given.iter().copied().collect())
}

fn head(data: &Data) -> Position {
    data.log
        .as_ref()
        .map_or(Position::ORIGIN, |log| log.bounds().head)
}

impl World {
    pub(super) fn new(options: SimulatedOptions) -> Self {
        let mut random = Random::new(options.seed);
        let limits = Limits {
            max_length: options.max_length,
            max_bytes: options.max_bytes,
            run_length: options.run_length,
        };
        let lags: Vec<Duration> = (0..options.copies)
            .map(|_| Duration::from_micros(random.below(20_000)))
            .collect();
        Self {
            network: Network::new(options.latency),
            random,
            began: Instant::now(),
            primary: Server::new(1, Data::default(), &lags, limits),
            former: None,
            stale: BTreeSet::new(),
            backup: None,
            refusing: None,
            failing_after: None,
            sent: BTreeMap::new(),
            sequence: 0,
            highest: Position::ORIGIN,
            lost: BTreeSet::new(),
            regained: BTreeSet::new(),
            options,
        }
    }

    /// Milliseconds since 1970 by the clock of the servers.
    fn time(&self, now: Instant) -> u64 {
        let elapsed = now.duration_since(self.began).as_millis() as u64;
        self.options.begins_at * 1_000 + elapsed
    }

    fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The identity of another process.
    pub(super) fn identity(&mut self) -> u64 {
        // The first server has 1.
        self.number() + 1
    }

    /// The server that a node talks to.
    pub(super) fn server_of(&self, node: &str) -> &Server {
        let former = self.former.as_ref();
        former
            .filter(|_| self.stale.contains(node))
            .unwrap_or(&self.primary)
    }

    pub(super) fn server(&self, identity: u64) -> Option<&Server> {
        let servers = std::iter::once(&self.primary).chain(&self.former);
        servers.into_iter().find(|each| each.identity == identity)
    }

    fn server_mut(&mut self, identity: u64) -> Option<&mut Server> {
        let servers = std::iter::once(&mut self.primary).chain(&mut self.former);
        servers.into_iter().find(|each| each.identity == identity)
    }

    /// Puts a request on its way; returns where its answer comes.
    pub(super) fn send(
        &mut self,
        to: u64,
        request: Request,
        arrives: Instant,
    ) -> oneshot::Receiver<Done> {
        let (reply, answer) = oneshot::channel();
        let number = self.number();
        let sent = Sent { to, request, reply };
        self.sent.insert((arrives, number), sent);
        answer
    }

    /// Executes what has arrived, and lets replicas follow. Returns whether something was executed.
    pub(super) fn proceed(&mut self, now: Instant) -> bool {
        let arrived: Vec<_> = self
            .sent
            .range(..=(now, u64::MAX))
            .map(|(key, sent)| (*key, sent.to))
            .collect();
        let mut is_changed = false;
        for (key, to) in arrived {
            let state = self.server(to).map_or(State::Down, |server| server.state);
            if state == State::Stopped {
                continue;
            }
            // What was sent to a process that is gone is lost, and its sender learns that.
            let Some(sent) = self.sent.remove(&key) else {
                continue;
            };
            if state == State::Running {
                let done = self.execute(to, &sent.request, now);
                is_changed = true;
                _ = sent.reply.send(done);
            }
        }
        for server in std::iter::once(&mut self.primary).chain(&mut self.former) {
            if server.state == State::Running {
                server.replicate(now);
            }
        }
        is_changed
    }

    fn execute(&mut self, to: u64, request: &Request, now: Instant) -> Done {
        if let Some(reason) = self.refusing {
            return Err(BackendError::Refusing(reason));
        }
        let time = self.time(now);
        let mut request = request.clone();
        if let Command::Append(batch) = &request.command
            && let Some(entries) = self.failing_after.take()
        {
            request.command = Command::AppendPart(batch.clone(), entries);
        }
        let Some(server) = self.server_mut(to) else {
            return Err(BackendError::Away("the server is gone".to_owned()));
        };
        let before = head(&server.data);
        let answer = server.execute(&request, now, time);
        let (after, written) = (head(&server.data), server.written());
        if after > before && before < self.highest {
            let server = self.server(to).and_then(|server| server.data.log.as_ref());
            let given = server
                .map(|log| log.given.iter().rev())
                .into_iter()
                .flatten();
            let overtaken = given.take_while(|position| **position > before);
            let overtaken = overtaken.filter(|position| **position < self.highest);
            let overtaken: Vec<Position> = overtaken.copied().collect();
            self.lost.extend(overtaken);
        }
        self.highest = self.highest.max(after);
        Ok((answer?, written))
    }

    /// When something happens next by itself.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let is_running = |to: u64| {
            let server = self.server(to);
            server.is_none_or(|server| server.state != State::Stopped)
        };
        let mut sent = self.sent.iter();
        let sent = sent.find(|(_, sent)| is_running(sent.to));
        let sent = sent.map(|((at, _), _)| *at);
        let servers = std::iter::once(&self.primary).chain(&self.former);
        let running = servers.filter(|server| server.state == State::Running);
        let replicated = running.filter_map(Server::next_event);
        replicated.chain(sent).min()
    }

    /// Makes other data that of the primary, which is another process. The one before goes on as the former primary.
    pub(super) fn promote(&mut self, data: Data, identity: u64) {
        self.demote();
        let (lags, limits) = (self.primary.lags(), self.primary.limits());
        self.compare(&self.primary.data.clone(), &data);
        let promoted = Server::new(identity, data, &lags, limits);
        let mut former = std::mem::replace(&mut self.primary, promoted);
        former.replicas.clear();
        self.former = Some(former);
    }

    /// Ends the former primary: it follows the present one from now on.
    pub(super) fn demote(&mut self) {
        self.stale.clear();
        if let Some(former) = self.former.take() {
            let known = given(&self.primary.data);
            let own = given(&former.data);
            self.lost.extend(own.difference(&known));
        }
    }

    fn compare(&mut self, before: &Data, after: &Data) {
        let (before, after) = (given(before), given(after));
        self.lost.extend(before.difference(&after));
        self.regained.extend(after.difference(&before));
    }

    /// Removes all data, on every copy.
    pub(super) fn flush(&mut self, now: Instant) {
        self.compare(&self.primary.data.clone(), &Data::default());
        let request = Request {
            tag: None,
            command: Command::Flush,
        };
        let time = self.time(now);
        _ = self.primary.execute(&request, now, time);
    }
}
