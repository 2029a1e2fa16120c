//! The addresses of trusted proxies.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// What `private_ranges` stands for (B-296).
const PRIVATE: [&str; 6] = [
    "192.168.0.0/16",
    "172.16.0.0/12",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "fd00::/8",
    "::1/128",
];

/// The addresses of the proxies whose `X-Forwarded-…` fields are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Reads addresses, ranges (`10.0.0.0/8`) and `private_ranges`.
    ///
    /// # Errors
    /// The first word that is not one of them.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut ranges = Vec::new();
        for word in words {
            let range = |word: &str| {
                let address = || word.parse::<IpAddr>().map(IpNet::from);
                word.parse().or_else(|_| address()).ok().map(canonical)
            };
            match word {
                "private_ranges" => ranges.extend(PRIVATE.iter().filter_map(|word| range(word))),
                _ => ranges.push(range(word).ok_or(word)?),
            }
        }
        Ok(Self(ranges.into()))
    }

    /// Whether no proxy is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is that of a trusted proxy.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// The IPv4 range that an IPv6 range stands for, if it is a mapped one (RFC 4291, section 2.5.5.2): the
/// addresses of peers are compared in their IPv4 form.
fn canonical(range: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let mapped = match range {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped(),
        IpNet::V4(_) => None,
    };
    let length = range.prefix_len().checked_sub(MAPPED);
    mapped
        .zip(length)
        .and_then(|(address, length)| IpNet::new(address.into(), length).ok())
        .unwrap_or(range)
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&ranges.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let all = TrustedProxies::parse(["private_ranges"]).unwrap();
        assert_eq!(all.to_string(), PRIVATE.join(" "));
        let mapped = TrustedProxies::parse(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]).unwrap();
        assert_eq!(mapped.to_string(), "10.0.0.0/8 192.0.2.1/32");
        assert_eq!(
            TrustedProxies::parse(["10.0.0.1", "nonsense"]).unwrap_err(),
            "nonsense"
        );
    }
}
