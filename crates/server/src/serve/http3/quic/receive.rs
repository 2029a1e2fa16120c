//! The receiving side of a stream. What it receives is read here before h3 reads it.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId};
use quinn::ReadError;
use tokio::time::{Instant, Sleep, sleep_until};

use super::translate::{lost, number};
use crate::serve::incoming::{Fault, Http3, Unidirectional};

/// The most bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// Reads a stream.
pub(in crate::serve::http3) struct ReceiveStream {
    stream: quinn::RecvStream,
    id: StreamId,
    reader: Reader,
    /// What h3 reads next.
    ready: VecDeque<Bytes>,
    has_ended: bool,
}

enum Reader {
    Unidirectional(Unidirectional),
    Request {
        reader: Box<Http3>,
        /// Ends when the head must have come, until it has.
        alarm: Option<Pin<Box<Sleep>>>,
        is_bodiless: Arc<AtomicBool>,
    },
}

impl ReceiveStream {
    pub(super) fn unidirectional(stream: quinn::RecvStream, id: StreamId) -> Self {
        let reader = Reader::Unidirectional(Unidirectional::default());
        Self::new(stream, id, reader)
    }

    /// A stream whose head must have come `by` then.
    pub(super) fn request(
        stream: quinn::RecvStream,
        id: StreamId,
        reader: Http3,
        by: Instant,
        is_bodiless: Arc<AtomicBool>,
    ) -> Self {
        let reader = Reader::Request {
            reader: Box::new(reader),
            alarm: Some(Box::pin(sleep_until(by))),
            is_bodiless,
        };
        Self::new(stream, id, reader)
    }

    fn new(stream: quinn::RecvStream, id: StreamId, reader: Reader) -> Self {
        Self {
            stream,
            id,
            reader,
            ready: VecDeque::new(),
            has_ended: false,
        }
    }

    /// Reads once, and looks at what was read.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        // The future keeps nothing, so it may be made anew for each poll.
        let read = pin!(self.stream.read_chunk(PIECE, true)).poll(context);
        match ready!(read).map_err(failed)? {
            Some(chunk) => self.receive(chunk.bytes)?,
            None => self.end()?,
        }
        Poll::Ready(Ok(()))
    }

    fn receive(&mut self, bytes: Bytes) -> Result<(), StreamErrorIncoming> {
        match &mut self.reader {
            Reader::Request { reader, .. } => reader.read(bytes, &mut self.ready),
            Reader::Unidirectional(reader) => {
                reader.read(bytes, &mut self.ready).map_err(|error| {
                    let error = ConnectionErrorIncoming::InternalError(error.to_string());
                    StreamErrorIncoming::ConnectionErrorIncoming {
                        connection_error: error,
                    }
                })?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), StreamErrorIncoming> {
        self.has_ended = true;
        if let Reader::Request {
            reader,
            is_bodiless,
            ..
        } = &mut self.reader
        {
            is_bodiless.store(!reader.has_body(), Ordering::Release);
            let ended = reader.end(&mut self.ready);
            ended.map_err(|error| StreamErrorIncoming::Unknown(Box::new(error)))?;
        }
        Ok(())
    }

    /// Whether the head has just come. Then the alarm is switched off.
    fn begins(&mut self) -> bool {
        match &mut self.reader {
            Reader::Request { reader, alarm, .. } => reader.has_head() && alarm.take().is_some(),
            Reader::Unidirectional(_) => false,
        }
    }

    /// Waits for the moment when the head must have come, and gives h3 what stands for it.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Reader::Request {
            reader,
            alarm: Some(alarm),
            ..
        } = &mut self.reader
        {
            ready!(alarm.as_mut().poll(context));
            reader.give_up(Fault::HeadTimeout, &mut self.ready);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl quic::RecvStream for ReceiveStream {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if self.has_ended {
                return Poll::Ready(Ok(None));
            }
            match self.poll_read(context) {
                Poll::Ready(read) => read?,
                Poll::Pending => ready!(self.poll_late(context)),
            }
            // The end often comes with the head. Then the request is known to have no body.
            if self.begins() && !self.has_ended {
                match self.poll_read(context) {
                    Poll::Ready(read) => read?,
                    Poll::Pending => {}
                }
            }
        }
    }

    fn stop_sending(&mut self, code: u64) {
        // The client may have closed the stream.
        _ = self.stream.stop(number(code));
    }

    fn recv_id(&self) -> StreamId {
        self.id
    }
}

impl Drop for ReceiveStream {
    fn drop(&mut self) {
        if !self.has_ended {
            // As above. What is left of a request is not needed for its answer (RFC 9114, section 4.1).
            _ = self.stream.stop(number(Code::H3_NO_ERROR.value()));
        }
    }
}

fn failed(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated {
            error_code: code.into_inner(),
        },
        ReadError::ConnectionLost(error) => StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: lost(error),
        },
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}
