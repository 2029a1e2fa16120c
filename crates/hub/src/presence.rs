//! Presence: who listens to what (specification, "Active Subscriptions"; design §7).
//!
//! A [`Document`] describes one subscription. The [`Reconciler`] publishes each twice, when the
//! subscription begins and when it has ended, as the [`Agenda`](agenda::Agenda) says; the [`Table`]
//! follows what was committed of that, so that it and the cursor of an answer always belong together.

pub(crate) mod agenda;
mod document;
mod pause;
mod reconciler;
mod recovery;
mod table;

pub(crate) use document::{Context, Document, NAMESPACE, quoted};
pub(crate) use reconciler::{Announced, Reconciler};
pub(crate) use table::{Table, changes};
