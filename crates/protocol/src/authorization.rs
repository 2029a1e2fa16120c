//! Authorization details: what a token allows (specification, "Authorization Details").

mod claim;
mod details;

pub use details::{Action, AuthorizationDetails, DETAIL_TYPE};
