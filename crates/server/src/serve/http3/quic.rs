//! QUIC as h3 uses it, over quinn.
//!
//! `h3-quinn` hides what is needed here: how far the bytes of one stream have got, when a client has left it, and a
//! place to read heads before h3 does. It also panics if a stream is stopped while it is read.

mod receive;
mod send;
mod translate;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::ConnectionError;
use talaria_config::settings::HeadSettings;

use crate::serve::admission::Place;
use crate::serve::incoming::Http3;
use crate::serve::lock::lock;

pub(super) use self::receive::ReceiveStream;
pub(super) use self::send::SendStream;

use self::translate::{id, lost, number};

type Opening<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>> + Send>>;

/// How the sending side of a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The client has acknowledged all of it.
    Taken,
    /// The client wants no more of it.
    Left,
    /// The connection is gone.
    Gone,
}

/// What is known of a request's stream besides what h3 tells.
pub(super) struct Opened {
    /// Ends when the client has all of the answer, or wants no more of it.
    pub stopped: Pin<Box<dyn Future<Output = Stopped> + Send>>,
    /// How many acknowledgements the connection has got.
    pub acknowledgements: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Set if the stream ended without a body.
    pub is_bodiless: Arc<AtomicBool>,
}

/// The request streams of a connection, shared with its driver.
#[derive(Default)]
pub(super) struct Requested {
    newest: Mutex<Option<Opened>>,
    is_closed: AtomicBool,
}

impl Requested {
    /// The stream that h3 has accepted last.
    pub(super) fn take(&self) -> Option<Opened> {
        lock(&self.newest).take()
    }

    /// Refuses every further request. h3 alone would accept one more than its GOAWAY says, and the client would
    /// send that again on another connection.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

/// A QUIC connection.
pub(super) struct Connection {
    opener: Opener,
    bidirectional: Opening<(quinn::SendStream, quinn::RecvStream)>,
    unidirectional: Opening<quinn::RecvStream>,
    requested: Arc<Requested>,
    head: HeadSettings,
    place: Place,
}

impl Connection {
    /// A connection whose requests are bounded by `head`, and counted by `place`.
    pub(super) fn new(
        connection: quinn::Connection,
        requested: Arc<Requested>,
        head: HeadSettings,
        place: Place,
    ) -> Self {
        Self {
            bidirectional: bidirectional(&connection),
            unidirectional: unidirectional(&connection),
            opener: Opener {
                connection,
                opening: None,
            },
            requested,
            head,
            place,
        }
    }
}

fn bidirectional(
    connection: &quinn::Connection,
) -> Opening<(quinn::SendStream, quinn::RecvStream)> {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_bi().await })
}

fn unidirectional(connection: &quinn::Connection) -> Opening<quinn::RecvStream> {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_uni().await })
}

impl<B: Buf> quic::Connection<B> for Connection {
    type RecvStream = ReceiveStream;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<ReceiveStream, ConnectionErrorIncoming>> {
        let accepted = ready!(self.unidirectional.as_mut().poll(context));
        self.unidirectional = unidirectional(&self.opener.connection);
        let stream = accepted.map_err(lost)?;
        let id = id(stream.id())?;
        Poll::Ready(Ok(ReceiveStream::unidirectional(stream, id)))
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<RequestStream<B>, ConnectionErrorIncoming>> {
        loop {
            let accepted = ready!(self.bidirectional.as_mut().poll(context));
            self.bidirectional = bidirectional(&self.opener.connection);
            let (mut send, mut receive) = accepted.map_err(lost)?;
            if self.requested.is_closed.load(Ordering::Acquire) {
                let rejected = number(Code::H3_REQUEST_REJECTED.value());
                // The client may have closed them.
                _ = send.reset(rejected);
                _ = receive.stop(rejected);
                continue;
            }
            let id = id(send.id())?;
            let stopped = send.stopped();
            let connection = self.opener.connection.clone();
            let opened = Opened {
                stopped: Box::pin(async move {
                    match stopped.await {
                        Ok(None) => Stopped::Taken,
                        Ok(Some(_)) => Stopped::Left,
                        Err(_) => Stopped::Gone,
                    }
                }),
                acknowledgements: Box::new(move || connection.stats().frame_rx.acks),
                is_bodiless: Arc::default(),
            };
            let reader = Http3::new(self.head, self.place.clone());
            let by = tokio::time::Instant::now() + self.head.timeout;
            let is_bodiless = Arc::clone(&opened.is_bodiless);
            *lock(&self.requested.newest) = Some(opened);
            return Poll::Ready(Ok(RequestStream {
                send: SendStream::new(send, id),
                receive: ReceiveStream::request(receive, id, reader, by, is_bodiless),
            }));
        }
    }

    fn opener(&self) -> Opener {
        Opener {
            connection: self.opener.connection.clone(),
            opening: None,
        }
    }
}

impl<B: Buf> quic::OpenStreams<B> for Connection {
    type BidiStream = RequestStream<B>;
    type SendStream = SendStream<B>;

    fn poll_open_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<RequestStream<B>, StreamErrorIncoming>> {
        self.opener.poll_open_bidi(context)
    }

    fn poll_open_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<SendStream<B>, StreamErrorIncoming>> {
        self.opener.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<B>::close(&mut self.opener, code, reason);
    }
}

/// Opens the streams of the server: control and header compression.
pub(super) struct Opener {
    connection: quinn::Connection,
    opening: Option<Opening<quinn::SendStream>>,
}

impl<B: Buf> quic::OpenStreams<B> for Opener {
    type BidiStream = RequestStream<B>;
    type SendStream = SendStream<B>;

    fn poll_open_bidi(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<RequestStream<B>, StreamErrorIncoming>> {
        let error = "a server opens no requests".to_owned();
        let connection_error = ConnectionErrorIncoming::InternalError(error);
        Poll::Ready(Err(StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error,
        }))
    }

    fn poll_open_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<SendStream<B>, StreamErrorIncoming>> {
        let connection = &self.connection;
        let opening = self.opening.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(context));
        self.opening = None;
        let of_connection =
            |connection_error| StreamErrorIncoming::ConnectionErrorIncoming { connection_error };
        let stream = opened.map_err(|error| of_connection(lost(error)))?;
        let id = id(stream.id()).map_err(of_connection)?;
        Poll::Ready(Ok(SendStream::new(stream, id)))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.connection.close(number(code.value()), reason);
    }
}

/// Both sides of a request's stream.
pub(super) struct RequestStream<B> {
    send: SendStream<B>,
    receive: ReceiveStream,
}

impl<B: Buf> quic::BidiStream<B> for RequestStream<B> {
    type SendStream = SendStream<B>;
    type RecvStream = ReceiveStream;

    fn split(self) -> (SendStream<B>, ReceiveStream) {
        (self.send, self.receive)
    }
}

impl<B: Buf> quic::RecvStream for RequestStream<B> {
    type Buf = bytes::Bytes;

    fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<bytes::Bytes>, StreamErrorIncoming>> {
        self.receive.poll_data(context)
    }

    fn stop_sending(&mut self, code: u64) {
        self.receive.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.receive.recv_id()
    }
}

impl<B: Buf> quic::SendStream<B> for RequestStream<B> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_finish(context)
    }

    fn reset(&mut self, code: u64) {
        self.send.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}
