//! The promises of all transports, and those of each.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod clock;
mod damage;
mod descriptors;
mod events;
mod failing;
mod fairness;
mod folder;
mod full;
mod golden;
mod groups;
mod history;
mod import;
mod links;
mod lookups;
mod memory;
mod over;
mod pages;
mod power;
mod sealed;
mod shaky;
#[cfg(feature = "simulation")]
mod shared;
mod stalled;
mod suite;
mod syncing;
mod tiers;
mod told;
mod unreadable;
mod watched;
