//! What a site's routes can answer with beside the hub: files, other servers, and compression; and whom they let in
//! (B-284).

pub(crate) mod encode;
pub(crate) mod files;
pub(crate) mod proxy;
pub(crate) mod users;
