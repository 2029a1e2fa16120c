//! The active subscriptions, as of the newest routed update.

use std::sync::Arc;

use talaria_protocol::{Update, event};
use talaria_transport::Frame;

use super::digest::{self, Digest};
use super::document::Document;
use super::elsewhere::Elsewhere;
use super::members::{Known, Members, Serial};
use super::parsed::{Parsed, parse};

/// The active subscriptions. It follows the committed subscription events: the router advances it
/// together with the newest visible position.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// What this process has announced and not ended and, on a log of several processes, what the others have.
    known: Members,
    /// The newest routed update.
    newest: Option<Arc<Frame>>,
    /// Where to put the open subscriptions of this process that others end; `None` on a log of one process.
    elsewhere: Option<Arc<Elsewhere>>,
    digest: Digest,
}

/// The table at a moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The newest routed update, `None` before the first.
    pub(crate) newest: Option<Arc<Frame>>,
    /// The subscriptions as of that update.
    pub(crate) members: Members,
    /// Tells these subscriptions apart from others as of the same update, if there were others.
    pub(crate) digest: Option<u64>,
}

/// What a subscription event says.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    topic: &'a str,
    says: Says,
}

#[derive(Debug)]
enum Says {
    /// The subscription has begun; `None` if the event does not describe it.
    Begun(Option<Arc<Document>>),
    Ended,
}

/// What the subscription events of a group say, in the order of the group. Each takes microseconds to
/// read, so the router reads them before it takes its mutex.
pub(crate) fn changes(group: &[Arc<Frame>]) -> Vec<Change<'_>> {
    group.iter().filter_map(|frame| change(frame)).collect()
}

fn change(frame: &Frame) -> Option<Change<'_>> {
    let topic = event_topic(frame)?;
    let (update, _) = event::decode_update(&frame.bytes)?;
    let says = match read(topic, &update.data)? {
        Parsed { active: false, .. } => Says::Ended,
        Parsed { document, .. } => Says::Begun(document.map(Arc::new)),
    };
    Some(Change { topic, says })
}

/// Reads a subscription event. What this hub does not understand is logged.
fn read(topic: &str, data: &str) -> Option<Parsed> {
    let parsed = parse(topic, data);
    let is_understood = |parsed: &Parsed| !parsed.active || parsed.document.is_some();
    if !parsed.as_ref().is_some_and(is_understood) {
        tracing::warn!(
            name: "presence_event_unreadable",
            // A field by which the server samples lines.
            reason = "a subscription event does not describe a subscription that this hub understands",
            topic = %topic.chars().take(SHOWN).collect::<String>(),
            "a subscription event of another node is ignored"
        );
    }
    parsed
}

/// The most characters of a topic in a log line.
const SHOWN: usize = 200;

/// The topic of a subscription event; `None` for other updates. Only the mark of the hub distinguishes
/// them: a publisher or an importer may bring an update whose topic looks like that of an event.
pub(crate) fn event_topic(frame: &Frame) -> Option<&str> {
    let topic = frame.topics.first()?;
    frame.by_hub.then_some(topic)
}

/// The subscriptions that a log keeps beside it, made into a table before the router takes its mutex.
#[derive(Debug)]
pub(crate) struct Stored {
    members: Members,
    /// What the digest of the list is.
    sum: u64,
}

impl Stored {
    /// The subscriptions that these events began, as far as the hub understands them.
    pub(crate) fn new(begun: &[Update]) -> Self {
        let document = |update: &Update| read(update.topics.first()?, &update.data)?.document;
        let mut members = Members::default();
        for document in begun.iter().filter_map(document) {
            members.insert(remote(Arc::new(document)));
        }
        let all = members.clone().from("");
        let sum = digest::sum_of(all.map(|(document, _)| document));
        Self { members, sum }
    }
}

impl Table {
    /// Follows the subscriptions of other processes, too, and notes in `elsewhere` those of this process that
    /// others end.
    pub(crate) fn follow(&mut self, elsewhere: Arc<Elsewhere>) {
        self.elsewhere = Some(elsewhere);
    }

    /// Where the open subscriptions of this process are that others have ended; `None` on a log of one process.
    pub(crate) fn elsewhere(&self) -> Option<Arc<Elsewhere>> {
        self.elsewhere.clone()
    }

    /// Expects the events of a subscription of this process.
    pub(crate) fn announce(&mut self, serial: Serial, document: Arc<Document>) {
        self.known.insert(Known {
            document,
            is_active: false,
            serial: Some(serial),
        });
    }

    /// Stops expecting the events of a subscription that is not active. The end of an active one comes.
    pub(crate) fn withdraw(&mut self, topic: &str) {
        let Some(known) = self.known.get(topic) else {
            return;
        };
        if known.is_active {
            known.document.settle();
        } else {
            self.known.remove(topic);
        }
    }

    /// Applies a committed group: the changes that its subscription events say, and its newest update. An
    /// event that the log holds twice changes nothing the second time.
    pub(crate) fn advance(&mut self, changes: &[Change<'_>], newest: &Arc<Frame>) {
        for Change { topic, says } in changes {
            match says {
                Says::Begun(document) => self.begin(topic, document.as_ref()),
                Says::Ended => self.end(topic),
            }
        }
        self.newest = Some(Arc::clone(newest));
        self.digest.advance();
    }

    fn begin(&mut self, topic: &str, document: Option<&Arc<Document>>) {
        if let Some(known) = self.known.get_mut(topic) {
            if !std::mem::replace(&mut known.is_active, true) {
                self.digest.add(topic);
            }
            known.document.mark(true);
        } else if let (Some(document), true) = (document, self.elsewhere.is_some()) {
            self.known.insert(remote(Arc::clone(document)));
            self.digest.add(topic);
        }
    }

    fn end(&mut self, topic: &str) {
        let Some(known) = self.known.get_mut(topic) else {
            return;
        };
        if known.is_active {
            self.digest.remove(topic);
        }
        if !is_still_expected(known, self.elsewhere.as_deref()) {
            self.known.remove(topic);
        }
    }

    /// Replaces the subscriptions of other processes by those that are stored and not of this process. Those of
    /// this process are active if they are stored. Returns the list before, which takes long to free.
    pub(crate) fn restore(&mut self, stored: Stored) -> Members {
        let before = std::mem::replace(&mut self.known, stored.members);
        let mut all = before.clone().from("");
        while let Some(mut known) = all.next_known() {
            if known.serial.is_none() {
                continue;
            }
            if let Some(place) = self.known.get_mut(&known.document.topic) {
                known.is_active = true;
                known.document.mark(true);
                *place = known;
            } else if !known.is_active || is_still_expected(&mut known, self.elsewhere.as_deref()) {
                // The beginning of one that is not active may be on its way.
                self.known.insert(known);
            }
        }
        // Those of this process that are not stored are not active.
        self.digest.restore(stored.sum);
        before
    }

    /// The table as it is. It takes constant time.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            newest: self.newest.clone(),
            members: self.known.clone(),
            digest: self.digest.tag(),
        }
    }
}

/// Notes that a subscription is not open in the log any more. Returns whether it stays in the table: on a log of
/// several processes one of this process does until it is withdrawn, because a beginning may be on its way.
fn is_still_expected(known: &mut Known, elsewhere: Option<&Elsewhere>) -> bool {
    let was_begun = known.document.mark(false);
    let is_gone = known.document.is_gone();
    let (Some(serial), Some(elsewhere)) = (known.serial, elsewhere) else {
        return false;
    };
    known.is_active = false;
    if was_begun && !is_gone {
        // This process has not asked for it.
        elsewhere.add(serial, Arc::clone(&known.document));
    }
    // If its end was acknowledged before it came, it is withdrawn already.
    !known.document.is_settled() && (was_begun || !is_gone)
}

/// A subscription of another process.
fn remote(document: Arc<Document>) -> Known {
    Known {
        document,
        is_active: true,
        serial: None,
    }
}
