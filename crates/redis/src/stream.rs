//! The bytes of a connection, and how many of them an answer may have.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than any answer that is asked for; a program that is no Redis may announce any length.
const MOST_BYTES: usize = 256 << 20;

/// What bytes are read from and written to.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// Counts the bytes that were read since a command was sent.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicUsize);

impl Meter {
    /// A command is sent.
    pub(crate) fn begin(&self) {
        // Commands of several tasks are under way at once; the bound need not be exact.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether too many bytes were read.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MOST_BYTES
    }
}

/// A stream that fails when an answer is too large.
pub(crate) struct Stream {
    bytes: Box<dyn Bytes>,
    meter: Arc<Meter>,
}

impl Stream {
    pub(crate) fn new(bytes: impl Bytes + 'static) -> Self {
        Self {
            bytes: Box::new(bytes),
            meter: Arc::default(),
        }
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.bytes).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.meter.0.fetch_add(read, Ordering::Relaxed);
        if self.meter.is_exceeded() {
            return Poll::Ready(Err(io::Error::other("the answer is too large")));
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }
}
