//! Serving: the listeners, their connections, the site around the hub, and what the hub needs from this machine.

pub(crate) mod admission;
pub(crate) mod client_error;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod handlers;
pub(crate) mod http3;
pub(crate) mod incoming;
pub(crate) mod key_sets;
pub(crate) mod listen;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod proxies;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod run;
pub(crate) mod shutdown;
pub(crate) mod signals;
pub(crate) mod site;
pub(crate) mod socket;
pub(crate) mod storage;
pub(crate) mod streams;
pub(crate) mod systemd;
pub(crate) mod tls;
