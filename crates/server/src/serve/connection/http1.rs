//! Drives an HTTP/1.1 connection: by hyper, and by the direct writer while a stream is open.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Write as _;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioTimer;
use talaria_config::settings::{HeadSettings, LEAST_HEAD_BYTES};
use tokio_util::sync::CancellationToken;

use super::ends::{log, needed};
use crate::serve::admission::Place;
use crate::serve::direct::{Exit, Leaving, Writer};
use crate::serve::requests::Closed;
use crate::serve::socket::{Carrier, Socket};
use crate::serve::streams::Answer;

/// How long an HTTP/1.1 connection may be idle between requests (B-300).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of header fields that hyper accepts by default.
const USUAL_FIELDS: usize = 100;

/// A connection that hyper drives. Its I/O is boxed, because it moves between hyper and the direct writer.
type Hyper<C, S> = http1::UpgradeableConnection<Box<Socket<C>>, S>;

/// What ends an HTTP/1.1 connection that hyper drives, or takes a stream out of it.
pub(super) struct OnHyper {
    /// Where event streams leave.
    pub exit: Option<Arc<Exit>>,
    /// Ends the connection after its requests.
    pub ending: CancellationToken,
    /// Its place among all.
    pub place: Option<Place>,
    /// The bounds of each head.
    pub head: HeadSettings,
}

impl OnHyper {
    /// Drives a connection until it ends, by hyper and by the direct writer in turn.
    pub(super) async fn drive<C, S>(self, mut socket: Box<Socket<C>>, mut service: S)
    where
        C: Carrier + Send + 'static,
        S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
    {
        loop {
            let connection = Box::new(self.hyper(socket, service));
            // Boxed, because an open stream would keep the memory of this future.
            let left = Box::pin(self.until_exit(connection)).await;
            let Some((stream, io, answer)) = left else {
                return;
            };
            tracing::debug!("a stream goes on without hyper");
            let mut writer = Writer::new(io, stream);
            let ended = poll_fn(|context| writer.poll(context)).await;
            let closes;
            (socket, closes) = writer.into_socket();
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
                return;
            }
            if closes || self.ending.is_cancelled() {
                // Nothing can be done for a client that does not take the end.
                _ = poll_fn(|context| Pin::new(&mut *socket).poll_shutdown(context)).await;
                return;
            }
            service = answer;
        }
    }

    fn hyper<C, S>(&self, socket: Box<Socket<C>>, service: S) -> Hyper<C, S>
    where
        C: Carrier + Send + 'static,
        S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
    {
        let connection = http1_builder(&self.head).serve_connection(socket, service);
        connection.with_upgrades()
    }

    /// Lets hyper drive a connection until it ends, or a stream leaves with its I/O; hyper's own memory is freed.
    async fn until_exit<C, S>(
        &self,
        mut connection: Box<Hyper<C, S>>,
    ) -> Option<(Leaving, Box<Socket<C>>, S)>
    where
        C: Carrier + Send + 'static,
        S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
    {
        let mut is_ending = false;
        let mut stream = {
            let mut end = pin!(self.ending.cancelled());
            loop {
                tokio::select! {
                    left = poll_fn(|context| self.poll_hyper(&mut connection, context)) => break left?,
                    // The layer below hyper decides. It is polled again as soon as the connection goes on.
                    () = needed(self.place.as_ref()), if !is_ending => {}
                    () = end.as_mut(), if !is_ending => {
                        is_ending = true;
                        Pin::new(&mut *connection).graceful_shutdown();
                    }
                }
            }
        };
        let http1::Parts {
            io,
            read_buf,
            service,
            ..
        } = connection.into_parts()?;
        // The layer below hyper says that nothing was read ahead. If that is ever wrong, nothing can follow.
        stream.closes |= !read_buf.is_empty();
        Some((stream, io, service))
    }

    /// Ready with the stream that leaves, or with `None` when the connection has ended.
    fn poll_hyper<C, S>(
        &self,
        connection: &mut Hyper<C, S>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Leaving>>
    where
        C: Carrier + Send + 'static,
        S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
    {
        if let Poll::Ready(ended) = Pin::new(connection).poll(context) {
            log(ended);
            return Poll::Ready(None);
        }
        let Some(exit) = &self.exit else {
            return Poll::Pending;
        };
        if exit.must_stay() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        exit.take()
            .map_or(Poll::Pending, |stream| Poll::Ready(Some(stream)))
    }
}

fn http1_builder(head: &HeadSettings) -> http1::Builder {
    const LEAST: usize = LEAST_HEAD_BYTES as usize;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(head.bytes.max(LEAST));
    if head.fields > USUAL_FIELDS {
        builder.max_headers(head.fields);
    }
    builder
}
