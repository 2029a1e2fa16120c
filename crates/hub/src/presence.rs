//! Presence: which subscriptions are active, published as events (specification, "Active Subscriptions").
//!
//! A [`Document`](crate::engine::active::Document) describes one subscription, a [`Visit`] those of one subscriber. The [`Reconciler`]
//! publishes each twice, when the subscription begins and when it has ended, as the
//! [`Agenda`](agenda::Agenda) says, and no faster than the client's [`Rate`](rate::Rate) allows; the
//! [`Table`](crate::engine::active::Table) follows what was committed of that, so that it and the cursor of an answer always belong
//! together.

mod agenda;
#[cfg(not(talaria_loom))]
#[cfg(test)]
mod laws;
mod options;
mod pause;
mod rate;
mod reconciler;
mod recovery;
mod visit;

pub use options::PresenceOptions;
pub(crate) use reconciler::{Announced, Reconciler};
