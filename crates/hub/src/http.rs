//! The HTTP face of the hub: from a request to its answer.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod cors;
pub(crate) mod host;
pub(crate) mod identity;
pub(crate) mod metadata;
pub(crate) mod noted;
pub(crate) mod outflow;
pub(crate) mod pages;
pub(crate) mod permits;
pub(crate) mod publish;
pub(crate) mod repeats;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod shared;
pub(crate) mod stream;
pub(crate) mod subscribe;
pub(crate) mod subscriptions;
