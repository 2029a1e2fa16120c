//! Answers with what another server answers: `reverse_proxy` (B-284; RFC 9110, section 7.6).

mod balance;
mod dial;
mod ending;
mod forward;
mod lent;
mod tunnel;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use rustls::ClientConfig;
use talaria_config::Error;
use talaria_hub::refusal;
use tokio_util::sync::CancellationToken;

use balance::{Balance, Candidate};
use dial::Dialer;
use lent::{Lender, Lent};
use tunnel::Upgrade;

pub(crate) use balance::{Policy, Upstream};
pub(crate) use forward::Forwarded;

/// What applies to all servers of a proxy.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How one of them is chosen.
    pub policy: Policy,
    /// The fields of each request that name the server that gets it.
    pub naming_upstream: Vec<HeaderName>,
    /// Ends the tunnels of upgraded connections, and event streams, when the program stops.
    pub stopping: CancellationToken,
    /// How long the program may have to wait for the event streams then.
    pub window: Duration,
    /// How long a tunnel may be idle: it ends after this much silence of both sides, or twice as much.
    pub idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            naming_upstream: Vec::new(),
            stopping: CancellationToken::default(),
            window: Duration::from_secs(1),
            // The existing server has no bound. Applications that use WebSocket ping far more often.
            idle: Duration::from_secs(3600),
        }
    }
}

/// Marks an answer that is not one of a server, and says why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreached(pub &'static str);

/// The servers that answer in our place. Bodies are passed on as they come, in both directions. Cloning shares the
/// connections.
#[derive(Clone)]
pub(crate) struct Upstreams {
    client: Client<Dialer, Lent>,
    balance: Arc<Balance>,
    naming_upstream: Arc<[HeaderName]>,
    stopping: CancellationToken,
    window: Duration,
    idle: Duration,
}

impl Upstreams {
    /// Prepares for these servers, without a connection yet.
    ///
    /// # Errors
    /// A host is malformed, or the system's certificates cannot be read and a server speaks HTTPS.
    pub(crate) fn new(upstreams: Vec<Upstream>, options: Options) -> Result<Self, Error> {
        let is_encrypted = upstreams.iter().any(|each| each.scheme == Scheme::HTTPS);
        Self::with_tls(upstreams, options, dial::tls(is_encrypted)?)
    }

    fn with_tls(
        upstreams: Vec<Upstream>,
        options: Options,
        tls: ClientConfig,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: dial::client(tls),
            balance: Arc::new(Balance::new(upstreams, options.policy)?),
            naming_upstream: options.naming_upstream.into(),
            stopping: options.stopping,
            window: options.window,
            idle: options.idle,
        })
    }

    /// Answers with what a server answers; it gets the request after a last `change` of its fields. If its connection fails, and the request can be sent again, tries one
    /// other server. A response that breaks off ends with an error.
    pub(crate) async fn proxy(
        &self,
        request: Request<Body>,
        forwarded: Forwarded,
        change: impl FnOnce(&mut HeaderMap),
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        if let Err((status, sentence)) = forward::check(&parts) {
            tracing::info!(
                name: "proxy_refused",
                reason = "proxy",
                status = status.as_u16(),
                peer = forwarded.peer.map(tracing::field::display),
                "request refused: {sentence}"
            );
            return refusal(status, sentence);
        }
        let upgrade = Upgrade::asked(&mut parts, &body);
        forward::request(&mut parts, &forwarded, &body);
        change(&mut parts.headers);
        if let Some(upgrade) = &upgrade {
            upgrade.ask(&mut parts.headers);
        }
        let target = parts.uri.path_and_query().cloned();
        let mut sent = Request::new(());
        *sent.method_mut() = parts.method;
        *sent.headers_mut() = parts.headers;
        let lender = Lender::new(body);
        match self.send(&sent, target.as_ref(), &lender).await {
            Ok(response) => self.answer(response, upgrade),
            Err(status) => bad_gateway(status),
        }
    }

    /// Sends a request to a server, and to one other if that fails.
    async fn send(
        &self,
        head: &Request<()>,
        target: Option<&PathAndQuery>,
        lender: &Lender,
    ) -> Result<Response<Incoming>, StatusCode> {
        let mut failed = None;
        let mut status = StatusCode::BAD_GATEWAY;
        for _ in 0..2 {
            let Some(candidate) = self.balance.choose(failed) else {
                break;
            };
            let Some(body) = lender.lend() else { break };
            let mut request = addressed(head, candidate, target, body)?;
            for name in self.naming_upstream.iter() {
                let authority = HeaderValue::try_from(candidate.authority.as_str());
                if let Ok(authority) = authority {
                    request.headers_mut().insert(name, authority);
                }
            }
            match self.client.request(request).await {
                Ok(response) => return Ok(response),
                Err(error) => {
                    status = report(candidate, &error);
                    if error.is_connect() {
                        candidate.fail();
                    } else if !head.method().is_idempotent() {
                        // The server may have acted on it (RFC 9110, section 9.2.2).
                        break;
                    }
                }
            }
            failed = Some(candidate);
        }
        Err(status)
    }

    /// The answer to the client.
    fn answer(&self, response: Response<Incoming>, upgrade: Option<Upgrade>) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let (stopping, idle) = (&self.stopping, self.idle);
            let switched = upgrade.and_then(|upgrade| upgrade.begin(response, stopping, idle));
            return switched.unwrap_or_else(|| bad_gateway(StatusCode::BAD_GATEWAY));
        }
        let (mut parts, body) = response.into_parts();
        forward::response(&mut parts);
        let body = ending::body(body, &parts.headers, &self.stopping, self.window);
        Response::from_parts(parts, body)
    }
}

/// The request as it is sent to a server.
fn addressed(
    head: &Request<()>,
    candidate: &Candidate,
    target: Option<&PathAndQuery>,
    body: Lent,
) -> Result<Request<Lent>, StatusCode> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(candidate.scheme.clone());
    uri.authority = Some(candidate.authority.clone());
    uri.path_and_query = Some(target.cloned().unwrap_or(PathAndQuery::from_static("/")));
    let mut request = Request::new(body);
    *request.method_mut() = head.method().clone();
    *request.headers_mut() = head.headers().clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(request)
}

/// Logs why a server did not answer; returns the status that says so.
fn report(candidate: &Candidate, error: &ClientError) -> StatusCode {
    let mut causes = Vec::new();
    let mut cause = error.source();
    let (mut is_late, mut is_ours) = (false, false);
    while let Some(error) = cause {
        is_late |= error.is::<dial::Late>();
        is_ours |= error.downcast_ref().is_some_and(hyper::Error::is_user);
        causes.push(error.to_string());
        cause = error.source();
    }
    let upstream = &candidate.authority;
    let error = causes.join(": ");
    if is_ours {
        tracing::debug!(%upstream, error, "a client broke off a proxied request");
        return StatusCode::BAD_REQUEST;
    }
    tracing::warn!(name: "upstream_unreachable", reason = "upstream", %upstream, error, "an upstream does not answer");
    if is_late {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    }
}

fn bad_gateway(status: StatusCode) -> Response<Body> {
    let sentence = match status {
        StatusCode::BAD_REQUEST => "the request cannot be passed on",
        StatusCode::GATEWAY_TIMEOUT => "the server behind this one cannot be reached in time",
        _ => "the server behind this one does not answer",
    };
    let mut answer = refusal(status, sentence);
    answer.extensions_mut().insert(Unreached(sentence));
    answer
}

#[cfg(test)]
mod tests;
