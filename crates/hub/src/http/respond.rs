//! The only place where answers and refusals become HTTP.

mod answer;
mod log;
mod reason;
mod refused;
mod response;
mod sentence;

pub(crate) use self::answer::{FORM, allowed, event_stream, field, protect, put_type};
pub use self::answer::{Unanswered, forbid_storing, plain, refusal};
pub(crate) use self::refused::Refused;
pub(crate) use self::response::refuse_for_now;
