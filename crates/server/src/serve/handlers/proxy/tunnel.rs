//! Connections that change to another protocol: WebSocket (RFC 9110, section 7.8; RFC 6455).

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy, split};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::forward;
use crate::serve::admission::UnderWay;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// How long a side may go on after the other has finished.
const LINGER: Duration = Duration::from_secs(5);

/// A client's wish to change to WebSocket. Other protocols are not passed on: with `h2c`, requests would reach an
/// upstream that no route has seen.
pub(super) struct Upgrade {
    client: OnUpgrade,
    /// Keeps the place of the client's connection as long as the tunnel.
    under_way: Option<UnderWay>,
}

impl Upgrade {
    /// Takes the wish out of a request, if it has one.
    pub(super) fn asked(parts: &mut Parts, body: &Body) -> Option<Self> {
        let client = parts.extensions.remove::<OnUpgrade>()?;
        let has = |name, wanted: &[u8]| {
            let values = parts.headers.get_all(name).iter();
            let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
            words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted))
        };
        let is_asked = parts.method == Method::GET
            && parts.version == Version::HTTP_11
            && body.is_end_stream()
            && has(CONNECTION, b"upgrade")
            && has(UPGRADE, WEBSOCKET.as_bytes());
        let under_way = parts.extensions.remove();
        is_asked.then_some(Self { client, under_way })
    }

    /// Asks the upstream for the same.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
    }

    /// Begins to pass bytes on in both directions, and returns the answer that says so; `None` if the upstream
    /// changed to another protocol than the client asked for.
    pub(super) fn begin(
        self,
        response: Response<Incoming>,
        stopping: &CancellationToken,
        idle: Duration,
    ) -> Option<Response<Body>> {
        let (mut parts, _) = response.into_parts();
        let protocol = parts.headers.get(UPGRADE);
        if !protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
        {
            return None;
        }
        let upstream = parts.extensions.remove::<OnUpgrade>()?;
        forward::response(&mut parts);
        self.ask(&mut parts.headers);
        debug_assert_eq!(parts.status, StatusCode::SWITCHING_PROTOCOLS);
        let stopping = stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = join(self.client, upstream, idle) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a tunnel broke off");
                    }
                }
                () = stopping.cancelled() => {}
            }
            drop(self.under_way);
        });
        Some(Response::from_parts(parts, Body::empty()))
    }
}

/// Passes bytes on until both sides have finished, one of them fails, one goes on too long after the other, or
/// both are idle.
async fn join(client: OnUpgrade, upstream: OnUpgrade, idle: Duration) -> io::Result<()> {
    let both = tokio::try_join!(client, upstream).map_err(io::Error::other)?;
    let (from_client, to_client) = split(TokioIo::new(both.0));
    let (from_upstream, to_upstream) = split(TokioIo::new(both.1));
    let moved = AtomicBool::new(false);
    let mut upwards = std::pin::pin!(pass(from_client, to_upstream, &moved));
    let mut downwards = std::pin::pin!(pass(from_upstream, to_client, &moved));
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    tokio::select! {
        ended = &mut upwards => {
            ended?;
            timeout(LINGER, downwards).await.unwrap_or_else(late)
        }
        ended = &mut downwards => {
            ended?;
            timeout(LINGER, upwards).await.unwrap_or_else(late)
        }
        () = silence(&moved, idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Ends when nothing has moved for the whole of an `idle`.
async fn silence(moved: &AtomicBool, idle: Duration) {
    loop {
        sleep(idle).await;
        if !moved.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

async fn pass(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &AtomicBool,
) -> io::Result<()> {
    copy(&mut Watched { from, moved }, &mut to).await?;
    to.shutdown().await
}

/// A reader that notes when it has read something.
struct Watched<'a, R> {
    from: R,
    moved: &'a AtomicBool,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.from).poll_read(context, buffer));
        self.moved.store(true, Ordering::Relaxed);
        Poll::Ready(read)
    }
}
