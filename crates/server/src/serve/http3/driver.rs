//! One HTTP/3 connection, from its handshake to its end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use h3::error::{Code, ConnectionError};
use quinn::{Connecting, TransportErrorCode};
use talaria_hub::Connection;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::flow::Chunk;
use super::quic::{self, Requested};
use super::request::{self, Answering, Ended};
use crate::serve::admission::Place;
use crate::serve::connection::Context;
use crate::serve::counts::{CONNECTIONS, REFUSED_CONNECTIONS};
use crate::serve::tls::Session;

/// How long a connection may be idle, as over HTTP/1.1 (B-300).
const IDLE: Duration = Duration::from_secs(60);
/// How long a connection stays that closes, for what was sent before its client knew.
const LEAVING: Duration = Duration::from_millis(250);
/// How long the message may take that a connection ends.
const GOAWAY: Duration = Duration::from_secs(1);
/// How many requests of a connection may be malformed. h3 keeps the number of each.
const MALFORMED: u32 = 1000;
/// How many requests of a connection their client may abandon before the answer, at once and each second.
const ABANDONED: u32 = 1000;
const ABANDONED_EACH_SECOND: u32 = 100;

/// A connection whose handshake has begun.
pub(super) struct Newcomer {
    pub connecting: Connecting,
    pub peer: SocketAddr,
    pub place: Place,
    /// Counts the handshake.
    pub under_way: Box<dyn Send>,
}

type Server = h3::server::Connection<quic::Connection, Chunk>;

/// Serves a connection until it ends.
///
/// The hub and its limits see the address that the connection began with. Its client may move to another one, which
/// QUIC verifies, and the connection stays that client's.
pub(super) async fn serve(context: Context, newcomer: Newcomer) {
    // A token for each, because all that wait for one share its lock.
    let ending = context.closing.child_token();
    let requested = Arc::new(Requested::default());
    let (peer, place) = (newcomer.peer, newcomer.place.clone());
    let begun = Box::pin(begin(&context, newcomer, &requested));
    let server = tokio::select! {
        server = begun => server,
        () = place.needed() => None,
        () = ending.cancelled() => None,
    };
    let Some((server, session)) = server else {
        return;
    };
    let answering = Arc::new(Answering {
        sites: context.sites,
        head: context.head,
        connection: Connection::new(true, peer),
        session,
        place,
        dispatch_timeout: context.dispatch_timeout,
        requests: context.shutdown.requests,
    });
    let driver = Driver {
        server,
        requested,
        answering,
        requests: JoinSet::new(),
        patience: Patience::new(),
        idle_since: Instant::now(),
    };
    driver.drive(ending).await;
}

/// Finishes the handshake, and begins to speak HTTP/3; `None` if the client does not in time.
async fn begin(
    context: &Context,
    newcomer: Newcomer,
    requested: &Arc<Requested>,
) -> Option<(Server, Arc<Session>)> {
    let Newcomer {
        connecting,
        peer,
        place,
        under_way,
    } = newcomer;
    let by = Instant::now() + context.head.timeout;
    let connection = match timeout_at(by, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(quinn::ConnectionError::ConnectionClosed(close))) if is_of_tls(close.error_code) => {
            // A browser that does not know the root yet.
            REFUSED_CONNECTIONS.count("handshake_failed");
            tracing::info!(name: "tls_handshake_failed", %peer, "TLS handshake over QUIC failed: {close}");
            return None;
        }
        Ok(Err(error)) => {
            REFUSED_CONNECTIONS.count("handshake_failed");
            tracing::debug!(%peer, "a QUIC handshake failed: {error}");
            return None;
        }
        Err(_) => {
            REFUSED_CONNECTIONS.count("handshake_timeout");
            tracing::debug!(%peer, "a QUIC handshake took too long");
            return None;
        }
    };
    drop(under_way);
    CONNECTIONS.count("HTTP/3");
    let session = Session::of_quic(&connection);
    let mut builder = h3::server::builder();
    builder
        .max_field_section_size(context.head.bytes as u64)
        .send_grease(false);
    let quic = quic::Connection::new(connection, Arc::clone(requested), context.head, place);
    // A client may let no control stream be opened. It has as long as one that sends no head.
    match timeout(context.head.timeout, builder.build(quic)).await {
        Ok(Ok(server)) => Some((server, session)),
        Ok(Err(error)) => {
            log(&error);
            None
        }
        Err(_) => None,
    }
}

fn is_of_tls(code: TransportErrorCode) -> bool {
    // The codes of TLS alerts (RFC 9001, section 4.8).
    (0x100..0x200).contains(&u64::from(code))
}

struct Driver {
    server: Server,
    requested: Arc<Requested>,
    answering: Arc<Answering>,
    /// The requests under way. They end with the connection.
    requests: JoinSet<Ended>,
    patience: Patience,
    /// When the last request ended.
    idle_since: Instant,
}

impl Driver {
    /// Answers requests until the client or the program ends the connection, or another one needs its place.
    async fn drive(mut self, ending: CancellationToken) {
        let place = self.answering.place.clone();
        let mut ends = pin!(ending.cancelled());
        loop {
            let idle_until = self.idle_since + IDLE;
            let is_idle = self.requests.is_empty();
            let outcome = tokio::select! {
                () = ends.as_mut() => break,
                () = sleep_until(idle_until), if is_idle => break,
                () = place.needed() => {
                    self.go_away().await;
                    if let Some(_permit) = place.leave() {
                        self.leave().await;
                    }
                    return;
                }
                outcome = self.step() => outcome,
            };
            if outcome.is_err() {
                return;
            }
        }
        self.go_away().await;
        while !self.requests.is_empty() {
            if self.step().await.is_err() {
                return;
            }
        }
        self.leave().await;
    }

    /// Accepts the next request, or takes note of one that has ended.
    async fn step(&mut self) -> Result<(), Over> {
        tokio::select! {
            accepted = self.server.accept() => match accepted {
                Ok(Some(resolver)) => {
                    let opened = self.requested.take().ok_or(Over)?;
                    let answering = Arc::clone(&self.answering);
                    self.requests.spawn(request::serve(resolver, opened, answering));
                }
                // The client has sent GOAWAY, and all requests have ended.
                Ok(None) => return Err(Over),
                Err(error) => {
                    log(&error);
                    return Err(Over);
                }
            },
            Some(ended) = self.requests.join_next() => {
                self.idle_since = Instant::now();
                if let Ok(ended) = ended && !self.patience.bears(ended) {
                    tracing::info!(
                        name: "http3_client_abandons",
                        peer = ?self.answering.connection.peer,
                        "an HTTP/3 client abandons its requests faster than they can be answered; its connection ends"
                    );
                    let reason = "too many requests without an answer".to_owned();
                    let inner = &mut self.server.inner;
                    inner.close_connection(Code::H3_EXCESSIVE_LOAD, reason);
                    return Err(Over);
                }
            }
        }
        Ok(())
    }

    /// Tells the client that no further request is accepted here.
    async fn go_away(&mut self) {
        self.requested.close();
        // The message says how many requests were accepted, which h3 counts from 1.
        match timeout(GOAWAY, self.server.shutdown(1)).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => log(&error),
        }
    }

    /// Gives what was sent meanwhile a moment. Then the connection is closed, because `server` is dropped.
    async fn leave(mut self) {
        let rest = async { while self.step().await.is_ok() {} };
        _ = timeout(LEAVING, rest).await;
    }
}

/// The connection has ended.
struct Over;

/// What a connection may still ask in vain.
struct Patience {
    malformed: u32,
    abandoned: u32,
    since: Instant,
}

impl Patience {
    fn new() -> Self {
        Self {
            malformed: MALFORMED,
            abandoned: ABANDONED,
            since: Instant::now(),
        }
    }

    /// Whether the connection may go on after a request that ended so.
    fn bears(&mut self, ended: Ended) -> bool {
        let left = match ended {
            Ended::Answered => return true,
            Ended::Malformed => &mut self.malformed,
            Ended::Abandoned => {
                let passed = self.since.elapsed().as_secs();
                self.since += Duration::from_secs(passed);
                let back = u32::try_from(passed).unwrap_or(u32::MAX);
                let back = back.saturating_mul(ABANDONED_EACH_SECOND);
                self.abandoned = self.abandoned.saturating_add(back).min(ABANDONED);
                &mut self.abandoned
            }
        };
        match left.checked_sub(1) {
            Some(less) => {
                *left = less;
                true
            }
            None => false,
        }
    }
}

fn log(error: &ConnectionError) {
    if !error.is_h3_no_error() {
        tracing::debug!(%error, "an HTTP/3 connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Malformed requests are counted for the whole connection, abandoned ones by their rate.
    #[tokio::test(start_paused = true)]
    async fn patience_has_an_end() {
        for (ended, comes_back) in [(Ended::Malformed, false), (Ended::Abandoned, true)] {
            let mut patience = Patience::new();
            assert!((0..1000).all(|_| patience.bears(ended)));
            assert!(!patience.bears(ended));
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!((0..200).all(|_| patience.bears(ended)), comes_back);
            assert!(!patience.bears(ended));
            assert!(patience.bears(Ended::Answered));
        }
    }
}
