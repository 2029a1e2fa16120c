//! The sending side of a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use h3::error::Code;
use h3::quic::{self, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::WriteError;

use super::translate::{lost, number};

/// Writes a stream. Dropped before its end, it resets the stream, which quinn alone would end as if all had been
/// written.
pub(in crate::serve::http3) struct SendStream<B> {
    stream: quinn::SendStream,
    id: StreamId,
    writing: Option<WriteBuf<B>>,
    is_over: bool,
}

impl<B> SendStream<B> {
    pub(super) fn new(stream: quinn::SendStream, id: StreamId) -> Self {
        Self {
            stream,
            id,
            writing: None,
            is_over: false,
        }
    }
}

impl<B: Buf> quic::SendStream<B> for SendStream<B> {
    /// Ends when quinn has taken what is written: when the windows of stream and connection let it through, and
    /// little is on its way that the client has not acknowledged.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        if let Some(data) = &mut self.writing {
            while data.has_remaining() {
                let stream = Pin::new(&mut self.stream);
                let written = ready!(stream.poll_write(context, data.chunk())).map_err(failed)?;
                data.advance(written);
            }
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.is_over = true;
        let finished = self.stream.finish();
        Poll::Ready(finished.map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, code: u64) {
        self.is_over = true;
        // The client may have closed the stream.
        _ = self.stream.reset(number(code));
    }

    fn send_id(&self) -> StreamId {
        self.id
    }
}

impl<B> Drop for SendStream<B> {
    fn drop(&mut self) {
        if !self.is_over {
            // As above.
            _ = self
                .stream
                .reset(number(Code::H3_REQUEST_CANCELLED.value()));
        }
    }
}

fn failed(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated {
            error_code: code.into_inner(),
        },
        WriteError::ConnectionLost(error) => StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: lost(error),
        },
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}
