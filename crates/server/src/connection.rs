//! One connection: which protocol it speaks, and how it is driven.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::CONTENT_TYPE;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioTimer;
use talaria_hub::{Connection, Outflow};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::admission::{Admission, Guest, Place};
use crate::config::settings::{HeadSettings, LEAST_HEAD_BYTES};
use crate::incoming::{Bounds, Fault, Http1, Http2, Layer, TLS};
use crate::requests::{Closed, Once, Requests};
use crate::site::Site;
use crate::socket::{Carrier, Counted, Socket, has_unread};
use crate::streams::{Answer, Streams};

/// How long a connection may be idle between requests (B-300).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client that speaks plain HTTP on an HTTPS port may take to show whether it is HTTP/2.
const SNIFF: Duration = Duration::from_secs(1);
/// How long a client that speaks plain HTTP on an HTTPS port is served.
const WRONG_PORT: Duration = Duration::from_secs(10);
/// How long a connection is served for which there is no room.
const GUEST: Duration = Duration::from_secs(3);
/// How long one is served that must make room for another of them.
const DISPLACED: Duration = Duration::from_millis(50);
/// How long an HTTP/2 connection that closes to make room takes requests that were sent meanwhile.
const LEAVING: Duration = Duration::from_millis(250);
/// How long it is waited for, if such a request came.
const LEAVING_ANSWER: Duration = Duration::from_secs(5);
/// An HTTP/2 client that does not answer a ping for this long is gone.
const PING: Duration = Duration::from_secs(20);
/// What HTTP/2 may hold of one stream, in bytes: one chunk.
const STREAM_BYTES: usize = 32 * 1024;
/// The header fields that hyper takes if nothing is said.
const USUAL_FIELDS: usize = 100;
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What every connection of a listener is served with.
#[derive(Clone)]
pub struct Serve {
    /// Who answers.
    pub site: Site,
    /// What takes the TLS handshakes, on an HTTPS listener.
    pub acceptor: Option<TlsAcceptor>,
    /// How long a peer may take nothing.
    pub dispatch_timeout: Option<Duration>,
    /// The bounds of each head.
    pub head: HeadSettings,
    /// Streams of one HTTP/2 connection.
    pub max_streams: u32,
    /// Who is let in.
    pub admission: Admission,
    /// Ends the connections.
    pub stopped: watch::Receiver<bool>,
}

/// A connection that is being served.
struct Served {
    serve: Serve,
    peer: SocketAddr,
    place: Option<Place>,
    once: Option<Once>,
}

impl Serve {
    /// Serves a connection until it ends.
    pub async fn connection(self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let served = Served {
            serve: self,
            peer,
            place: Some(place),
            once: None,
        };
        served.run(stream).await;
    }

    /// Serves a connection for which there is no room: once there is, or one request if it is for
    /// `/healthz`. An orchestrator restarts a hub that does not answer that.
    pub async fn guest(mut self, stream: TcpStream, peer: SocketAddr, mut guest: Guest) {
        let mut is_displaced = false;
        let place = tokio::select! {
            place = self.admission.enter_soon(peer) => place,
            // What it has asked by now is answered.
            () = guest.displaced() => {
                is_displaced = true;
                None
            }
            () = wait_for_stop(self.stopped.clone()) => return,
        };
        if is_displaced && !has_unread(&stream) {
            return;
        }
        if let Some(place) = place {
            drop(guest);
            return Box::pin(self.connection(stream, peer, place)).await;
        }
        let stop = self.stopped.clone();
        let (answered, stopped) = watch::channel(false);
        self.stopped = stopped;
        let served = Served {
            serve: self,
            peer,
            place: None,
            once: Some(Once::Full),
        };
        let time = if is_displaced { DISPLACED } else { GUEST };
        tokio::select! {
            _ = timeout(time, Box::pin(served.run_once(stream, answered))) => {}
            () = guest.displaced(), if !is_displaced => {}
            () = wait_for_stop(stop) => {}
        }
    }
}

impl Served {
    async fn run(self, stream: TcpStream) {
        match self.serve.acceptor.clone() {
            None => self.plain(stream, None).await,
            Some(acceptor) => Box::pin(self.encrypted(acceptor, stream, None)).await,
        }
    }

    async fn run_once(self, stream: TcpStream, answered: watch::Sender<bool>) {
        match self.serve.acceptor.clone() {
            None => self.plain(stream, Some(answered)).await,
            Some(acceptor) => self.encrypted(acceptor, stream, Some(answered)).await,
        }
    }

    async fn encrypted(
        self,
        acceptor: TlsAcceptor,
        stream: TcpStream,
        answered: Option<watch::Sender<bool>>,
    ) {
        let peer = self.peer;
        let handshake = self.place.as_ref().map(Place::handshake).transpose();
        let counted = match handshake {
            Ok(counted) => counted,
            Err(exhausted) => {
                tracing::debug!(%peer, "a TLS handshake was refused: {exhausted}; see max_handshakes");
                return;
            }
        };
        let deadline = Instant::now() + self.serve.head.timeout;
        let mut first = [0];
        let peeked = tokio::select! {
            peeked = timeout_at(deadline, stream.peek(&mut first)) => peeked,
            () = needed(self.place.as_ref()) => return,
            () = wait_for_stop(self.serve.stopped.clone()) => return,
        };
        match peeked {
            Ok(Ok(1)) if first == [TLS] => {}
            Ok(Ok(1)) => return self.not_encrypted(stream).await,
            _ => return,
        }
        let handshake = tokio::select! {
            handshake = timeout_at(deadline, acceptor.accept(Counted::from(stream))) => handshake,
            () = needed(self.place.as_ref()) => return,
            () = wait_for_stop(self.serve.stopped.clone()) => return,
        };
        drop(counted);
        match handshake {
            Ok(Ok(carrier)) => {
                let is_http2 = carrier.get_ref().1.alpn_protocol() == Some(b"h2");
                let first_by = Instant::now() + self.serve.head.timeout;
                self.drive(carrier, is_http2, true, first_by, answered)
                    .await;
            }
            // A browser that does not know the root yet, or a name that is not served.
            Ok(Err(error)) => tracing::info!(%peer, "TLS handshake failed: {error}"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
    }

    /// Tells a client that speaks plain HTTP on an HTTPS port so.
    async fn not_encrypted(mut self, stream: TcpStream) {
        let is_http2 = timeout(SNIFF, begins_with_preface(&stream)).await;
        let is_http2 = matches!(is_http2, Ok(Ok(true)));
        let (answered, stopped) = watch::channel(false);
        let stop = std::mem::replace(&mut self.serve.stopped, stopped);
        self.once = Some(Once::WrongPort);
        let first_by = Instant::now() + WRONG_PORT;
        let carrier = Counted::from(stream);
        let told = self.drive(carrier, is_http2, false, first_by, Some(answered));
        tokio::select! {
            _ = timeout(WRONG_PORT, told) => {}
            () = wait_for_stop(stop) => {}
        }
    }

    async fn plain(self, stream: TcpStream, answered: Option<watch::Sender<bool>>) {
        let first_by = Instant::now() + self.serve.head.timeout;
        let is_http2 = tokio::select! {
            is_http2 = timeout_at(first_by, begins_with_preface(&stream)) => is_http2,
            () = needed(self.place.as_ref()) => return,
            // The client has not sent a request, so nothing is left unanswered.
            () = wait_for_stop(self.serve.stopped.clone()) => return,
        };
        if let Ok(Ok(is_http2)) = is_http2 {
            self.drive(Counted::from(stream), is_http2, false, first_by, answered)
                .await;
        }
    }

    async fn drive<C: Carrier + Send + 'static>(
        self,
        carrier: C,
        is_http2: bool,
        tls: bool,
        first_by: Instant,
        answered: Option<watch::Sender<bool>>,
    ) {
        let Serve {
            site,
            dispatch_timeout,
            head,
            max_streams,
            stopped,
            ..
        } = self.serve;
        let outflow = Outflow::default();
        if let Some(place) = &self.place {
            place.follow(outflow.clone());
        }
        let place = self.place.clone();
        let streams = Streams::new(dispatch_timeout, outflow.clone());
        let bounds = Bounds {
            place: self.place.clone(),
            timeout: head.timeout,
            first_by,
        };
        let requests = Arc::new(Requests {
            site,
            head,
            outflow: outflow.clone(),
            connection: Connection::new(tls, self.peer),
            place: self.place,
            once: self.once,
            answered,
        });
        let followed = is_http2.then(|| streams.clone());
        let answer = service_fn(move |request| {
            let place = requests.place.clone();
            let under_way = place.as_ref().map(Place::request);
            let followed = followed.as_ref().and_then(Streams::begin);
            let answered = Arc::clone(&requests).answer(request);
            async move {
                let answered = answered.await?;
                if let Some(place) = place.filter(|_| is_event_stream(&answered)) {
                    place.streams();
                }
                Ok(answered.map(|body| Answer::new(body, followed, under_way)))
            }
        });
        if is_http2 {
            let carrier = Layer::new(carrier, Http2::new(head), bounds);
            let socket = Socket::new(carrier, outflow.clone(), dispatch_timeout);
            let http2 = http2_builder(&streams, &head, max_streams);
            // Boxed, because its state is several times that of HTTP/1.1.
            Box::pin(serve_http2(
                http2, socket, answer, &outflow, &streams, stopped, place,
            ))
            .await;
        } else {
            let is_wrong = self.once == Some(Once::WrongPort);
            let reader = Http1::new(head, is_wrong.then_some(Fault::Plain));
            let carrier = Layer::new(carrier, reader, bounds).looking();
            let socket = Socket::new(carrier, outflow, dispatch_timeout);
            serve_http1(&head, socket, answer, stopped, place).await;
        }
    }
}

async fn serve_http1<C, S>(
    head: &HeadSettings,
    socket: Socket<C>,
    answer: S,
    stopped: watch::Receiver<bool>,
    place: Option<Place>,
) where
    C: Carrier + Send + 'static,
    S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
{
    const LEAST: usize = LEAST_HEAD_BYTES as usize;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(head.bytes.max(LEAST));
    if head.fields > USUAL_FIELDS {
        builder.max_headers(head.fields);
    }
    let connection = builder.serve_connection(socket, answer);
    let mut connection = pin!(connection);
    let mut stop = pin!(wait_for_stop(stopped));
    loop {
        tokio::select! {
            ended = connection.as_mut() => return log(ended),
            // The layer below hyper decides, which is asked for more as soon as the connection goes on.
            () = needed(place.as_ref()) => {}
            () = stop.as_mut() => {
                connection.as_mut().graceful_shutdown();
                return log(connection.await);
            }
        }
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

async fn serve_http2<C, S>(
    builder: http2::Builder<Streams>,
    socket: Socket<C>,
    answer: S,
    outflow: &Outflow,
    streams: &Streams,
    stopped: watch::Receiver<bool>,
    place: Option<Place>,
) where
    C: Carrier + Send + 'static,
    S: HttpService<Incoming, ResBody = Answer, Error = Closed> + Send,
    S::Future: Send + 'static,
{
    let connection = builder.serve_connection(socket, answer);
    let mut connection = pin!(connection);
    let driven = async {
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
            () = wait_for_stop(stopped) => {
                connection.as_mut().graceful_shutdown();
                log(connection.as_mut().await);
            }
        }
    };
    tokio::select! {
        () = driven => {}
        () = outflow.late() => outflow.cut(),
        () = streams.watch() => outflow.cut(),
    }
}

/// Ends when another connection needs the place of this one, which is idle.
async fn needed(place: Option<&Place>) {
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

fn is_event_stream<B>(response: &Response<B>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Ends when the program stops listening.
pub async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        // The sender lives as long as the program serves.
        pending::<Infallible>().await;
    }
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Whether the first bytes are HTTP/2's; they stay unread.
async fn begins_with_preface(stream: &TcpStream) -> std::io::Result<bool> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(500);
    let mut pause = Duration::from_millis(1);
    let mut first = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if first[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        // Peeking does not consume, so readiness cannot tell of the rest.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
