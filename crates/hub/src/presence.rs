//! Presence: which subscriptions are active, published as events (specification, "Active Subscriptions").
//!
//! A [`Document`](crate::engine::active::Document) describes one subscription, a [`Visit`](visit::Visit)
//! those of one request. The [`Reconciler`] publishes each twice, when the subscription begins and when it
//! has ended, as the [`Agenda`](agenda::Agenda) says, and no faster than the [`Rate`](rate::Rate) of the
//! client allows. The [`Table`](crate::engine::active::Table) follows the events that were committed, so
//! that the list of subscriptions and its cursor always belong together (ADR 0013, ADR 0014). On a log of several
//! processes it lists those of all, and each process ends what others left when they died (ADR 0026).

mod agenda;
mod ends;
#[cfg(not(talaria_loom))]
#[cfg(test)]
mod laws;
mod options;
mod order;
mod orphans;
mod pause;
mod rate;
mod reconciler;
mod recovery;
mod visit;

pub use options::PresenceOptions;
pub(crate) use reconciler::{Announced, Reconciler};
