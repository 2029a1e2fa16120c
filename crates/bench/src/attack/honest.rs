//! The honest clients during an attack: publishers, readers that resume, and a probe of `/healthz`. Each
//! keeps to a schedule, so that an action that waits for a slow hub counts from when it was due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use talaria_protocol::event::{Decoder, Item};

use crate::clock;
use crate::histogram::Histogram;
use crate::http::error::HttpError;
use crate::http::keep_alive::KeepAlive;
use crate::http::response::Response;
use crate::http::target::Publish;
use crate::load::plan::Plan;
use crate::load::stamp::Stamp;

/// Publishers, and threads that resume.
pub(crate) const CLIENTS: usize = 4;
/// How long an honest client waits for the hub.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits before it repeats what failed at once.
const PAUSE: Duration = Duration::from_millis(20);
/// Updates that a reader missed when it resumes.
const MISSED: usize = 20;
/// The data of an update, in bytes.
const PAYLOAD: usize = 100;

/// The moments at which one of several clients acts.
pub(crate) struct Schedule {
    next_ns: u64,
    interval_ns: u64,
    end_ns: u64,
}

impl Schedule {
    /// The turns of client `number` of `clients` that act `rate` times a second together.
    pub(crate) fn new(
        begin_ns: u64,
        end_ns: u64,
        rate: u64,
        number: usize,
        clients: usize,
    ) -> Self {
        let between_ns = 1_000_000_000 / rate.max(1);
        Self {
            next_ns: begin_ns + between_ns * number as u64,
            interval_ns: between_ns * clients as u64,
            end_ns,
        }
    }

    /// Waits for the next turn and returns when it was due; `None` at the end, even if turns are late.
    fn turn(&mut self) -> Option<u64> {
        let due_ns = self.next_ns;
        let now_ns = clock::now_ns();
        if due_ns.max(now_ns) >= self.end_ns {
            return None;
        }
        self.next_ns += self.interval_ns;
        thread::sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns)));
        Some(due_ns)
    }

    fn is_in_time(&self) -> bool {
        clock::now_ns() <= self.end_ns
    }
}

/// How often an action succeeded, and how long that took.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Successes before the end.
    pub(crate) in_time: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// From the time at which an action was due to its success.
    pub(crate) latency: Histogram,
    /// Why the first attempt failed.
    pub(crate) first_failure: Option<String>,
}

impl Done {
    fn succeeded(&mut self, due_ns: u64, schedule: &Schedule) {
        self.in_time += u64::from(schedule.is_in_time());
        self.latency.record(clock::now_ns().saturating_sub(due_ns));
    }

    fn failed(&mut self, error: &HttpError) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| error.to_string());
        thread::sleep(PAUSE);
    }

    /// Adds what another client did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.in_time += other.in_time;
        self.failed += other.failed;
        self.latency.merge(&other.latency);
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
    }
}

/// What one publisher published.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// The number of sequence numbers used.
    pub(crate) updates: u64,
    /// The sequence numbers that the hub never answered; those updates may or may not be stored.
    pub(crate) unanswered: BTreeSet<u64>,
    /// How often it succeeded.
    pub(crate) done: Done,
}

/// What readers that resumed found.
#[derive(Debug, Default)]
pub(crate) struct Resumed {
    /// How often it succeeded.
    pub(crate) done: Done,
    /// Updates that a reader received twice.
    pub(crate) doubled: u64,
    /// Publishers and sequence numbers that a reader did not receive, though it received later ones.
    pub(crate) missing: Vec<(usize, u64)>,
}

/// What honest clients share.
pub(crate) struct Honest {
    /// The hub, the topic and the tokens.
    pub(crate) plan: Arc<Plan>,
    /// The ids of the latest updates, the oldest first.
    ids: Mutex<VecDeque<String>>,
}

impl Honest {
    /// Clients of a plan.
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            ids: Mutex::default(),
        }
    }

    fn ids(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes in turn until the end, and repeats what the hub refuses.
    pub(crate) fn publish(&self, publisher: usize, mut schedule: Schedule) -> Published {
        let mut published = Published::default();
        let mut connection = None;
        let (mut data, mut request) = (String::new(), String::new());
        let topic = self.plan.topic(0);
        while let Some(due_ns) = schedule.turn() {
            let mut open = match connection.take() {
                Some(open) => open,
                None => match KeepAlive::open(self.plan.target.address, PATIENCE) {
                    Ok(open) => open,
                    Err(error) => {
                        published.done.failed(&error);
                        continue;
                    }
                },
            };
            let stamp = Stamp {
                publisher,
                sequence: published.updates,
                sent_ns: due_ns,
            };
            stamp.write(&mut data, PAYLOAD);
            let publish = Publish {
                topic: &topic,
                data: &data,
                private: false,
                token: self.plan.publisher_token.as_deref(),
            };
            self.plan.target.publish(&mut request, &publish);
            match open.exchange(request.as_bytes()) {
                Ok((response, body)) => {
                    connection = Some(open);
                    match response.accepted(&body) {
                        Ok(()) => {
                            published.updates += 1;
                            published.done.succeeded(due_ns, &schedule);
                            self.remember(&body);
                        }
                        Err(refused) => {
                            // The hub may close the connection after a refusal.
                            connection = None;
                            published.done.failed(&refused.into());
                        }
                    }
                }
                Err(error) => {
                    published.unanswered.insert(published.updates);
                    published.updates += 1;
                    published.done.failed(&error);
                }
            }
        }
        published
    }

    fn remember(&self, id: &[u8]) {
        let mut ids = self.ids();
        ids.push_back(String::from_utf8_lossy(id).trim().to_owned());
        if ids.len() > MISSED + 1 {
            ids.pop_front();
        }
    }

    /// Resumes in turn until the end.
    pub(crate) fn resume(&self, mut schedule: Schedule) -> Resumed {
        let mut resumed = Resumed::default();
        while let Some(due_ns) = schedule.turn() {
            let (from, to) = {
                let ids = self.ids();
                match (ids.front(), ids.back()) {
                    (Some(from), Some(to)) if from != to => (from.clone(), to.clone()),
                    _ => continue,
                }
            };
            match self.resume_once(&from, &to, &mut resumed) {
                Ok(()) => resumed.done.succeeded(due_ns, &schedule),
                Err(error) => resumed.done.failed(&error),
            }
        }
        resumed
    }

    /// Subscribes after one id, and reads until another.
    fn resume_once(&self, from: &str, to: &str, resumed: &mut Resumed) -> Result<(), HttpError> {
        let begin_ns = clock::now_ns();
        let mut stream = connect(self.plan.target.address).map_err(HttpError::Connect)?;
        let request = self.plan.subscribe(0, from);
        stream.write_all(&request).map_err(HttpError::Send)?;
        let (mut response, mut decoder) = (Response::default(), Decoder::default());
        let mut last: BTreeMap<usize, u64> = BTreeMap::new();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = stream.read(&mut buffer).map_err(HttpError::Receive)?;
            if length == 0 {
                return Err(HttpError::Closed);
            }
            let mut input = &buffer[..length];
            while let Some(body) = response.body(&mut input)? {
                response.accepted(body)?;
                for item in decoder.feed(body) {
                    let Item::Event(event) = item? else {
                        continue;
                    };
                    let Some(stamp) = Stamp::read(&event.data) else {
                        continue;
                    };
                    match last.insert(stamp.publisher, stamp.sequence) {
                        Some(last) if last >= stamp.sequence => resumed.doubled += 1,
                        Some(last) => {
                            let missing = (last + 1..stamp.sequence).map(|n| (stamp.publisher, n));
                            resumed.missing.extend(missing);
                        }
                        None => {}
                    }
                    if event.id == to {
                        return Ok(());
                    }
                }
            }
            // If the expected update never comes, the stream would be read for ever.
            if Duration::from_nanos(clock::now_ns() - begin_ns) > PATIENCE {
                return Err(HttpError::Missing {
                    from: from.to_owned(),
                    to: to.to_owned(),
                });
            }
        }
    }

    /// Asks for `/healthz` on a new connection each time, until the end.
    pub(crate) fn probe(&self, mut schedule: Schedule) -> Done {
        let mut done = Done::default();
        let request = format!(
            "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.plan.target.authority
        );
        while let Some(due_ns) = schedule.turn() {
            let answered = KeepAlive::open(self.plan.target.address, PATIENCE)
                .and_then(|mut connection| connection.accepted(request.as_bytes()));
            match answered {
                Ok(_) => done.succeeded(due_ns, &schedule),
                Err(error) => done.failed(&error),
            }
        }
        done
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients take turns, and late turns end with the schedule.
    #[test]
    fn turns_are_shared_and_bounded() {
        let begin_ns = clock::now_ns() - 1_000_000_000;
        let mut due = Vec::new();
        for number in 0..2 {
            let mut schedule = Schedule::new(begin_ns, u64::MAX, 10, number, 2);
            due.extend((0..3).map(|_| (schedule.turn().unwrap() - begin_ns) / 1_000_000));
        }
        assert_eq!(due, [0, 200, 400, 100, 300, 500]);
        assert_eq!(Schedule::new(begin_ns, begin_ns + 1, 10, 0, 1).turn(), None);
    }
}
