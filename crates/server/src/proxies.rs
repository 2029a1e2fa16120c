//! Proxies in front of the hub, whose word counts on how a request reached them (B-958, B-1017).

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Uri};
use ipnet::IpNet;
use talaria_hub::Connection;

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

    fn trusts(&self, connection: Connection) -> bool {
        let peer = connection.peer.map(|peer| peer.ip().to_canonical());
        peer.is_some_and(|peer| self.0.iter().any(|range| range.contains(&peer)))
    }

    /// Gives a request of a trusted proxy the scheme and the host that its client used. Of a list
    /// the last value counts: the one that the proxy wrote itself.
    pub fn restore(&self, parts: &mut Parts) {
        let connection = parts.extensions.get::<Connection>().copied();
        let Some(mut connection) = connection.filter(|connection| self.trusts(*connection)) else {
            return;
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
        if let Some(host) = host {
            parts.headers.insert(HOST, host);
            // HTTP/2 has the proxy's name for us there, and it must not contradict.
            let target = parts.uri.path_and_query().cloned();
            parts.uri = target.map(Uri::from).unwrap_or_default();
        }
    }
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

    fn restored(peer: &str, fields: &[(&'static str, &'static str)]) -> (bool, String) {
        let proxies = Proxies::parse(["10.0.0.0/8", "::1"]).unwrap();
        let mut request = http::Request::get("/x?y=1").header(HOST, "inside");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Connection {
            tls: false,
            peer: Some(format!("{peer}:1").parse().unwrap()),
        });
        proxies.restore(&mut parts);
        assert_eq!(parts.uri, "/x?y=1");
        let tls = parts.extensions.get::<Connection>().unwrap().tls;
        (tls, parts.headers[HOST].to_str().unwrap().to_owned())
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
