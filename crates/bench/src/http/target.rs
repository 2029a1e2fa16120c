//! The measured hub, and the requests to it.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use talaria_protocol::HUB_PATH;
use url::form_urlencoded::Serializer;
use url::{Host, Url};

/// Where to connect and what to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The hub's address.
    pub(crate) address: SocketAddr,
    /// The host and port as the URL has them.
    pub(crate) authority: String,
    /// The hub's path.
    pub(crate) path: String,
}

/// A URL that the bench does not load.
#[derive(Debug, thiserror::Error)]
#[error(
    "--url {url:?}: {why}\n  give the hub's URL on a loopback address, such as \
     http://127.0.0.1:3000/.well-known/mercure"
)]
pub(crate) struct TargetError {
    url: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("{0}")]
    Invalid(url::ParseError),
    #[error("the bench speaks only plain HTTP")]
    Scheme,
    #[error("{0}")]
    Unresolved(io::Error),
    #[error("the bench loads only hubs on this machine")]
    Remote,
}

impl Target {
    /// Reads a hub's URL.
    ///
    /// # Errors
    /// Refuses anything but plain HTTP to a loopback address: the load would harm other machines, and their
    /// clocks would make latencies meaningless.
    pub(crate) fn parse(url: &str) -> Result<Self, TargetError> {
        let refused = |why| TargetError {
            url: url.to_owned(),
            why,
        };
        let parsed = Url::parse(url).map_err(|error| refused(Why::Invalid(error)))?;
        if parsed.scheme() != "http" {
            return Err(refused(Why::Scheme));
        }
        let port = parsed.port().unwrap_or(80);
        let address = match parsed.host() {
            Some(Host::Ipv4(ip)) => Some((ip, port).into()),
            Some(Host::Ipv6(ip)) => Some((ip, port).into()),
            Some(Host::Domain(name @ "localhost")) => (name, port)
                .to_socket_addrs()
                .map_err(|error| refused(Why::Unresolved(error)))?
                .find(SocketAddr::is_ipv4),
            _ => None,
        };
        let address = address
            .filter(|address| address.ip().is_loopback())
            .ok_or_else(|| refused(Why::Remote))?;
        let authority = match parsed.port() {
            Some(port) => format!("{}:{port}", parsed.host_str().unwrap_or_default()),
            None => parsed.host_str().unwrap_or_default().to_owned(),
        };
        Ok(Self {
            address,
            authority,
            path: match parsed.path() {
                "/" => HUB_PATH.to_owned(),
                path => path.to_owned(),
            },
        })
    }

    /// A subscription to one topic. It resumes after `last_event_id` unless that is empty.
    pub(crate) fn subscribe(
        &self,
        topic: &str,
        last_event_id: &str,
        token: Option<&str>,
    ) -> Vec<u8> {
        let query = Serializer::new(String::new())
            .append_pair("match", topic)
            .finish();
        let mut request = format!(
            "GET {}?{query} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n",
            self.path, self.authority
        );
        if !last_event_id.is_empty() {
            _ = write!(request, "Last-Event-ID: {last_event_id}\r\n");
        }
        push_token(&mut request, token);
        request.push_str("\r\n");
        request.into_bytes()
    }

    /// Writes a publish request over the previous one.
    pub(crate) fn publish(&self, request: &mut String, publish: &Publish<'_>) {
        let mut body = Serializer::new(String::new());
        body.append_pair("topic", publish.topic)
            .append_pair("data", publish.data);
        if publish.private {
            body.append_pair("private", "on");
        }
        let body = body.finish();
        request.clear();
        // Writing into a string cannot fail.
        _ = write!(
            request,
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n",
            self.path,
            self.authority,
            body.len()
        );
        push_token(request, publish.token);
        request.push_str("\r\n");
        request.push_str(&body);
    }
}

/// One update to publish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publish<'a> {
    /// Its only topic.
    pub(crate) topic: &'a str,
    /// Its content.
    pub(crate) data: &'a str,
    /// Whether it is private.
    pub(crate) private: bool,
    /// The publisher's token.
    pub(crate) token: Option<&'a str>,
}

fn push_token(request: &mut String, token: Option<&str>) {
    if let Some(token) = token {
        _ = write!(request, "Authorization: Bearer {token}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only plain HTTP to this machine is accepted.
    #[test]
    fn other_machines_are_refused() {
        for url in [
            "https://127.0.0.1/.well-known/mercure",
            "http://192.0.2.1/",
            "http://example.com:3000/",
            "http://[2001:db8::1]/",
            "127.0.0.1:3000",
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(
                error.contains(url) && error.contains("loopback"),
                "{url}: {error}"
            );
        }
        let target = Target::parse("http://127.0.0.2:3000/.well-known/mercure").unwrap();
        assert_eq!(target.address, "127.0.0.2:3000".parse().unwrap());
        assert!(Target::parse("http://[::1]:80/").is_ok());
    }

    /// Topics are percent-encoded and tokens presented in `Authorization`.
    #[test]
    fn requests_are_encoded() {
        let target = Target::parse("http://127.0.0.1:3000/.well-known/mercure").unwrap();
        let request = target.subscribe("a b&c", "", Some("t"));
        assert_eq!(
            String::from_utf8(request).unwrap(),
            "GET /.well-known/mercure?match=a+b%26c HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\
             Accept: text/event-stream\r\nAuthorization: Bearer t\r\n\r\n"
        );
        let mut request = "old".to_owned();
        let publish = Publish {
            topic: "a b",
            data: "x",
            private: true,
            token: None,
        };
        target.publish(&mut request, &publish);
        assert!(request.starts_with("POST /.well-known/mercure HTTP/1.1\r\n"));
        assert!(request.ends_with("Content-Length: 27\r\n\r\ntopic=a+b&data=x&private=on"));
    }
}
