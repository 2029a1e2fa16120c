//! Accepts the connections of a listener.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::serve::connection::{self, Context, Refusal, Refusals};

/// How long to wait when no connection can be accepted, for example without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the listener closes; then waits for those that are open to end, at most until the program
/// stops.
pub(super) async fn accept(
    listener: TcpListener,
    context: Arc<ArcSwap<Context>>,
    closing: CancellationToken,
) -> JoinSet<()> {
    let mut connections = accept_until(listener, &context, closing).await;
    let stopping = context.load().shutdown.stopping.clone();
    let ended = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        () = stopping.cancelled() => {}
    }
    connections
}

async fn accept_until(
    listener: TcpListener,
    context: &ArcSwap<Context>,
    closing: CancellationToken,
) -> JoinSet<()> {
    let mut closed = pin!(closing.cancelled());
    let mut connections = JoinSet::new();
    let refusals = Arc::new(Refusals::default());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let context = Context::clone(&context.load());
                    configure(&stream, context.dispatch_timeout);
                    match context.admission.enter(peer) {
                        Ok(place) => {
                            let served = connection::serve(context, stream, peer, place);
                            connections.spawn(served);
                        }
                        Err(refused) => {
                            let refusal = Refusal { refused, refusals: Arc::clone(&refusals) };
                            match context.admission.guest() {
                                Some(guest) => {
                                    let served = connection::serve_guest(context, stream, peer, guest, refusal);
                                    connections.spawn(served);
                                }
                                // Without room for a guest, the connection is closed unanswered.
                                None => refusal.count(peer),
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(name: "accept_failed", %error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closed.as_mut() => return connections,
        }
    }
}

#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 16 * 1024;
#[cfg(target_os = "linux")]
const GONE: Duration = Duration::from_secs(30);

/// Sets the options by which the kernel bounds a stalled or vanished reader (ADR 0010).
#[cfg_attr(
    not(target_os = "linux"),
    expect(unused_variables, reason = "only Linux has the option")
)]
fn configure(stream: &TcpStream, dispatch_timeout: Option<Duration>) {
    let socket = socket2::SockRef::from(stream);
    let configured = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let configured = configured
        .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_BYTES))
        // This timeout also ends a reader that stays connected without reading, so it must not be shorter than
        // the operator allows.
        .and_then(|()| {
            socket.set_tcp_user_timeout(dispatch_timeout.map(|timeout| timeout.max(GONE)))
        });
    if let Err(error) = configured {
        // The peer may be gone already; reading will tell.
        tracing::debug!(%error, "a socket could not be configured");
    }
}
