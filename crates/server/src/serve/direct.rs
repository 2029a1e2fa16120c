//! The direct writer: sends an event stream of HTTP/1.1 once hyper has written its head (ADR 0029).
//!
//! hyper keeps buffers of some 10 KB for each connection, and works through its state for each delivery. A
//! stream needs neither: its chunks are shared frames, and nothing is read until it has ended. So the connection
//! leaves hyper with the stream ([`Exit`]), and returns to it for the next request.

mod chunk;
mod exit;
mod leaving;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Buf as _;
use hyper::body::Body as _;
use hyper::rt::Write as _;

use self::chunk::Chunk;
use super::socket::{Carrier, Socket};

pub(crate) use self::exit::{Asked, Exit, May};
pub(crate) use self::leaving::Leaving;

/// A stream, and the connection that it has to itself.
pub(crate) struct Writer<C: Carrier> {
    socket: Box<Socket<C>>,
    stream: Leaving,
    chunk: Chunk,
    has_ended: bool,
    /// Whether the client has sent nothing, so that the end of the connection can be seen.
    is_watched: bool,
}

impl<C: Carrier> Writer<C> {
    /// A writer for a stream whose head the kernel has taken.
    pub(crate) fn new(socket: Box<Socket<C>>, stream: Leaving) -> Self {
        Self {
            socket,
            stream,
            chunk: Chunk::default(),
            has_ended: false,
            is_watched: true,
        }
    }

    /// The connection after the stream, and whether it is to be closed.
    pub(crate) fn into_socket(self) -> (Box<Socket<C>>, bool) {
        (self.socket, self.stream.closes)
    }

    /// Writes the stream until it has ended.
    ///
    /// # Errors
    /// The connection cannot be used any more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(ended) = self.poll_stream(context) {
            return Poll::Ready(ended);
        }
        if self.is_watched {
            // What the client sends meanwhile is its next request. The kernel bounds it.
            ready!(self.socket.poll_received(context))?;
            self.is_watched = false;
        }
        Poll::Pending
    }

    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_written(context))?;
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.stream.body).poll_frame(context)) {
                Some(frame) => {
                    let frame = frame.map_err(io::Error::other)?;
                    self.chunk = frame.into_data().map(Chunk::of).unwrap_or_default();
                }
                None => {
                    self.has_ended = true;
                    self.chunk = Chunk::last();
                    self.stream.body = Body::empty();
                }
            }
        }
    }

    /// Ready once the kernel has taken the chunk.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.chunk.has_remaining() {
            let mut slices = [io::IoSlice::new(&[]); Chunk::SLICES];
            let count = self.chunk.chunks_vectored(&mut slices);
            let socket = Pin::new(&mut *self.socket);
            let written = ready!(socket.poll_write_vectored(context, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.chunk.advance(written);
        }
        // Nothing of the frame is kept while the stream waits for the next one.
        self.chunk = Chunk::default();
        Pin::new(&mut *self.socket).poll_flush(context)
    }
}
