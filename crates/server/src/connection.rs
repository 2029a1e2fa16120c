//! One connection: which protocol it speaks, and how it is driven.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use talaria_hub::{Connection, Outflow, Unanswered};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::incoming::{Fault, HEAD_BYTES, Http1, Http2, Layer, TLS};
use crate::site::Site;
use crate::socket::{Carrier, Counted, Socket};
use crate::tls;

/// How long a request's head may take, an idle connection included (B-300).
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client that speaks plain HTTP on an HTTPS port may take to show whether it is HTTP/2.
const SNIFF: Duration = Duration::from_secs(1);
/// An HTTP/2 client that does not answer a ping for this long is gone.
const PING: Duration = Duration::from_secs(20);
/// What HTTP/2 may hold of one stream, in bytes: one chunk.
const STREAM_BYTES: usize = 32 * 1024;
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 1000;
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The response must not be sent: the connection closes, on HTTP/2 the stream is reset.
#[derive(Debug, thiserror::Error)]
#[error("unanswered")]
struct Closed;

/// A connection on which every request is refused, because it is not encrypted and should be. It ends
/// with the first answer.
#[derive(Clone)]
struct WrongPort(Arc<watch::Sender<bool>>);

/// What every connection of a listener is served with.
#[derive(Clone)]
pub struct Serve {
    /// Who answers.
    pub site: Site,
    /// What takes the TLS handshakes, on an HTTPS listener.
    pub acceptor: Option<TlsAcceptor>,
    /// How long a peer may take nothing.
    pub dispatch_timeout: Option<Duration>,
    /// Ends the connections.
    pub stopped: watch::Receiver<bool>,
}

impl Serve {
    /// Serves a connection until it ends.
    pub async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        match self.acceptor.clone() {
            None => self.plain(stream, peer).await,
            Some(acceptor) => Box::pin(self.encrypted(acceptor, stream, peer)).await,
        }
    }

    async fn encrypted(self, acceptor: TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
        let mut first = [0];
        let peeked = tokio::select! {
            peeked = tokio::time::timeout(tls::HANDSHAKE, stream.peek(&mut first)) => peeked,
            () = wait_for_stop(self.stopped.clone()) => return,
        };
        match peeked {
            Ok(Ok(1)) if first == [TLS] => {}
            Ok(Ok(1)) => return self.not_encrypted(stream, peer).await,
            _ => return,
        }
        let handshake = tokio::select! {
            handshake = tokio::time::timeout(tls::HANDSHAKE, acceptor.accept(Counted::from(stream))) => handshake,
            () = wait_for_stop(self.stopped.clone()) => return,
        };
        match handshake {
            Ok(Ok(carrier)) => {
                let is_http2 = carrier.get_ref().1.alpn_protocol() == Some(b"h2");
                self.drive(carrier, is_http2, true, None, peer).await;
            }
            // A browser that does not know the root yet, or a name that is not served.
            Ok(Err(error)) => tracing::info!(%peer, "TLS handshake failed: {error}"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
    }

    /// Tells a client that speaks plain HTTP on an HTTPS port so.
    async fn not_encrypted(mut self, stream: TcpStream, peer: SocketAddr) {
        let is_http2 = tokio::time::timeout(SNIFF, begins_with_preface(&stream)).await;
        let is_http2 = matches!(is_http2, Ok(Ok(true)));
        let (answered, stopped) = watch::channel(false);
        let wrong = WrongPort(Arc::new(answered));
        let stop = std::mem::replace(&mut self.stopped, stopped);
        let told = self.drive(Counted::from(stream), is_http2, false, Some(wrong), peer);
        tokio::select! {
            _ = tokio::time::timeout(tls::HANDSHAKE, told) => {}
            () = wait_for_stop(stop) => {}
        }
    }

    async fn plain(self, stream: TcpStream, peer: SocketAddr) {
        let is_http2 = tokio::select! {
            is_http2 = tokio::time::timeout(HEAD_TIMEOUT, begins_with_preface(&stream)) => is_http2,
            // The client has not sent a request, so nothing is left unanswered.
            () = wait_for_stop(self.stopped.clone()) => return,
        };
        if let Ok(Ok(is_http2)) = is_http2 {
            self.drive(Counted::from(stream), is_http2, false, None, peer)
                .await;
        }
    }

    async fn drive<C: Carrier + Send + 'static>(
        self,
        carrier: C,
        is_http2: bool,
        tls: bool,
        wrong: Option<WrongPort>,
        peer: SocketAddr,
    ) {
        let Self {
            site,
            dispatch_timeout,
            stopped,
            ..
        } = self;
        let outflow = Outflow::default();
        let is_wrong = wrong.is_some();
        let answer = {
            let outflow = outflow.clone();
            let connection = Connection::new(tls, peer);
            service_fn(move |request| {
                answer(
                    site.clone(),
                    outflow.clone(),
                    connection,
                    wrong.clone(),
                    request,
                )
            })
        };
        if is_http2 {
            let carrier = Layer::new(carrier, Http2::new());
            let socket = Socket::new(carrier, outflow.clone(), dispatch_timeout);
            // Boxed, because its state is several times that of HTTP/1.1.
            Box::pin(serve_http2(socket, answer, &outflow, stopped)).await;
        } else {
            let requests = Http1::new(is_wrong.then_some(Fault::Plain));
            let carrier = Layer::new(carrier, requests);
            let socket = Socket::new(carrier, outflow.clone(), dispatch_timeout);
            serve_http1(socket, answer, stopped).await;
        }
    }
}

async fn serve_http1<C, S>(socket: Socket<C>, answer: S, stopped: watch::Receiver<bool>)
where
    C: Carrier + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Closed> + Send,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(socket, answer);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => log(ended),
        () = wait_for_stop(stopped) => {
            connection.as_mut().graceful_shutdown();
            log(connection.await);
        }
    }
}

async fn serve_http2<C, S>(
    socket: Socket<C>,
    answer: S,
    outflow: &Outflow,
    stopped: watch::Receiver<bool>,
) where
    C: Carrier + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Closed> + Send,
    S::Future: Send + 'static,
{
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(STREAM_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(socket, answer);
    let mut connection = pin!(connection);
    let driven = async {
        tokio::select! {
            ended = connection.as_mut() => log(ended),
            () = wait_for_stop(stopped) => {
                connection.as_mut().graceful_shutdown();
                log(connection.as_mut().await);
            }
        }
    };
    tokio::select! {
        () = driven => {}
        () = outflow.late() => outflow.cut(),
    }
}

/// Ends when the program stops listening.
pub async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        // The sender lives as long as the program serves.
        std::future::pending::<Infallible>().await;
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

fn answer(
    site: Site,
    outflow: Outflow,
    connection: Connection,
    wrong: Option<WrongPort>,
    mut request: Request<Incoming>,
) -> Pin<Box<dyn Future<Output = Result<Response<Body>, Closed>> + Send>> {
    let has_no_body = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
    let finish = move |response| match has_no_body {
        true => without_body(response),
        false => response,
    };
    let fault = match &wrong {
        Some(_) => Some(Fault::Plain),
        None => Fault::of(request.uri().path()),
    };
    if let Some(fault) = fault {
        let answer = fault.refuse(request.version(), connection.tls, connection.peer);
        if let Some(WrongPort(answered)) = wrong {
            answered.send_replace(true);
        }
        return Box::pin(std::future::ready(Ok(finish(answer))));
    }
    request.extensions_mut().insert(outflow);
    request.extensions_mut().insert(connection);
    // Boxed, because hyper keeps the space of this future as long as the connection.
    Box::pin(async move {
        let response = site.answer(request.map(Body::new)).await;
        match response.extensions().get::<Unanswered>() {
            Some(Unanswered) => Err(Closed),
            None => Ok(finish(response)),
        }
    })
}

/// The answer to a `HEAD` request (RFC 9110, section 9.3.2). Over HTTP/2, hyper sends the body otherwise.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(parts, Body::empty())
}
