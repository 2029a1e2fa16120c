//! What clients may hold and spend together, and each of them.

mod ledger;

use std::net::{IpAddr, Ipv6Addr};

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
