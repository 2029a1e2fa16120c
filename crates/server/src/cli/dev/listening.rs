//! Where the development hub listens, and how its clients call it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use talaria_config::Error;
use talaria_config::settings::ListenAddress;
use talaria_protocol::HUB_PATH;

/// The port unless a flag names another one.
const PORT: u16 = 3000;

/// Where the hub listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listening {
    pub ip: IpAddr,
    pub port: u16,
    pub https: bool,
}

impl Listening {
    /// Reads `--address`, `--port` and `--https`.
    ///
    /// # Errors
    /// The address is not an IP address, or both flags name a port.
    pub(super) fn read(
        address: Option<&str>,
        port: Option<u16>,
        https: bool,
    ) -> Result<Self, Error> {
        let (ip, own) = match address {
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), None),
            Some(text) => parsed(text).ok_or_else(|| {
                Error::new(format!(
                    "--address {text}: this is not an IP address of this machine"
                ))
                .remedy("write for example --address 0.0.0.0 for every interface, or --address 192.168.1.5:3001")
            })?,
        };
        if let (Some(own), Some(port)) = (own, port)
            && own != port
        {
            return Err(Error::new(format!(
                "--address names the port {own}, and --port {port} another one"
            ))
            .remedy("name it once"));
        }
        Ok(Self {
            ip,
            port: own.or(port).unwrap_or(PORT),
            https,
        })
    }

    /// Whether other machines reach it.
    pub(super) fn is_open(&self) -> bool {
        !self.ip.is_loopback()
    }

    /// The addresses to serve. Over plain HTTP every host is served, so that `localhost` and a forwarded port work
    /// too; over HTTPS those that the certificate names.
    pub(super) fn addresses(&self) -> Vec<ListenAddress> {
        let address = |host: Option<String>| ListenAddress {
            host,
            bind: vec![self.ip],
            port: self.port,
            tls: self.https,
        };
        if !self.https {
            return vec![address(None)];
        }
        let mut hosts = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "[::1]".to_owned(),
        ];
        if self.is_open() {
            hosts.extend(machine_name());
            if !self.ip.is_unspecified() {
                hosts.push(in_url(self.ip));
            }
        }
        hosts.into_iter().map(|host| address(Some(host))).collect()
    }

    /// The hub's URL for a client on this machine. `bound` has the port that the system chose.
    pub(super) fn url(&self, bound: SocketAddr) -> String {
        let host = match self.ip {
            _ if self.https => "localhost".to_owned(),
            IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            IpAddr::V6(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip => in_url(ip),
        };
        self.url_of(&host, bound)
    }

    /// The hub's URL for clients that call it `host`.
    pub(super) fn url_of(&self, host: &str, bound: SocketAddr) -> String {
        let address = ListenAddress {
            host: None,
            bind: Vec::new(),
            port: bound.port(),
            tls: self.https,
        };
        address.url_on(host)
    }
}

/// The URL that tokens may name on every development hub, whatever its clients call it.
pub(super) fn common_url() -> String {
    format!("https://localhost{HUB_PATH}")
}

/// An IP address, with a port if there is one.
fn parsed(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip(), Some(address.port())));
    }
    if let Some(port) = text.strip_prefix(':') {
        return Some((IpAddr::V6(Ipv6Addr::UNSPECIFIED), Some(port.parse().ok()?)));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(ip) => Some((ip, None)),
        Err(_) if text == "localhost" => Some((IpAddr::V4(Ipv4Addr::LOCALHOST), None)),
        Err(_) => None,
    }
}

fn in_url(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The name of this machine, if it is one that a local authority certifies.
fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().to_ascii_lowercase();
    let is_label = !name.is_empty()
        && name.len() < 64
        && name.bytes().any(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_label && name != "localhost").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each form of an address, and the URL for a client on this machine.
    #[test]
    fn addresses_are_read() {
        for (address, port, https, url) in [
            (None, None, false, "http://127.0.0.1:3000"),
            (None, Some(80), false, "http://127.0.0.1"),
            (Some("0.0.0.0"), Some(8080), false, "http://127.0.0.1:8080"),
            (
                Some("0.0.0.0:8080"),
                Some(8080),
                false,
                "http://127.0.0.1:8080",
            ),
            (Some(":8080"), None, false, "http://127.0.0.1:8080"),
            (Some("[::1]"), None, false, "http://[::1]:3000"),
            (Some("[::1]:80"), None, false, "http://[::1]"),
            (Some("192.0.2.1"), None, false, "http://192.0.2.1:3000"),
            (Some("192.0.2.1"), Some(443), true, "https://localhost"),
            (Some("localhost"), None, true, "https://localhost:3000"),
        ] {
            let read = Listening::read(address, port, https).unwrap();
            let bound = SocketAddr::new(read.ip, read.port);
            assert_eq!(read.url(bound), format!("{url}{HUB_PATH}"), "{address:?}");
        }
        for (address, port) in [("hub.example", None), ("0.0.0.0:1", Some(2)), (":x", None)] {
            assert!(
                Listening::read(Some(address), port, false).is_err(),
                "{address}"
            );
        }
    }

    /// Only names that the local authority certifies are served over HTTPS.
    #[test]
    fn hosts_of_the_certificate() {
        let hosts = |text| {
            let listening = Listening::read(Some(text), None, true).unwrap();
            let addresses = listening.addresses().into_iter();
            addresses
                .map(|address| address.host.unwrap())
                .collect::<Vec<_>>()
        };
        let local = ["localhost", "127.0.0.1", "[::1]"];
        assert_eq!(hosts("127.0.0.1"), local);
        let open = hosts("192.0.2.1");
        assert_eq!(open[..3], local);
        assert_eq!(open.last().unwrap(), "192.0.2.1");
    }
}
