//! What an acknowledged update survives with the settings of a server.

mod others;
pub(super) mod postgres;
pub(super) mod redis;
