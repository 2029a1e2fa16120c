//! The active subscriptions, which the router follows together with what is visible.

mod document;
mod members;
mod table;

pub(crate) use document::{Context, Document, NAMESPACE, Payload, collection_of, quoted, topic_of};
pub(crate) use members::{Members, MembersFrom};
pub(crate) use table::{Table, changes, event_topic};
