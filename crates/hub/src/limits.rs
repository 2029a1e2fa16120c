//! What clients may hold together, and each of them: see `docs/limits.md`.

mod budgets;
mod client;
mod exceeded;
mod ledger;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

pub use self::budgets::{BodyCharge, Bounds, BudgetOptions, Budgets, Held, Used};
pub use self::client::Client;
pub use self::exceeded::{Exceeded, Resource, Scope};
pub use self::ledger::{Charge, Exhausted, Ledger};

/// What counts as one client's address: of IPv4 all of it, of IPv6 the network (/64), which is what
/// one customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        /// The first 64 bits of an IPv6 address.
        const NETWORK: u128 = !0 << 64;
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & NETWORK).into()),
            address => Self(address),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}
