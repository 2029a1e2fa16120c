//! The engine: from a group of committed updates to the readers that may receive them.
//!
//! The [`router`] makes committed updates visible and puts them on the [`lane`]s of the [`interests`]
//! that they concern; each subscriber's [`cursor`] reads on from its own position. It knows neither
//! HTTP nor tokens, and imports only protocol, transport and the clock.

pub(crate) mod active;
pub(crate) mod cursor;
pub(crate) mod drain;
pub(crate) mod driver;
pub(crate) mod interests;
pub(crate) mod lane;
#[cfg(not(talaria_loom))]
#[cfg(test)]
pub(crate) mod laws;
#[cfg(talaria_loom)]
#[cfg(test)]
mod models;
pub(crate) mod permit;
pub(crate) mod retry;
pub(crate) mod router;
pub(crate) mod seats;
