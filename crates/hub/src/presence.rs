//! Presence: who listens to what (specification, "Active Subscriptions"; design §7).
//!
//! A [`Document`] describes one subscription, a [`Visit`] those of one subscriber. The [`Reconciler`]
//! publishes each twice, when the subscription begins and when it has ended, as the
//! [`Agenda`](agenda::Agenda) says, and no faster than the client's [`Rate`](rate::Rate) allows; the
//! [`Table`] follows what was committed of that, so that it and the cursor of an answer always belong
//! together.

pub(crate) mod agenda;
mod document;
mod members;
mod pause;
pub(crate) mod rate;
mod reconciler;
mod recovery;
mod table;
pub(crate) mod visit;

pub(crate) use document::{Context, Document, NAMESPACE, Payload, collection_of, quoted, topic_of};
pub(crate) use members::{Members, MembersFrom};
pub(crate) use reconciler::{Announced, Reconciler};
pub(crate) use table::{Table, changes};
pub(crate) use visit::{Visit, Visitor};

/// Whose subscriptions are announced, and what their events may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PresenceOptions {
    /// Whether only subscribers with a token are announced and listed.
    pub token_holders_only: bool,
    /// The bytes of all events of one subscription request, at most; beyond it the request is answered
    /// 400. They are counted as a log stores them, the ends included.
    pub bytes_per_request: usize,
    /// The bytes of events for one client in a second; 0 for no bound. What exceeds them after sixteen
    /// seconds' worth is announced later. A client is a token's subject, else an address.
    pub bytes_per_second: u64,
}

impl Default for PresenceOptions {
    /// Requests of 256 matchers of 200 bytes fit, as do those whose token has a payload of some hundred
    /// bytes, and eight such requests at once.
    fn default() -> Self {
        Self {
            token_holders_only: false,
            bytes_per_request: 2 * 1024 * 1024,
            bytes_per_second: 1024 * 1024,
        }
    }
}
