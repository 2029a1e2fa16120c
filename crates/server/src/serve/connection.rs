//! One connection: whether there is room for it, which protocol it speaks, and its TLS handshake.

mod answering;
mod context;
mod driver;
mod ends;
mod http1;
mod preface;
mod refusals;

use std::future::{Future, poll_fn, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use self::context::Accepted;
use self::driver::{Driven, Wire, drive};
use self::ends::needed;
use crate::serve::admission::{Guest, Place, Refused};
use crate::serve::counts::REFUSED_CONNECTIONS;
use crate::serve::incoming::TLS;
use crate::serve::requests::Once;
use crate::serve::socket::{Counted, has_unread};
use crate::serve::tls::{ACME_TLS, Session};

pub(crate) use self::context::Context;
pub(crate) use self::refusals::{Refusal, Refusals};

/// How long a client that speaks plain HTTP on an HTTPS port may take to show whether it is HTTP/2.
const SNIFF: Duration = Duration::from_secs(1);
/// How long a client that speaks plain HTTP on an HTTPS port is served.
const WRONG_PORT: Duration = Duration::from_secs(10);
/// How long a connection without a place is served.
const GUEST: Duration = Duration::from_secs(3);
/// How long a connection without a place is served that must make room for another of them.
const DISPLACED: Duration = Duration::from_millis(50);

/// Serves a connection until it ends.
pub(crate) fn serve(
    context: Context,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) -> impl Future<Output = ()> + Send + 'static {
    run(Accepted::new(context, peer, place), stream)
}

/// Serves a connection for which there is no room: as any other once there is, else one request if that
/// is for `/healthz`. An orchestrator restarts a hub that does not answer that.
pub(crate) async fn serve_guest(
    context: Context,
    stream: TcpStream,
    peer: SocketAddr,
    mut guest: Guest,
    refusal: Refusal,
) {
    let refused = refusal.refused;
    let stopping = context.shutdown.stopping.clone();
    let mut is_displaced = false;
    let place = tokio::select! {
        // One that came too fast is answered at once.
        place = context.admission.enter_soon(peer), if matches!(refused, Refused::Full { .. }) => place,
        () = ready(()), if matches!(refused, Refused::Fast(_)) => None,
        // What it has asked by now is answered.
        () = guest.displaced() => {
            is_displaced = true;
            None
        }
        () = stopping.cancelled() => return,
    };
    if let Some(place) = place {
        drop(guest);
        return serve(context, stream, peer, place).await;
    }
    refusal.count(peer);
    if is_displaced && !has_unread(&stream) {
        return;
    }
    let accepted = Accepted {
        context,
        peer,
        place: None,
        once: Some(Once::Refused(refused.into())),
        ending: CancellationToken::new(),
    };
    let time = if is_displaced { DISPLACED } else { GUEST };
    tokio::select! {
        _ = timeout(time, run(accepted, stream)) => {}
        () = guest.displaced(), if !is_displaced => {}
        () = stopping.cancelled() => {}
    }
}

/// Serves a connection until it ends. Its beginning is boxed, and dropped before the connection is driven,
/// because it holds more than an idle connection does.
fn run(accepted: Accepted, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
    let place = accepted.place.clone();
    let begun = Box::pin(begin(accepted, stream));
    async move {
        let Some(driven) = begun.await else {
            return;
        };
        if let Err(left) = Box::pin(in_turn(place, driven)).await {
            left.await;
        }
    }
}

/// Begins something costly when it is the client's turn, so that those who do much of it do not delay all others.
/// Returns its result, or what is left of it.
async fn in_turn<F: Future + Unpin>(place: Option<Place>, mut work: F) -> Result<F::Output, F> {
    let turn = match &place {
        Some(place) => Some(place.turn().await),
        None => None,
    };
    let begun = poll_fn(|context| Poll::Ready(Pin::new(&mut work).poll(context))).await;
    drop(turn);
    match begun {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err(work),
    }
}

/// Finds out which protocol the client speaks; `None` if it speaks none in time.
async fn begin(accepted: Accepted, stream: TcpStream) -> Option<Driven> {
    match accepted.context.acceptor.clone() {
        None => plain(accepted, stream).await,
        Some(acceptor) => encrypted(accepted, acceptor, stream).await,
    }
}

async fn encrypted(accepted: Accepted, acceptor: TlsAcceptor, stream: TcpStream) -> Option<Driven> {
    let peer = accepted.peer;
    let handshake = accepted.place.as_ref().map(Place::handshake).transpose();
    let counted = match handshake {
        Ok(counted) => counted,
        Err(exhausted) => {
            REFUSED_CONNECTIONS.count("max_handshakes");
            tracing::warn!(
                name: "limit_exceeded",
                reason = "limit_exceeded",
                limit = "max_handshakes",
                %peer,
                "a TLS handshake was refused: {exhausted}"
            );
            return None;
        }
    };
    let deadline = Instant::now() + accepted.context.head.timeout;
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = timeout_at(deadline, stream.peek(&mut first)) => peeked,
        () = needed(accepted.place.as_ref()) => return None,
        () = accepted.ending.cancelled() => return None,
    };
    match peeked {
        Ok(Ok(1)) if first == [TLS] => {}
        Ok(Ok(1)) => return not_encrypted(accepted, stream).await,
        _ => return None,
    }
    let handshake = tokio::select! {
        handshake = timeout_at(deadline, shake_hands(&accepted, &acceptor, stream)) => handshake,
        () = needed(accepted.place.as_ref()) => return None,
        () = accepted.ending.cancelled() => return None,
    };
    drop(counted);
    match handshake {
        Ok(Ok(carrier)) => {
            let protocol = carrier.get_ref().1.alpn_protocol();
            if protocol == Some(ACME_TLS) {
                // The handshake was the answer to the authority's question.
                return None;
            }
            let is_http2 = protocol == Some(b"h2");
            let session = Some(Session::of(carrier.get_ref().1));
            let wire = Wire {
                carrier,
                is_http2,
                session,
                first_by: Instant::now() + accepted.context.head.timeout,
            };
            Some(drive(accepted, wire))
        }
        // A browser that does not know the root yet, or a name that is not served.
        Ok(Err(error)) => {
            REFUSED_CONNECTIONS.count("handshake_failed");
            tracing::info!(name: "tls_handshake_failed", %peer, "TLS handshake failed: {error}");
            None
        }
        Err(_) => {
            REFUSED_CONNECTIONS.count("handshake_timeout");
            tracing::debug!(%peer, "a TLS handshake took too long");
            None
        }
    }
}

async fn shake_hands(
    accepted: &Accepted,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> std::io::Result<TlsStream<Counted>> {
    // Boxed, because a connection that sends nothing would have room for it.
    let handshake = Box::pin(acceptor.accept(Counted::from(stream)));
    match in_turn(accepted.place.clone(), handshake).await {
        Ok(done) => done,
        Err(left) => left.await,
    }
}

/// Tells a client that speaks plain HTTP on an HTTPS port so.
async fn not_encrypted(mut accepted: Accepted, stream: TcpStream) -> Option<Driven> {
    let is_http2 = timeout(SNIFF, preface::is_http2(&stream)).await;
    let stopping = std::mem::replace(&mut accepted.ending, CancellationToken::new());
    accepted.once = Some(Once::WrongPort);
    let wire = Wire {
        carrier: Counted::from(stream),
        is_http2: matches!(is_http2, Ok(Ok(true))),
        session: None,
        first_by: Instant::now() + WRONG_PORT,
    };
    let driven = drive(accepted, wire);
    Some(Box::pin(async move {
        tokio::select! {
            _ = timeout(WRONG_PORT, driven) => {}
            () = stopping.cancelled() => {}
        }
    }))
}

async fn plain(accepted: Accepted, stream: TcpStream) -> Option<Driven> {
    let first_by = Instant::now() + accepted.context.head.timeout;
    let is_http2 = tokio::select! {
        is_http2 = timeout_at(first_by, preface::is_http2(&stream)) => is_http2,
        () = needed(accepted.place.as_ref()) => return None,
        // The client has not sent a request, so nothing is left unanswered.
        () = accepted.ending.cancelled() => return None,
    };
    // An HTTP/2 client that is not served as one is told so in HTTP/1.1.
    let is_http2 = is_http2.ok()?.ok()? && accepted.context.protocols.h2c;
    let wire = Wire {
        carrier: Counted::from(stream),
        is_http2,
        session: None,
        first_by,
    };
    Some(drive(accepted, wire))
}
