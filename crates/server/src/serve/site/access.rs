//! The access log: one line for each request, without tokens (B-082).

use http::request::Parts;
use http::{Method, StatusCode, Uri, Version};
use talaria_hub::{Connection, Sender, host_of};
use talaria_protocol::error::Shown;
use tokio::time::Instant;

/// A request that is being answered.
pub(super) struct Entry {
    began: Instant,
    method: Method,
    version: Version,
    host: String,
    target: String,
    sender: Sender,
}

impl Entry {
    /// Notes a request. The value of its parameter `authorization`, which is a token, is left out.
    pub(super) fn of(parts: &Parts, connection: Option<&Connection>) -> Self {
        let host = host_of(parts).ok().flatten();
        Self {
            began: Instant::now(),
            method: parts.method.clone(),
            version: parts.version,
            host: host.map_or_else(String::new, |host| host.host()),
            target: without_token(&parts.uri),
            sender: Sender::of(connection),
        }
    }

    /// Writes the line, once the head of the answer is known. A stream may last for long after it.
    pub(super) fn write(self, status: StatusCode) {
        let Sender { peer, client } = self.sender;
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
