//! Drives a connection as HTTP/1.1 or HTTP/2 until it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioTimer;
use talaria_config::settings::HeadSettings;
use talaria_hub::statistics::Departure;
use talaria_hub::{Connection, Outflow};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::answering::Answering;
use super::context::Accepted;
use super::ends::{log, needed};
use super::http1::OnHyper;
use crate::serve::admission::Place;
use crate::serve::counts::CONNECTIONS;
use crate::serve::direct::Exit;
use crate::serve::incoming::{Bounds, Fault, Http1, Http2, Layer};
use crate::serve::requests::{Closed, Once, Requests};
use crate::serve::socket::{Carrier, Socket};
use crate::serve::streams::{Answer, Streams};
use crate::serve::tls::Session;

/// How long an HTTP/2 connection that closes to make room accepts requests that were sent meanwhile.
const LEAVING: Duration = Duration::from_millis(250);
/// How long to wait for the answer to such a request.
const LEAVING_ANSWER: Duration = Duration::from_secs(5);
/// An HTTP/2 client that does not answer a ping for this long is gone.
const PING: Duration = Duration::from_secs(20);
/// What HTTP/2 may hold of one stream, in bytes: one chunk.
const STREAM_BYTES: usize = 32 * 1024;

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
    let is_tunnel = Arc::new(AtomicBool::new(false));
    let answering = Answering {
        requests,
        streams: streams.clone(),
        open: context.shutdown.requests,
        is_tunnel: Arc::clone(&is_tunnel),
        exit: exit.clone(),
    };
    let answer = service_fn(move |request| answering.answer(request));
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
