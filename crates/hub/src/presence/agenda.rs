//! The agenda: which subscription events have to be appended, and which appends are in flight.
//!
//! The agenda compares what each subscription is (open or gone) with what the log is known to hold
//! of it, and names the one event that is missing. It holds state, not a queue of events, so its
//! size is bounded however the log behaves: an entry for each open subscription that is not
//! announced yet, and one for each that is gone and whose end is still to be stored. A subscription
//! that is gone before its beginning was appended leaves nothing behind. One that another process has
//! ended, although its subscriber is there, is announced again.
//!
//! It does no I/O and reads no clock: the reconciler appends, waits and tries again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use talaria_transport::{AppendError, Appended};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::order::{Order, Round};
use super::rate::Rate;
use super::visit::{Visit, Visitor};
use crate::engine::active::{Document, Serial};
use crate::engine::drain::UnderWay;

/// The most appends in flight. It keeps subscription events from filling the transport's queue
/// (65,536 updates), and is about two commits of a history (1 MiB each): one is synced while the
/// next one gathers.
pub(crate) const IN_FLIGHT: usize = 2_048;
/// The bytes of the events in flight, as payloads may be large. One more event may exceed them.
pub(crate) const IN_FLIGHT_BYTES: usize = 8 << 20;

/// The events to be appended: ends and beginnings in turn, the oldest end first, and visitors in turn.
#[derive(Default)]
pub(crate) struct Agenda {
    next: Serial,
    /// Holds back visits that come faster than their client may announce.
    rate: Rate,
    beginnings: HashMap<Serial, Beginning>,
    order: Order,
    /// Whether the last event was an end.
    was_end: bool,
    /// Whether the log did not store the last end.
    is_end_missing: bool,
    ends: BTreeMap<Serial, End>,
    in_flight: HashMap<Serial, InFlight>,
    in_flight_bytes: usize,
    /// Whether the log has several processes, and stores an end only of what it holds the beginning of.
    is_shared: bool,
}

/// The subscriptions of one subscriber, on the agenda.
pub(crate) struct Entered {
    visitor: Visitor,
    /// The serial of the first document; the others follow.
    pub(crate) first: Serial,
    pub(crate) documents: Arc<[Arc<Document>]>,
    /// Whether the visit is held back for its client's rate.
    pub(crate) is_held_back: bool,
}

/// An open subscription whose beginning is not stored.
struct Beginning {
    document: Arc<Document>,
    waiting: Option<Waiting>,
    round: Round,
    /// Whether an append was tried whose outcome is unknown.
    in_doubt: bool,
}

/// A subscription that is gone and whose end is not stored.
struct End {
    document: Arc<Document>,
    /// Keeps a stopping hub waiting for the event.
    share: UnderWay,
    /// Whether its beginning may be stored although that is not known.
    in_doubt: bool,
}

/// An append in flight.
struct InFlight {
    document: Arc<Document>,
    active: bool,
    /// Whether an earlier append of the beginning has an unknown outcome.
    in_doubt: bool,
    /// Dropped with the outcome.
    _waiting: Option<Waiting>,
    /// Set once the subscription is gone.
    gone: Option<UnderWay>,
}

/// A stream's head waits until the last clone of its sender is dropped.
pub(crate) type Waiting = mpsc::Sender<()>;

/// What is due.
pub(crate) enum Due {
    /// Append the event that says that the subscription began (`active`) or ended.
    Append {
        /// For [`Agenda::finish`].
        serial: Serial,
        /// The subscription.
        document: Arc<Document>,
        /// Whether the event is the beginning.
        active: bool,
    },
    /// The subscription is gone and its beginning is not in the log.
    Forget(Arc<Document>),
}

impl Agenda {
    /// An agenda that announces this many bytes in a second for each client; 0 for no bound. `is_shared`: whether
    /// the log has several processes.
    pub(crate) fn new(bytes_per_second: u64, is_shared: bool) -> Self {
        Self {
            rate: Rate::new(bytes_per_second),
            is_shared,
            ..Self::default()
        }
    }

    /// Changes how many bytes in a second it announces for each client; 0 for no bound. Returns whether that is
    /// new.
    pub(crate) fn set_rate(&mut self, bytes_per_second: u64, now: Instant) -> bool {
        self.rate.set(bytes_per_second, now)
    }

    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.rate.bytes_per_second()
    }

    /// Adds the subscriptions of a new subscriber. The clones of `waiting` are dropped when every
    /// beginning was tried once, or at once if the visit is held back.
    pub(crate) fn subscribe(&mut self, visit: &Visit, waiting: &Waiting, now: Instant) -> Entered {
        let first = self.next;
        let documents: Arc<[_]> = visit.documents.as_slice().into();
        self.next += documents.len() as Serial;
        let begun = (first, Arc::clone(&documents));
        let is_held_back = !self.rate.enter(visit, begun, now);
        if !is_held_back {
            self.begin(first, &documents, Some((visit.visitor, waiting)));
        }
        Entered {
            visitor: visit.visitor,
            first,
            documents,
            is_held_back,
        }
    }

    fn begin(
        &mut self,
        first: Serial,
        documents: &[Arc<Document>],
        waiting: Option<(Visitor, &Waiting)>,
    ) {
        for (serial, document) in (first..).zip(documents) {
            let beginning = Beginning {
                document: Arc::clone(document),
                round: self.order.add(waiting.map(|(visitor, _)| visitor), serial),
                waiting: waiting.map(|(_, waiting)| waiting.clone()),
                in_doubt: false,
            };
            self.beginnings.insert(serial, beginning);
        }
    }

    /// Ends the subscriptions of a subscriber. Returns those that can be forgotten: no event of theirs is in
    /// the log, or may still be stored.
    #[must_use]
    pub(crate) fn unsubscribe(
        &mut self,
        entered: &Entered,
        share: &UnderWay,
    ) -> Vec<Arc<Document>> {
        if entered.is_held_back && self.rate.leave(entered.visitor, entered.first) {
            return Vec::new();
        }
        let mut forgotten = Vec::new();
        for (serial, document) in (entered.first..).zip(&*entered.documents) {
            if !self.end(serial, document, share) {
                forgotten.push(Arc::clone(document));
            }
        }
        forgotten
    }

    /// Ends a subscription. Returns `false` if it can be forgotten.
    fn end(&mut self, serial: Serial, document: &Arc<Document>, share: &UnderWay) -> bool {
        document.leave();
        if let Some(append) = self.in_flight.get_mut(&serial) {
            append.gone = Some(share.clone());
            return true;
        }
        let beginning = self.beginnings.remove(&serial);
        if let Some(beginning) = &beginning {
            self.order.remove(beginning.round, serial);
        }
        let in_doubt = beginning.is_some_and(|beginning| beginning.in_doubt);
        if !in_doubt && !document.is_begun() {
            return false;
        }
        let end = End {
            document: Arc::clone(document),
            share: share.clone(),
            in_doubt,
        };
        self.ends.insert(serial, end);
        true
    }

    /// Notes that another process has ended a subscription. It is announced again, unless its subscriber has left
    /// or its beginning is on its way.
    pub(crate) fn ended_elsewhere(&mut self, serial: Serial, document: Arc<Document>) {
        if document.is_gone() || document.is_begun() || self.in_flight.contains_key(&serial) {
            return;
        }
        if !self.beginnings.contains_key(&serial) {
            self.begin_again(serial, document, false);
        }
    }

    fn begin_again(&mut self, serial: Serial, document: Arc<Document>, in_doubt: bool) {
        let beginning = Beginning {
            document,
            waiting: None,
            round: self.order.add_again(serial),
            in_doubt,
        };
        self.beginnings.insert(serial, beginning);
    }

    /// What is due next; `None` if nothing is due, or if [`IN_FLIGHT`] appends are in flight. Ends and
    /// beginnings take turns, but no beginning passes an end that the log did not store: an end removes an entry, so
    /// the agenda does not grow if the log stores only beginnings.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Due> {
        while let Some((first, documents)) = self.rate.next(now) {
            self.begin(first, &documents, None);
        }
        while self.in_flight.len() < IN_FLIGHT && self.in_flight_bytes < IN_FLIGHT_BYTES {
            let is_turn_of_ends =
                self.is_end_missing || !self.was_end || self.beginnings.is_empty();
            let end = is_turn_of_ends.then(|| self.ends.pop_first()).flatten();
            self.was_end = end.is_some();
            let (serial, append) = if let Some((serial, end)) = end {
                // An append of unknown outcome may have been routed since. On a log of several processes a
                // beginning may be stored later still; there its end is stored after it, or not at all.
                let may_be_begun = end.in_doubt && self.is_shared;
                if !end.document.is_begun() && !may_be_begun {
                    return Some(Due::Forget(end.document));
                }
                let append = InFlight {
                    document: end.document,
                    active: false,
                    in_doubt: end.in_doubt,
                    _waiting: None,
                    gone: Some(end.share),
                };
                (serial, append)
            } else {
                let serial = self.order.next()?;
                let Some(beginning) = self.beginnings.remove(&serial) else {
                    continue;
                };
                if beginning.document.is_begun() {
                    continue;
                }
                let append = InFlight {
                    document: beginning.document,
                    active: true,
                    in_doubt: beginning.in_doubt,
                    _waiting: beginning.waiting,
                    gone: None,
                };
                (serial, append)
            };
            let due = Due::Append {
                serial,
                document: Arc::clone(&append.document),
                active: append.active,
            };
            self.in_flight_bytes += append.document.event_bytes();
            self.in_flight.insert(serial, append);
            return Some(due);
        }
        None
    }

    /// How long until something is due, if nothing else happens.
    pub(crate) fn due_in(&self, now: Instant) -> Option<Duration> {
        self.rate.due_in(now)
    }

    /// Notes the outcome of an append. Returns the subscription if it is gone and its beginning is not
    /// in the log or has ended there, so that it can be forgotten.
    pub(crate) fn finish(
        &mut self,
        serial: Serial,
        outcome: &Result<Appended, AppendError>,
    ) -> Option<Arc<Document>> {
        let InFlight {
            document,
            active,
            in_doubt,
            gone,
            ..
        } = self.in_flight.remove(&serial)?;
        self.in_flight_bytes -= document.event_bytes();
        if !active {
            self.is_end_missing = outcome.is_err();
        }
        let in_doubt = match outcome {
            Ok(_) => {
                document.acknowledge(active);
                false
            }
            Err(AppendError::Unknown) => in_doubt || active,
            Err(AppendError::Refused(_)) => in_doubt,
        };
        match gone {
            None if document.is_begun() => None,
            None => {
                self.begin_again(serial, document, in_doubt);
                None
            }
            Some(share) if in_doubt || document.is_begun() => {
                let end = End {
                    document,
                    share,
                    in_doubt,
                };
                self.ends.insert(serial, end);
                None
            }
            Some(_) => Some(document),
        }
    }

    /// The number of subscriptions that are not held back, and the number of their appends in flight.
    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        let in_flight = self.in_flight.len();
        (
            self.beginnings.len() + self.ends.len() + in_flight,
            in_flight,
        )
    }
}
