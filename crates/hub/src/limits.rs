//! The limits of what clients may hold, together and each of them (`docs/limits.md`).

mod address;
mod budgets;
mod client;
mod exceeded;
mod ledger;

pub use self::address::ClientAddress;
pub use self::budgets::{BodyCharge, Bounds, BudgetOptions, Budgets, Held, Used};
pub use self::client::Client;
pub use self::exceeded::{Exceeded, Resource, Scope};
pub use self::ledger::{Charge, Exhausted, Ledger};
