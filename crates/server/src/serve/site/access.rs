//! The access log: one line for each request, without tokens (B-082).

use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};
use serde_json::json;
use talaria_config::Error;
use talaria_config::settings::AccessLogSettings;
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
}

impl AccessLog {
    /// Opens its files.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(super) fn open(settings: &AccessLogSettings) -> Result<Self, Error> {
        let files = settings.files.iter().map(|path| LogFile::open(path));
        Ok(Self {
            to_program: settings.to_program,
            files: files.collect::<Result<_, _>>()?,
        })
    }

    /// Notes a request, if requests are logged.
    pub(super) fn begin(&self, parts: &Parts, connection: Option<&Connection>) -> Option<Entry> {
        let logs = self.to_program || !self.files.is_empty();
        logs.then(|| Entry::of(parts, connection))
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
    fn of(parts: &Parts, connection: Option<&Connection>) -> Self {
        let host = host_of(parts).ok().flatten();
        Self {
            began: Instant::now(),
            method: parts.method.clone(),
            version: parts.version,
            host: host.map_or_else(String::new, |host| host.host()),
            target: without_token(&parts.uri),
            connection: connection.copied(),
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

fn without_token(uri: &Uri) -> String {
    let path = uri.path();
    let Some(query) = uri.query() else {
        return path.to_owned();
    };
    let is_token = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        let mut parsed = url::form_urlencoded::parse(name.as_bytes());
        parsed
            .next()
            .is_some_and(|(name, _)| name == "authorization")
    };
    let pairs = query.split('&').map(|pair| match is_token(pair) {
        true => "authorization=REDACTED",
        false => pair,
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(without_token(&target.parse().unwrap()), logged);
        }
    }
}
