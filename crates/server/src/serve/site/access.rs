//! The access log: one line for each request, without tokens (B-082).

use std::borrow::Cow;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};
use serde_json::json;
use talaria_config::Error;
use talaria_config::settings::{AccessLogSettings, LogFilter, ParameterChange};
use talaria_hub::{Connection, Sender, host_of};
use talaria_protocol::error::Shown;
use tokio::time::Instant;

use crate::serve::clock::unix_now;
use crate::serve::log::LogFile;

/// Where requests are logged. Cloning shares the files.
#[derive(Debug, Clone, Default)]
pub(super) struct AccessLog {
    to_program: bool,
    files: Arc<[Arc<LogFile>]>,
    filter: Arc<LogFilter>,
}

impl AccessLog {
    /// Opens its files.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(super) fn open(settings: &AccessLogSettings) -> Result<Self, Error> {
        let files = settings.files.iter().map(LogFile::open);
        Ok(Self {
            to_program: settings.to_program,
            files: files.collect::<Result<_, _>>()?,
            filter: Arc::new(settings.filter.clone()),
        })
    }

    /// Notes a request, if requests are logged.
    pub(super) fn begin(&self, parts: &Parts, connection: Option<&Connection>) -> Option<Entry> {
        let logs = self.to_program || !self.files.is_empty();
        logs.then(|| Entry::of(parts, connection, &self.filter))
    }

    /// Writes the line of a request, once the head of the answer is known. A stream may last for long after it.
    pub(super) fn write(&self, entry: &Entry, status: StatusCode) {
        if self.to_program {
            entry.write(status);
        }
        if self.files.is_empty() {
            return;
        }
        let line = entry.json(status);
        for file in self.files.iter() {
            file.push(line.as_bytes());
        }
    }
}

/// A request that is being answered.
pub(super) struct Entry {
    began: Instant,
    method: Method,
    version: Version,
    host: String,
    target: String,
    connection: Option<Connection>,
}

impl Entry {
    /// Notes a request. The value of its parameter `authorization`, which is a token, is left out.
    fn of(parts: &Parts, connection: Option<&Connection>, filter: &LogFilter) -> Self {
        let host = host_of(parts).ok().flatten();
        Self {
            began: Instant::now(),
            method: parts.method.clone(),
            version: parts.version,
            host: host.map_or_else(String::new, |host| host.host()),
            target: without_secrets(&parts.uri, filter),
            connection: connection.map(|connection| masked(*connection, filter)),
        }
    }

    fn write(&self, status: StatusCode) {
        let Sender { peer, client } = Sender::of(self.connection.as_ref());
        tracing::info!(
            method = %self.method,
            protocol = ?self.version,
            host = %Shown(&self.host),
            uri = %Shown(&self.target),
            status = status.as_u16(),
            milliseconds = self.began.elapsed().as_secs_f64() * 1e3,
            peer,
            client,
            "request"
        );
    }

    /// The line of a file, as the existing server writes it; without the fields of request and answer, which may
    /// hold secrets, and without the length, which is not known yet.
    fn json(&self, status: StatusCode) -> String {
        let peer = self.connection.and_then(|connection| connection.peer);
        let address = peer.map(|peer| peer.ip().to_canonical());
        let client = self.connection.and_then(|connection| connection.client);
        let text = |address: Option<std::net::IpAddr>| {
            address.map_or_else(String::new, |address| address.to_string())
        };
        let line = json!({
            "level": if status.is_server_error() { "error" } else { "info" },
            "ts": unix_now(),
            "logger": "http.log.access",
            "msg": "handled request",
            "request": {
                "remote_ip": text(address),
                "remote_port": peer.map_or_else(String::new, |peer| peer.port().to_string()),
                "client_ip": text(client.map(|client| client.to_canonical()).or(address)),
                "proto": protocol(self.version),
                "method": self.method.as_str(),
                "host": self.host,
                "uri": self.target,
            },
            "duration": self.began.elapsed().as_secs_f64(),
            "status": status.as_u16(),
        });
        format!("{line}\n")
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// A connection with as much of its addresses as may be logged.
fn masked(mut connection: Connection, filter: &LogFilter) -> Connection {
    if let Some(mask) = filter.client_ip {
        let client = connection.client;
        let client = client.or_else(|| connection.peer.map(|peer| peer.ip()));
        connection.client = client.map(|client| mask.masked(client));
    }
    if let (Some(mask), Some(peer)) = (filter.remote_ip, &mut connection.peer) {
        peer.set_ip(mask.masked(peer.ip()));
    }
    connection
}

/// The target without tokens, and with what else is to be left out of its query.
fn without_secrets(uri: &Uri, filter: &LogFilter) -> String {
    let path = uri.path();
    let Some(query) = uri.query() else {
        return path.to_owned();
    };
    let pairs: Vec<Cow<'_, str>> = query
        .split('&')
        .filter_map(|pair| parameter(pair, filter))
        .collect();
    match pairs.as_slice() {
        [] => path.to_owned(),
        pairs => format!("{path}?{}", pairs.join("&")),
    }
}

/// What is logged of a parameter; `None` if nothing is.
fn parameter<'p>(pair: &'p str, filter: &LogFilter) -> Option<Cow<'p, str>> {
    let parsed = url::form_urlencoded::parse(pair.as_bytes()).next();
    let (name, value) = parsed.unwrap_or_default();
    let change = filter.query.iter().rev().find(|(known, _)| *known == name);
    let written = pair.split('=').next().unwrap_or_default();
    match change.map(|(_, change)| change) {
        Some(ParameterChange::Delete) => None,
        // Its value is a token.
        _ if name == "authorization" => Some("authorization=REDACTED".into()),
        None => Some(pair.into()),
        Some(ParameterChange::Replace(value)) => {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            Some(format!("{written}={value}").into())
        }
        Some(ParameterChange::Hash) => {
            let hash = digest(&SHA256, value.as_bytes());
            let beginning = hash.as_ref().iter().take(4);
            let hash: String = beginning.map(|byte| format!("{byte:02x}")).collect();
            Some(format!("{written}={hash}").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use talaria_config::settings::AddressMask;

    /// However its name is written, no token is logged.
    #[test]
    fn tokens_are_left_out() {
        for (target, logged) in [
            ("/a?topic=x", "/a?topic=x"),
            ("/a", "/a"),
            (
                "/a?authorization=ey.x.y&topic=x",
                "/a?authorization=REDACTED&topic=x",
            ),
            ("/a?%61uthorization=ey", "/a?authorization=REDACTED"),
            ("/a?authorization", "/a?authorization=REDACTED"),
        ] {
            let filter = LogFilter::default();
            assert_eq!(without_secrets(&target.parse().unwrap(), &filter), logged);
        }
    }

    /// What `log` is told to leave out is left out, however its name is written; no rule shows a token.
    #[test]
    fn parameters_and_addresses_are_left_out() {
        let rule = |name: &str, change| (name.to_owned(), change);
        let mut filter = LogFilter {
            query: vec![
                rule("a", ParameterChange::Replace("no t".to_owned())),
                rule("b", ParameterChange::Delete),
                rule("c", ParameterChange::Hash),
                rule("authorization", ParameterChange::Hash),
            ],
            ..LogFilter::default()
        };
        for (target, logged) in [
            ("/x?a=1&d=2&%61=3", "/x?a=no+t&d=2&%61=no+t"),
            ("/x?b=1", "/x"),
            ("/x?b=1&d&%62=2", "/x?d"),
            // The beginning of the SHA-256 of `hello`.
            ("/x?c=hello", "/x?c=2cf24dba"),
            ("/x?c=hel%6Co", "/x?c=2cf24dba"),
            ("/x?authorization=ey", "/x?authorization=REDACTED"),
        ] {
            assert_eq!(without_secrets(&target.parse().unwrap(), &filter), logged);
        }
        let connection = Connection {
            peer: Some("[::ffff:203.0.113.9]:7".parse().unwrap()),
            ..Connection::default()
        };
        filter.client_ip = Some(AddressMask { ipv4: 24, ipv6: 0 });
        let of_client = masked(connection, &filter);
        assert_eq!(of_client.peer, connection.peer);
        assert_eq!(of_client.client, Some("203.0.113.0".parse().unwrap()));
        filter.remote_ip = Some(AddressMask { ipv4: 16, ipv6: 32 });
        let of_both = masked(connection, &filter);
        assert_eq!(of_both.peer, Some("203.0.0.0:7".parse().unwrap()));
    }
}
