//! The active subscriptions, which the router follows together with what is visible.

mod digest;
mod document;
mod elsewhere;
mod members;
mod parsed;
mod standing;
mod table;

pub(crate) use document::{Context, Document, NAMESPACE, Payload, collection_of, quoted, topic_of};
pub(crate) use elsewhere::Elsewhere;
pub(crate) use members::{Members, MembersFrom, Serial};
pub(crate) use table::{Snapshot, Stored, Table, changes, event_topic};
