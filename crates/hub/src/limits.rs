//! The limits of what clients may hold, together and each of them (`docs/limits.md`).

mod address;
mod budgets;
mod client;
mod exceeded;
mod ledger;
mod limiter;
mod paced;
mod rate;
mod turns;
mod usage;

pub use self::address::ClientAddress;
pub(crate) use self::budgets::{BodyCharge, Budgets, Held};
pub use self::budgets::{Bounds, BudgetOptions, Used};
pub(crate) use self::client::{Client, hash};
pub(crate) use self::exceeded::Exceeded;
pub use self::ledger::{Charge, Exhausted, Ledger};
pub use self::limiter::{Limiter, RateOf, TooFast};
pub use self::paced::RateBounds;
pub use self::rate::Rate;
pub use self::turns::{Turn, Turns, Waiting};
pub use self::usage::Usage;
