//! What a site's routes can answer with beside the hub: files, other servers, and compression (B-284).

pub(crate) mod encode;
pub(crate) mod files;
pub(crate) mod proxy;
