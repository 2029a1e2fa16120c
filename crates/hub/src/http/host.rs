//! The host and the port that a request is for.

use std::net::Ipv6Addr;
use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Uri, Version};
use talaria_protocol::error::Shown;

/// The longest host name in bytes (RFC 1035, section 2.3.4, in its text form).
const MAX_HOST_BYTES: usize = 255;

/// A request without a usable authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// HTTP/1.1 demands the field, HTTP/2 the field or `:authority` (RFC 9112, section 3.2).
    #[error("the Host header field is missing; send exactly one")]
    Missing,
    /// Two servers could read two fields differently (RFC 9112, section 3.2).
    #[error("the Host header field occurs more than once; send exactly one")]
    Repeated,
    /// Two servers could read the request differently (RFC 9113, section 8.3.1).
    #[error("the Host header field differs from :authority; send the same in both, or only one")]
    Contradicting,
    /// It is not ASCII text, so it cannot be compared.
    #[error("the Host header field is not readable; send host and port in ASCII")]
    Unreadable,
    /// It has user information, which may be a password and is not shown (RFC 9110, section 4.2.4).
    #[error(
        "the host of the request has user information before an @; send host and port alone, and \
         the token in the Authorization header"
    )]
    UserInformation,
    /// It is not a host with or without a port (RFC 3986, section 3.2).
    #[error("the host of the request is {}, {problem}", Shown(.received))]
    Malformed {
        /// Its beginning.
        received: String,
        /// What is wrong with it, and the remedy.
        problem: &'static str,
    },
}

impl HostError {
    /// A stable name for the log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "host_missing",
            Self::Repeated => "host_repeated",
            Self::Contradicting => "host_contradicting",
            Self::Unreadable => "host_unreadable",
            Self::UserInformation => "host_user_information",
            Self::Malformed { .. } => "host_malformed",
        }
    }
}

/// The host and the port of a request or of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    text: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses `host[:port]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2).
    ///
    /// # Errors
    /// Anything else: user information, an empty host, a port beyond 65535, brackets without an
    /// IPv6 address, and characters that no host has. A percent-encoded character is among them: a
    /// server behind this one might decode it.
    pub fn parse(text: &'a str) -> Result<Self, HostError> {
        if text.contains('@') {
            return Err(HostError::UserInformation);
        }
        let malformed = |problem| {
            Err(HostError::Malformed {
                received: text.chars().take(MAX_HOST_BYTES).collect(),
                problem,
            })
        };
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address are inside its brackets.
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (text, ""),
        };
        let port = match port {
            "" => None,
            port if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
                Ok(port) => Some(port),
                Err(_) => return malformed("and its port is not a number up to 65535; correct it"),
            },
            _ => return malformed("and its port is not a number; send host and port alone"),
        };
        match host.strip_prefix('[') {
            _ if host.is_empty() => return malformed("without a host; send host and port"),
            _ if host.len() > MAX_HOST_BYTES => {
                return malformed("which is longer than any host name; send the hub's own name");
            }
            Some(address) if ipv6(address).is_none() => {
                return malformed("and its brackets do not hold an IPv6 address; correct it");
            }
            None if !host.bytes().all(is_of_name) => {
                return malformed(
                    "which has characters that no host name has; send it as the URL has it, in ASCII",
                );
            }
            _ => {}
        }
        Ok(Self { text, host, port })
    }

    /// The authority as the client wrote it.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The host in lower case. An IPv6 address is in brackets and in its short form, without the zone, which
    /// has a meaning on the client's machine only.
    pub fn host(&self) -> String {
        let address = self.host.strip_prefix('[').and_then(ipv6);
        address.map_or_else(
            || self.host.to_ascii_lowercase(),
            |address| format!("[{address}]"),
        )
    }

    /// The port, if the authority names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The origin of this authority, in lower case and without the default port of the scheme.
    pub fn origin(&self, scheme: &str) -> String {
        origin(scheme, &self.host(), self.port)
    }
}

/// The origin `scheme://host[:port]`, without the default port of the scheme.
pub fn origin(scheme: &str, host: &str, port: Option<u16>) -> String {
    let default = if scheme == "https" { 443 } else { 80 };
    match port.filter(|port| *port != default) {
        None => format!("{scheme}://{host}"),
        Some(port) => format!("{scheme}://{host}:{port}"),
    }
}

/// The IPv6 address between brackets, without its zone. `rest` is the text after the first bracket (RFC
/// 6874).
fn ipv6(rest: &str) -> Option<Ipv6Addr> {
    let inner = rest.strip_suffix(']')?;
    let Some((address, zone)) = inner.split_once('%') else {
        return inner.parse().ok();
    };
    let zone = zone.strip_prefix("25").unwrap_or(zone);
    let is_zone = !zone.is_empty() && zone.bytes().all(is_unreserved);
    address.parse().ok().filter(|_| is_zone)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether a byte may be in the name of a host. Containers and browsers use `_` as well, and the grammar
/// permits the rest.
fn is_of_name(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

/// The origin of the site address that answers a request, in the extensions of the request. A server whose
/// addresses have names sets it, so that a client cannot choose the identity of the hub by its `Host`: a
/// token for another port of this host is meant for another server.
#[derive(Debug, Clone)]
pub struct SiteOrigin(pub Arc<str>);

/// The host and the port of a request; `None` only for an HTTP/1.0 request without them.
///
/// # Errors
/// If an HTTP/1.1 request has no `Host`, if an HTTP/2 request has neither that nor `:authority`, if a
/// request has two, and if the value is not a host with or without a port.
pub fn host_of(parts: &Parts) -> Result<Option<Authority<'_>>, HostError> {
    host(&parts.headers, &parts.uri, parts.version)
}

fn host<'a>(
    headers: &'a HeaderMap,
    uri: &'a Uri,
    version: Version,
) -> Result<Option<Authority<'a>>, HostError> {
    let mut fields = headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HostError::Repeated);
    }
    let field = field
        .map(|field| field.to_str().map_err(|_| HostError::Unreadable))
        .transpose()?;
    match (field, uri.authority()) {
        (Some(field), None) => Authority::parse(field).map(Some),
        (Some(field), Some(target)) => {
            let target = Authority::parse(target.as_str())?;
            if version >= Version::HTTP_2 {
                let scheme = uri.scheme_str().unwrap_or("http");
                if Authority::parse(field)?.origin(scheme) != target.origin(scheme) {
                    return Err(HostError::Contradicting);
                }
            }
            // A client that takes the hub for a proxy names the host in the target, which has
            // precedence (RFC 9112, section 3.2.2).
            Ok(Some(target))
        }
        (None, Some(target)) if version != Version::HTTP_11 => {
            Authority::parse(target.as_str()).map(Some)
        }
        (None, None) if version <= Version::HTTP_10 => Ok(None),
        _ => Err(HostError::Missing),
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, uri: &str, hosts: &[&'static str]) -> Result<String, HostError> {
        let mut request = http::Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        host_of(&parts).map(|host| host.map_or_else(String::new, |host| host.as_str().to_owned()))
    }

    #[test]
    fn http_1_1_needs_exactly_one_host() {
        assert_eq!(of(Version::HTTP_11, "/", &[]), Err(HostError::Missing));
        assert_eq!(
            of(Version::HTTP_11, "/", &["a", "a"]),
            Err(HostError::Repeated)
        );
        assert_eq!(of(Version::HTTP_11, "/", &["a:1"]), Ok("a:1".to_owned()));
        assert_eq!(
            of(Version::HTTP_11, "http://b/", &["a"]),
            Ok("b".to_owned())
        );
        assert_eq!(
            of(Version::HTTP_11, "http://b/", &[]),
            Err(HostError::Missing)
        );
        assert_eq!(of(Version::HTTP_10, "/", &[]), Ok(String::new()));
        assert_eq!(
            of(Version::HTTP_10, "http://b/", &[]),
            Ok("b".to_owned()),
            "the target names it"
        );
        assert_eq!(of(Version::HTTP_2, "/", &[]), Err(HostError::Missing));
        assert_eq!(
            of(Version::HTTP_2, "http://b:2/", &[]),
            Ok("b:2".to_owned())
        );
    }

    /// The two are compared after normalization (RFC 9113, section 8.3.1).
    #[test]
    fn host_and_authority_agree() {
        for (uri, host) in [
            ("http://b:2/", "B:2"),
            ("http://b/", "b:80"),
            ("https://b:443/", "b"),
            ("http://[::1]/", "[0:0:0:0:0:0:0:1]"),
        ] {
            assert!(of(Version::HTTP_2, uri, &[host]).is_ok(), "{uri} {host}");
        }
        for (uri, host) in [
            ("http://b:2/", "b"),
            ("http://b/", "b:443"),
            ("http://b/", "c"),
            ("http://b/", "b."),
        ] {
            assert_eq!(
                of(Version::HTTP_2, uri, &[host]),
                Err(HostError::Contradicting),
                "{uri} {host}"
            );
        }
    }

    /// An authority is a host and a port, and nothing else (RFC 9110, section 7.2; RFC 3986, section 3.2).
    #[test]
    fn an_authority_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("Hub.Example", "hub.example", None),
            ("hub.example:0", "hub.example", Some(0)),
            ("hub.example:65535", "hub.example", Some(65535)),
            ("hub.example:0080", "hub.example", Some(80)),
            ("hub.example:", "hub.example", None),
            ("hub.example.", "hub.example.", None),
            ("my_container:80", "my_container", Some(80)),
            ("xn--hb-eka.example", "xn--hb-eka.example", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[2001:DB8:0::1]:80", "[2001:db8::1]", Some(80)),
            ("[fe80::1%25eth0]", "[fe80::1]", None),
            ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", None),
        ] {
            let parsed = Authority::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (parsed.host().as_str(), parsed.port(), parsed.as_str()),
                (host, port, text)
            );
        }
        for (text, words) in [
            ("", "without a host"),
            (":80", "without a host"),
            ("user@hub.example", "user information"),
            ("user:password@hub.example:80", "user information"),
            ("hub.example@", "user information"),
            ("hub.example:65536", "up to 65535"),
            ("hub.example:99999999999999999999", "up to 65535"),
            ("hub.example:80:90", "no host name has"),
            ("hub.example:+80", "not a number"),
            ("hub.example:-1", "not a number"),
            ("hub.example:http", "not a number"),
            ("hub.example: 80", "not a number"),
            ("hub.example /", "no host name has"),
            ("hub example", "no host name has"),
            ("hub.example/", "no host name has"),
            ("hub.example?", "no host name has"),
            ("hub.example#", "no host name has"),
            ("hub%2eexample", "no host name has"),
            ("hub.example\\", "no host name has"),
            ("http://hub.example", "not a number"),
            ("::1", "no host name has"),
            ("[::1", "IPv6"),
            ("[::1]x", "IPv6"),
            ("[::1]80", "IPv6"),
            ("[]", "IPv6"),
            ("[hub.example]", "IPv6"),
            ("[127.0.0.1]", "IPv6"),
            ("[v1.x]", "IPv6"),
            ("[::1%25]", "IPv6"),
            ("[::1%25a%2f]", "IPv6"),
            ("::1]", "no host name has"),
        ] {
            let error = Authority::parse(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("password"), "{error}");
        }
        let long = "a".repeat(256);
        let error = Authority::parse(&long).expect_err("too long").to_string();
        assert!(error.len() < 256, "{error}");
    }

    #[test]
    fn an_origin_has_no_default_port() {
        let of = |text, scheme| Authority::parse(text).expect(text).origin(scheme);
        assert_eq!(of("A:80", "http"), "http://a");
        assert_eq!(of("a:80", "https"), "https://a:80");
        assert_eq!(of("a:443", "https"), "https://a");
        assert_eq!(of("[::1]:0443", "https"), "https://[::1]");
        assert_eq!(of("a:8443", "https"), "https://a:8443");
    }
}
