//! The admin listener as the configuration describes it (B-095).

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The port of an admin address that names none.
const PORT: u16 = 2019;

/// What the configuration says about the admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it listens; `None` if there is none.
    pub address: Option<AdminAddress>,
    /// The hosts or origins by which it may be called; empty for those of its address.
    pub origins: Vec<String>,
    /// Whether each request must name an origin that is allowed.
    pub enforce_origin: bool,
    /// Whether a configuration that it loads is kept for `run --resume` (B-294).
    pub persists: bool,
}

impl Default for AdminSettings {
    /// Without a listener, as `talaria dev` runs.
    fn default() -> Self {
        Self {
            address: None,
            origins: Vec::new(),
            enforce_origin: false,
            persists: true,
        }
    }
}

/// Where the admin listener can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A host and a port of TCP.
    Tcp {
        /// A name or an address without brackets; empty for every interface.
        host: String,
        /// The port; 0 lets the system choose one.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl AdminAddress {
    /// The address unless something else is configured.
    #[must_use]
    pub fn standard() -> Self {
        Self::Tcp {
            host: "localhost".to_owned(),
            port: PORT,
        }
    }

    /// Reads `host:port`, `host`, `:port` or `unix//path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Err("a URL is not an address; write its host and port only");
        }
        if let Some(path) = text.strip_prefix("unix/") {
            // The mode of the file may follow: this program makes it readable to its user alone.
            let path = path.split('|').next().unwrap_or_default();
            return match path.starts_with('/') {
                true => Ok(Self::Unix(PathBuf::from(path))),
                false => Err("the path of a socket must be absolute: unix//run/hub.sock"),
            };
        }
        let text = text.strip_prefix("tcp/").unwrap_or(text);
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.contains('/') {
            return Err("only TCP addresses and unix//path are supported");
        }
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address without a port has colons too.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (
                host,
                port.parse()
                    .map_err(|_| "the port is not a number up to 65535")?,
            ),
            _ => (text, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.parse::<IpAddr>().is_err() && !host.chars().all(is_name) {
            return Err("the host is neither a name nor an IP address");
        }
        Ok(Self::Tcp {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Self::Unix(_) => true,
        }
    }

    /// Whether it listens on every interface.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host.is_empty() || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
            }
            Self::Unix(_) => false,
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix/{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("localhost:2019", "localhost:2019"),
            ("LOCALHOST", "localhost:2019"),
            (":2020", ":2020"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:2019", "[::1]:2019"),
            ("::1", "[::1]:2019"),
            ("tcp/admin.internal:1", "admin.internal:1"),
            ("unix//run/hub.sock|0220", "unix//run/hub.sock"),
        ] {
            assert_eq!(AdminAddress::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "http://a",
            "localhost:x",
            "localhost:70000",
            "unix/a",
            "a b:1",
            "udp/a:1",
        ] {
            assert!(AdminAddress::parse(text).is_err(), "{text}");
        }
        let parse = |text| AdminAddress::parse(text).unwrap();
        assert!(parse("localhost").is_loopback() && parse("[::1]:1").is_loopback());
        assert!(!parse(":1").is_loopback() && parse(":1").is_everywhere());
        assert!(parse("[::]:1").is_everywhere() && !parse("10.0.0.1").is_everywhere());
    }
}
