//! Site addresses, and whether each speaks HTTPS (B-061).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::Error;
use crate::lexer::Word;
use crate::list;
use crate::settings::ListenAddress;
use crate::shown::show;
use crate::tree::Line;

const REMEDY: &str = "write for example localhost (HTTPS with a local certificate), :80 (plain HTTP, every host) or \
                      http://hub.example:80 (plain HTTP, that host only)";

/// The ports of addresses without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The port of plain HTTP.
    pub http: u16,
    /// The port of HTTPS.
    pub https: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            http: 80,
            https: 443,
        }
    }
}

/// The addresses in `words`, separated by spaces, commas or both (B-061).
///
/// # Errors
///
/// An address that would need TLS, is malformed or occurs twice, or no address at all.
pub(crate) fn addresses(words: &[Word], ports: Ports) -> Result<Vec<ListenAddress>, Error> {
    let mut addresses: Vec<ListenAddress> = Vec::new();
    for word in list::items("", words)? {
        let address = address(&word, ports)?;
        // Port 0 is a new port each time.
        if address.port != 0 && addresses.contains(&address) {
            return Err(word.error(format!("the address {} occurs twice", show(&word.text))));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// A site address as it is written.
struct Written<'a> {
    scheme: Option<String>,
    host: &'a str,
    /// The host, if it is an IP address.
    ip: Option<IpAddr>,
    port: Option<u16>,
}

fn address(word: &Word, ports: Ports) -> Result<ListenAddress, Error> {
    let text = word.text.as_str();
    let malformed = |why: &str| {
        word.error(format!("{} is not a site address: {why}", show(text))).remedy(
            "write :<port>, <name>:80 or http://<name>[:<port>], for example :3000 or http://hub.example:80",
        )
    };
    let written = split(text).map_err(malformed)?;
    let Written { host, ip, port, .. } = written;
    // One label may be anything.
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if ip.is_none() && (!name.bytes().all(is_name_byte) || name.is_empty() != host.is_empty()) {
        return Err(malformed("its host is neither a name nor an IP address"));
    }
    if host.is_empty() && port.is_none() && written.scheme.is_none() {
        return Err(malformed("it has neither scheme nor host nor port"));
    }
    // Without a scheme the port decides: plain HTTP is the port of HTTP, and a port without a host, except
    // that of HTTPS.
    let tls = match written.scheme.as_deref() {
        Some(scheme) => scheme == "https",
        None => port != Some(ports.http) && (!host.is_empty() || port == Some(ports.https)),
    };
    let host = match ip {
        Some(IpAddr::V6(ip)) => Some(format!("[{ip}]")),
        Some(ip) => Some(ip.to_string()),
        None => Some(host.to_ascii_lowercase()).filter(|host| !host.is_empty()),
    };
    // The unspecified address is not a host that a request could name.
    let host = host.filter(|_| !ip.is_some_and(|ip| ip.is_unspecified()));
    Ok(ListenAddress {
        host,
        bind: Vec::new(),
        port: port.unwrap_or(if tls { ports.https } else { ports.http }),
        tls,
    })
}

/// Splits an address into its parts.
///
/// # Errors
///
/// Why the text is not an address.
fn split(text: &str) -> Result<Written<'_>, &'static str> {
    let (scheme, authority) = match text.split_once("://") {
        Some((scheme, authority)) => (Some(scheme.to_ascii_lowercase()), authority),
        None => (None, text),
    };
    if !matches!(scheme.as_deref(), Some("https" | "http") | None) {
        return Err("only http:// and https:// are supported");
    }
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#', '@']) {
        return Err("it has more than a host and a port");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of a bare IPv6 address does not stand before a port.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port.map(str::parse) {
        Some(Err(_)) => return Err("its port is not a number up to 65535"),
        Some(Ok(port)) => Some(port),
        None => None,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let ip = match bare.map(str::parse) {
        Some(Ok(ip @ IpAddr::V6(_))) => Some(ip),
        Some(_) => return Err("the brackets do not hold an IPv6 address"),
        None => host.parse().ok(),
    };
    Ok(Written {
        scheme,
        host,
        ip,
        port,
    })
}

/// The interfaces of a `bind` or `default_bind` line, as IP addresses.
///
/// # Errors
///
/// There is none, one is not an IP address, or one occurs twice.
pub(crate) fn interfaces(line: &Line) -> Result<Vec<IpAddr>, Error> {
    let mut interfaces = Vec::new();
    for word in &line.without_block()?.args {
        for text in word.text.split(',').filter(|text| !text.is_empty()) {
            let ip = interface(text, word)?;
            if interfaces.contains(&ip) {
                return Err(word.error(format!("the address {} occurs twice", show(text))));
            }
            interfaces.push(ip);
        }
    }
    if interfaces.is_empty() {
        return Err(line.missing("at least one IP address"));
    }
    Ok(interfaces)
}

fn interface(text: &str, word: &Word) -> Result<IpAddr, Error> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    if bare == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    bare.parse().map_err(|_| {
        let error = word.error(format!("{} is not an IP address", show(text)));
        if text.parse::<SocketAddr>().is_ok() {
            return error.remedy("leave the port out here; it belongs to the site address");
        }
        error.remedy("write an address of this machine, for example 127.0.0.1 or [::1]")
    })
}

/// The error for a `SERVER_NAME` that is unset or holds no address.
pub(crate) fn missing(problem: &str) -> Error {
    Error::new(problem).remedy(REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::lex;
    use crate::lexer::tests::text;

    fn parse(source: &str) -> Result<Vec<ListenAddress>, String> {
        addresses(&lex(&text(source)).unwrap(), Ports::default()).map_err(|error| error.to_string())
    }

    fn plain(host: Option<&str>, port: u16) -> ListenAddress {
        ListenAddress {
            host: host.map(str::to_owned),
            bind: Vec::new(),
            port,
            tls: false,
        }
    }

    /// Which addresses speak plain HTTP, for which host (B-061).
    #[test]
    fn plain_http_addresses() {
        assert_eq!(parse(":80"), Ok(vec![plain(None, 80)]));
        assert_eq!(parse(":0"), Ok(vec![plain(None, 0)]));
        assert_eq!(parse("http://"), Ok(vec![plain(None, 80)]));
        assert_eq!(
            parse("http://Hub.example"),
            Ok(vec![plain(Some("hub.example"), 80)])
        );
        assert_eq!(
            parse("http://hub.example:3000/"),
            Ok(vec![plain(Some("hub.example"), 3000)])
        );
        assert_eq!(parse("php:80"), Ok(vec![plain(Some("php"), 80)]));
        for (address, host) in [
            ("http://127.0.0.1:3000", Some("127.0.0.1")),
            ("http://192.0.2.10:3000", Some("192.0.2.10")),
            ("http://[::1]:3000", Some("[::1]")),
            ("http://[2001:DB8:0::1]:3000", Some("[2001:db8::1]")),
            ("http://0.0.0.0:3000", None),
            ("http://[::]:3000", None),
        ] {
            assert_eq!(parse(address), Ok(vec![plain(host, 3000)]), "{address}");
        }
        let both = vec![plain(None, 80), plain(Some("php"), 80)];
        for separated in [":80 php:80", ":80,php:80", ":80, php:80"] {
            assert_eq!(parse(separated), Ok(both.clone()), "{separated}");
        }
    }

    /// Which addresses speak HTTPS, for which host (B-061).
    #[test]
    fn https_addresses() {
        for (text, host, port) in [
            ("localhost", Some("localhost"), 443),
            ("php", Some("php"), 443),
            ("hub.example.com", Some("hub.example.com"), 443),
            ("localhost:8443", Some("localhost"), 8443),
            ("https://hub.local:80", Some("hub.local"), 80),
            (":443", None, 443),
            ("https://", None, 443),
        ] {
            let expected = ListenAddress {
                tls: true,
                ..plain(host, port)
            };
            assert_eq!(parse(text), Ok(vec![expected]), "{text}");
        }
        let both = parse("localhost, php:80").unwrap();
        assert_eq!((both[0].tls, both[1].tls), (true, false));
    }

    #[test]
    fn malformed_addresses_have_a_place() {
        for bad in [
            "/",
            "http://a/b",
            "ftp://a",
            ":x",
            ":70000",
            "http://[::1",
            "http://[x]:80",
            "a b!:80",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.starts_with("Caddyfile:1:"), "{error}");
        }
        assert!(parse(":80 :80").unwrap_err().contains("twice"));
    }
}
