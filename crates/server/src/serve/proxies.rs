//! What trusted proxies say about how a request reached them (B-958, B-1017).

use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use talaria_config::proxies::TrustedProxies;
use talaria_hub::Connection;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The trusted proxies, and what they say about a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(TrustedProxies);

impl From<TrustedProxies> for Proxies {
    fn from(trusted: TrustedProxies) -> Self {
        Self(trusted)
    }
}

impl Proxies {
    /// Whether an address is that of a trusted proxy.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.0.contain(address)
    }

    /// The client's address in `X-Forwarded-For`: the last one that is not a trusted proxy's, because the
    /// client may have invented the ones before it.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        /// The most proxies that a request may have passed.
        const HOPS: usize = 16;
        let fields = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = None;
        for entry in entries.take(HOPS) {
            let Some(address) = address(entry) else {
                // The proxy that wrote this entry does not say where the request comes from.
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
    pub(crate) fn connection(&self, parts: &Parts) -> Option<Connection> {
        let mut connection = *parts.extensions.get::<Connection>()?;
        if self.trust(&connection) {
            connection.client = self.client(&parts.headers);
        }
        Some(connection)
    }

    /// Gives a request of a trusted proxy the scheme and the host that its client used, and the
    /// client's address. The last value of a list counts, because the proxy wrote it itself. Returns
    /// whether the proxy named the host.
    pub(crate) fn restore(&self, parts: &mut Parts) -> bool {
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
        // Over HTTP/2 the URI holds the name under which the proxy knows us, which must not contradict `Host`.
        let target = parts.uri.path_and_query().cloned();
        parts.uri = target.map(Uri::from).unwrap_or_default();
        true
    }
}

/// Reads an address as proxies forward it, some with a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(peer: &str, fields: &[(&'static str, &'static str)]) -> (Connection, String) {
        let proxies = Proxies(TrustedProxies::parse(["10.0.0.0/8", "::1"]).unwrap());
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
            // The client claimed the first address, and the proxy saw the second.
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.9", "192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.7, 10.0.0.8"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::/64"),
            (&["[2001:db8::1]:4711"], "2001:db8::/64"),
            (&["[2001:db8::1]"], "2001:db8::/64"),
            // The client is in the proxies' own network.
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
        // The client claimed the first value of each.
        let forged = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "evil, out"),
        ];
        assert_eq!(restored("10.0.0.1", &forged), (false, "out".to_owned()));
        assert_eq!(restored("10.0.0.1", &[]), (false, "inside".to_owned()));
    }
}
