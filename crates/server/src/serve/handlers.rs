//! What a site's routes can answer with beside the hub: files, other servers, and compression (B-284).

#[cfg_attr(not(test), expect(dead_code, reason = "the routes of a site call it"))]
pub(crate) mod encode;
#[cfg_attr(not(test), expect(dead_code, reason = "the routes of a site call it"))]
pub(crate) mod files;
#[cfg_attr(not(test), expect(dead_code, reason = "the routes of a site call it"))]
pub(crate) mod proxy;
