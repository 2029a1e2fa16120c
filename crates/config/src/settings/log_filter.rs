//! What is done to the fields of a line of a log.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex::Regex;

/// What is done to one field of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldFilter {
    /// It is left out.
    Delete,
    /// It has this value.
    Replace(String),
    /// Its value is a hash of what it was.
    Hash,
    /// It has this name.
    Rename(String),
    /// Of its addresses only this much stays.
    IpMask(AddressMask),
    /// It is a target, and these parameters of its query change.
    Query(Vec<(String, ParameterChange)>),
    /// It is the field `Cookie`, and these cookies change.
    Cookie(Vec<(String, ParameterChange)>),
    /// What fits these regular expressions is replaced, in this order.
    Regexp(Vec<Substitution>),
}

/// What happens to a parameter of the query, or to a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterChange {
    /// It has this value.
    Replace(String),
    /// It is left out.
    Delete,
    /// Its value is a hash of what it was.
    Hash,
}

/// What fits a regular expression, and what stands instead.
#[derive(Debug, Clone)]
pub struct Substitution {
    pub(crate) regex: Regex,
    pub(crate) with: String,
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.with == other.with
    }
}

impl Substitution {
    /// The text with everything replaced that fits.
    pub fn apply(&self, text: &str) -> String {
        self.regex
            .replace_all(text, self.with.as_str())
            .into_owned()
    }
}

/// How many bits stay of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressMask {
    /// Of an IPv4 address.
    pub ipv4: u8,
    /// Of an IPv6 address.
    pub ipv6: u8,
}

impl AddressMask {
    /// What stays of an address.
    pub fn masked(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = 32_u32.saturating_sub(self.ipv4.into());
                let mask = u32::MAX.checked_shl(bits).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let bits = 128_u32.saturating_sub(self.ipv6.into());
                let mask = u128::MAX.checked_shl(bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked() {
        let mask = AddressMask { ipv4: 16, ipv6: 32 };
        let all = AddressMask::default();
        let whole = AddressMask {
            ipv4: 32,
            ipv6: 128,
        };
        for (address, masked) in [
            ("203.0.113.9", "203.0.0.0"),
            ("::ffff:203.0.113.9", "203.0.0.0"),
            ("2001:db8:1:2::3", "2001:db8::"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(mask.masked(address).to_string(), masked);
            assert_eq!(whole.masked(address), address.to_canonical());
            assert!(all.masked(address).is_unspecified());
        }
    }
}
