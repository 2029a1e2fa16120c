//! Proxies in front of the hub, whose word counts on how a request reached them (B-958, B-1017).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use ipnet::IpNet;
use talaria_hub::Connection;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What `private_ranges` stands for (B-296).
const PRIVATE: [&str; 6] = [
    "192.168.0.0/16",
    "172.16.0.0/12",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "fd00::/8",
    "::1/128",
];

/// The addresses of trusted proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Reads addresses, ranges (`10.0.0.0/8`) and `private_ranges`.
    ///
    /// # Errors
    /// The first word that is none of them.
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

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }

    /// The client's address in `X-Forwarded-For`: the last one that is not a trusted proxy's, since
    /// what stands before it may be the client's invention.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        /// Proxies that a request may have passed.
        const HOPS: usize = 16;
        let fields = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = None;
        for entry in entries.take(HOPS) {
            let Some(address) = address(entry) else {
                // Its author does not say where the request comes from.
                break;
            };
            client = Some(address);
            if !self.contain(address) {
                break;
            }
        }
        client
    }

    fn trust(&self, connection: &Connection) -> bool {
        connection.peer.is_some_and(|peer| self.contain(peer.ip()))
    }

    /// The connection of a request, with the client's address if a trusted proxy says it.
    pub fn connection(&self, parts: &Parts) -> Option<Connection> {
        let mut connection = *parts.extensions.get::<Connection>()?;
        if self.trust(&connection) {
            connection.client = self.client(&parts.headers);
        }
        Some(connection)
    }

    /// Gives a request of a trusted proxy the scheme and the host that its client used, and the
    /// client's address. Of a list the last value counts: the one that the proxy wrote itself. Returns
    /// whether the host is the proxy's.
    pub fn restore(&self, parts: &mut Parts) -> bool {
        let connection = self.connection(parts);
        let Some(mut connection) = connection.filter(|connection| self.trust(connection)) else {
            return false;
        };
        let last = |name| {
            let field = parts
                .headers
                .get_all(name)
                .iter()
                .next_back()?
                .to_str()
                .ok()?;
            let value = field.rsplit(',').next()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        match last("x-forwarded-proto").as_deref() {
            Some("https") => connection.tls = true,
            Some("http") => connection.tls = false,
            _ => {}
        }
        parts.extensions.insert(connection);
        let host = last("x-forwarded-host").and_then(|host| HeaderValue::try_from(host).ok());
        let Some(host) = host else {
            return false;
        };
        parts.headers.insert(HOST, host);
        // HTTP/2 has the proxy's name for us there, and it must not contradict.
        let target = parts.uri.path_and_query().cloned();
        parts.uri = target.map(Uri::from).unwrap_or_default();
        true
    }
}

/// An address as proxies forward it, some with a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

/// A range of IPv4 addresses that is written as IPv6 (RFC 4291, section 2.5.5.2) as the former, which
/// peers are compared as.
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

impl std::fmt::Display for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ranges: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&ranges.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(peer: &str, fields: &[(&'static str, &'static str)]) -> (Connection, String) {
        let proxies = Proxies::parse(["10.0.0.0/8", "::1"]).unwrap();
        let mut request = http::Request::get("/x?y=1").header(HOST, "inside");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let peer = format!("{peer}:1").parse().unwrap();
        parts.extensions.insert(Connection::new(false, peer));
        proxies.restore(&mut parts);
        assert_eq!(parts.uri, "/x?y=1");
        let connection = *parts.extensions.get::<Connection>().unwrap();
        let host = parts.headers[HOST].to_str().unwrap().to_owned();
        (connection, host)
    }

    fn restored(peer: &str, fields: &[(&'static str, &'static str)]) -> (bool, String) {
        let (connection, host) = after(peer, fields);
        (connection.tls, host)
    }

    #[test]
    fn a_client_is_the_last_address_that_is_not_a_trusted_proxy() {
        let client = |peer, fields: &[&'static str]| {
            let fields: Vec<_> = fields.iter().map(|field| (FORWARDED_FOR, *field)).collect();
            let client = after(peer, &fields).0.client_address();
            client.map(|client| client.to_string()).unwrap_or_default()
        };
        for (fields, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            // What the client claimed stands before what the proxy saw.
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9", "192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.7, 10.0.0.8"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::/64"),
            (&["[2001:db8::1]:4711"], "2001:db8::/64"),
            (&["[2001:db8::1]"], "2001:db8::/64"),
            // A client of the proxies' own network.
            (&["10.0.0.7"], "10.0.0.7"),
            (&["192.0.2.1, unknown"], "10.1.2.3"),
            (&["192.0.2.1, nonsense, 10.0.0.7"], "10.0.0.7"),
            (&["192.0.2.1,"], "10.1.2.3"),
            (&[""], "10.1.2.3"),
            (&[], "10.1.2.3"),
        ] {
            assert_eq!(client("10.1.2.3", fields), expected, "{fields:?}");
        }
        assert_eq!(
            client("11.1.2.3", &["192.0.2.1"]),
            "11.1.2.3",
            "not trusted"
        );
    }

    #[test]
    fn only_the_word_of_a_trusted_proxy_counts() {
        let outside = [("x-forwarded-proto", "https"), ("x-forwarded-host", "out")];
        for peer in ["10.1.2.3", "[::ffff:10.1.2.3]", "[::1]"] {
            assert_eq!(restored(peer, &outside), (true, "out".to_owned()), "{peer}");
        }
        for peer in ["11.1.2.3", "[::2]"] {
            assert_eq!(
                restored(peer, &outside),
                (false, "inside".to_owned()),
                "{peer}"
            );
        }
        // What its client claimed comes first.
        let forged = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "evil, out"),
        ];
        assert_eq!(restored("10.0.0.1", &forged), (false, "out".to_owned()));
        assert_eq!(restored("10.0.0.1", &[]), (false, "inside".to_owned()));
    }

    #[test]
    fn ranges_are_read() {
        let all = Proxies::parse(["private_ranges"]).unwrap();
        assert_eq!(all.to_string(), PRIVATE.join(" "));
        let mapped = Proxies::parse(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]).unwrap();
        assert_eq!(mapped.to_string(), "10.0.0.0/8 192.0.2.1/32");
        assert_eq!(
            Proxies::parse(["10.0.0.1", "nonsense"]).unwrap_err(),
            "nonsense"
        );
    }
}
