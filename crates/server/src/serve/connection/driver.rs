//! Drives a connection as HTTP/1.1 or HTTP/2 until it ends.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::header::UPGRADE;
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::rt::Write as _;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioTimer;
use talaria_config::settings::{HeadSettings, LEAST_HEAD_BYTES};
use talaria_hub::statistics::{Departure, Parting};
use talaria_hub::{Connection, Outflow};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::context::Accepted;
use crate::serve::admission::{Place, UnderWay};
use crate::serve::counts::CONNECTIONS;
use crate::serve::direct::{Asked, Exit, Leaving, Writer};
use crate::serve::incoming::{Bounds, Fault, Http1, Http2, Layer};
use crate::serve::requests::{Closed, Once, Requests, is_event_stream};
use crate::serve::socket::{Carrier, Socket};
use crate::serve::streams::{Answer, Followed, Streams};
use crate::serve::tls::Session;

/// How long an HTTP/1.1 connection may be idle between requests (B-300).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an HTTP/2 connection that closes to make room accepts requests that were sent meanwhile.
const LEAVING: Duration = Duration::from_millis(250);
/// How long to wait for the answer to such a request.
const LEAVING_ANSWER: Duration = Duration::from_secs(5);
/// An HTTP/2 client that does not answer a ping for this long is gone.
const PING: Duration = Duration::from_secs(20);
/// What HTTP/2 may hold of one stream, in bytes: one chunk.
const STREAM_BYTES: usize = 32 * 1024;
/// The number of header fields that hyper accepts by default.
const USUAL_FIELDS: usize = 100;

/// What a connection is driven over.
pub(super) struct Wire<C> {
    /// Its I/O.
    pub carrier: C,
    /// Whether the client speaks HTTP/2.
    pub is_http2: bool,
    /// What a TLS handshake has agreed on, if the client speaks TLS.
    pub session: Option<Arc<Session>>,
    /// When the first head must have come.
    pub first_by: Instant,
}

impl<C> Wire<C> {
    fn count(&self) {
        CONNECTIONS.count(if self.is_http2 { "HTTP/2" } else { "HTTP/1.1" });
    }
}

/// The answering of a connection's requests, until it ends.
pub(super) type Driven = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Answers the requests of a connection until it ends.
pub(super) fn drive<C: Carrier + Send + 'static>(accepted: Accepted, wire: Wire<C>) -> Driven {
    let Accepted {
        context,
        peer,
        place,
        once,
        ending,
    } = accepted;
    wire.count();
    let (head, dispatch_timeout) = (context.head, context.dispatch_timeout);
    let outflow = Outflow::default();
    place.iter().for_each(|place| place.follow(outflow.clone()));
    let is_plain = wire.session.is_none() && !wire.is_http2 && once.is_none();
    let exit = is_plain.then(|| Exit::new(outflow.clone()));
    let bounds = Bounds {
        place: place.clone(),
        timeout: head.timeout,
        first_by: wire.first_by,
    };
    let requests = Arc::new(Requests {
        sites: context.sites,
        head,
        outflow: outflow.clone(),
        connection: Connection::new(wire.session.is_some(), peer),
        place: place.clone(),
        once,
        answered: once.map(|_| ending.clone()),
        alt_svc: context.alt_svc.filter(|_| wire.session.is_some()),
        session: wire.session,
    });
    let begin = || Streams::new(dispatch_timeout, outflow.clone());
    let streams = wire.is_http2.then(begin);
    let (followed, open) = (streams.clone(), context.shutdown.requests);
    let is_tunnel = Arc::new(AtomicBool::new(false));
    let switched = Arc::clone(&is_tunnel);
    let asked = exit.clone();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let place = requests.place.clone();
        let begun = Begun {
            under_way: place.as_ref().map(Place::request),
            place,
            followed: followed.as_ref().and_then(Streams::begin),
            open: open.token(),
            is_tunnel: Arc::clone(&switched),
            asked: asked.as_ref().and_then(|exit| exit.request(&request)),
        };
        begun.mark(&mut request);
        let answered = Arc::clone(&requests).answer(request);
        async move { begun.answer(answered.await?) }
    });
    if let Some(streams) = streams {
        let carrier = Layer::new(wire.carrier, Http2::new(head), bounds);
        let socket = Socket::new(carrier, outflow.clone(), dispatch_timeout);
        let builder = http2_builder(&streams, &head, context.max_streams);
        let connection = Box::pin(builder.serve_connection(socket, answer));
        Box::pin(async move {
            tokio::select! {
                () = drive_http2(connection, ending, place) => {}
                () = outflow.late() => cut(&outflow),
                () = streams.watch() => cut(&outflow),
            }
        })
    } else {
        let is_wrong = once == Some(Once::WrongPort);
        let reader = Http1::new(head, is_wrong.then_some(Fault::Plain)).telling(exit.clone());
        let carrier = Layer::new(wire.carrier, reader, bounds).looking();
        let carrier = carrier.until(is_tunnel);
        let socket = Box::new(Socket::new(carrier, outflow, dispatch_timeout));
        let on_hyper = OnHyper {
            exit,
            ending,
            place,
            head,
        };
        Box::pin(on_hyper.drive(socket, answer))
    }
}

/// Cuts a connection because of one of its streams.
fn cut(outflow: &Outflow) {
    outflow.parting().because(Departure::ConnectionCut);
    outflow.cut();
}

/// A request whose answer is to come.
struct Begun {
    place: Option<Place>,
    under_way: Option<UnderWay>,
    followed: Option<Followed>,
    open: TaskTrackerToken,
    /// Set if the answer makes the connection a tunnel.
    is_tunnel: Arc<AtomicBool>,
    /// What can let the answer leave hyper.
    asked: Option<Asked>,
}

impl Begun {
    /// Gives a tunnel what keeps the place of its connection, and a stream of HTTP/2 what tells why it ended.
    fn mark(&self, request: &mut Request<Incoming>) {
        if request.version() == Version::HTTP_2 {
            let followed = self.followed.as_ref().map(Followed::parting);
            let parting = followed.unwrap_or_else(|| Parting::otherwise(Departure::ResetByClient));
            request.extensions_mut().insert(parting);
        }
        let under_way = self.under_way.clone();
        if let Some(under_way) = under_way.filter(|_| request.headers().contains_key(UPGRADE)) {
            request.extensions_mut().insert(under_way);
        }
    }

    /// Follows the answer until it has left.
    fn answer(self, answered: Response<Body>) -> Result<Response<Answer>, Closed> {
        if answered.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.is_tunnel.store(true, Ordering::Release);
        }
        let is_stream = is_event_stream(&answered);
        if let Some(place) = self.place.filter(|_| is_stream) {
            place.streams();
        }
        // A file or the answer of another server may take its time, too.
        let open = Some(self.open).filter(|_| !answered.body().is_end_stream());
        let may = self.asked.and_then(|asked| asked.answer(&answered));
        Ok(answered
            .map(|body| Answer::new(body, self.followed, self.under_way, open).that_may(may)))
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

/// A connection that hyper drives. Its I/O is boxed, because it moves between hyper and the direct writer.
type Hyper<C, S> = http1::UpgradeableConnection<Box<Socket<C>>, S>;

/// What ends an HTTP/1.1 connection that hyper drives, or takes a stream out of it.
struct OnHyper {
    exit: Option<Arc<Exit>>,
    ending: CancellationToken,
    place: Option<Place>,
    head: HeadSettings,
}

impl OnHyper {
    /// Drives a connection until it ends, by hyper and by the direct writer in turn.
    async fn drive<C, S>(self, mut socket: Box<Socket<C>>, mut service: S)
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

fn http2_builder(
    streams: &Streams,
    head: &HeadSettings,
    max_streams: u32,
) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(head.bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(max_streams)
        .max_send_buf_size(STREAM_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

async fn drive_http2<C, S>(
    mut connection: Pin<Box<http2::Connection<Socket<C>, S, Streams>>>,
    ending: CancellationToken,
    place: Option<Place>,
) where
    C: Carrier + Send + 'static,
    S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
    S::Future: Send + 'static,
{
    tokio::select! {
        ended = connection.as_mut() => log(ended),
        () = needed(place.as_ref()) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => log(ended),
                () = leave(place.as_ref()) => {}
            }
        }
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            log(connection.as_mut().await);
        }
    }
}

/// Ends when another connection needs the place of this one, which is idle.
pub(super) async fn needed(place: Option<&Place>) {
    match place {
        Some(place) => place.needed().await,
        None => pending().await,
    }
}

/// Gives the place back, and ends when requests that the client sent meanwhile have had their time.
async fn leave(place: Option<&Place>) {
    const LOOK: Duration = Duration::from_millis(50);
    let Some(place) = place else { return };
    if let Some(_permit) = place.leave() {
        tokio::time::sleep(LEAVING).await;
        let answered = async {
            while !place.is_idle() {
                tokio::time::sleep(LOOK).await;
            }
        };
        // A stream that began meanwhile does not end; its client resumes.
        _ = timeout(LEAVING_ANSWER, answered).await;
    }
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
