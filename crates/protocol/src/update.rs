//! Updates: what a publisher sends (specification, "Publication").

mod fields;
mod json;
mod line;
mod new;

pub use fields::{HUB_EVENT_TYPE, Update};
