//! Where requests are logged, and what each line leaves out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// Where requests are logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessLogSettings {
    /// Whether in the log of the program.
    pub to_program: bool,
    /// The files, to which lines are added.
    pub files: Vec<LogFileSettings>,
    /// What is changed in each line.
    pub filter: LogFilter,
}

/// A file to which lines are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileSettings {
    /// Its path.
    pub path: PathBuf,
    /// When another file takes its place; `None` for never.
    pub roll: Option<RollSettings>,
}

/// When a file is moved away for a new one, and which of those that were moved are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollSettings {
    /// The bytes from which on it is moved away.
    pub size: u64,
    /// How many are kept.
    pub keep: usize,
    /// How long they are kept.
    pub keep_for: Duration,
}

impl Default for RollSettings {
    /// The values of the existing server.
    fn default() -> Self {
        Self {
            size: 100 << 20,
            keep: 10,
            keep_for: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// What is changed in the lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// Parameters of the query.
    pub query: Vec<(String, ParameterChange)>,
    /// What stays of the address of the peer.
    pub remote_ip: Option<AddressMask>,
    /// What stays of the address of the client.
    pub client_ip: Option<AddressMask>,
}

/// What happens to a parameter of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterChange {
    /// It has this value.
    Replace(String),
    /// It is left out.
    Delete,
    /// Its value is a hash of what it was.
    Hash,
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
