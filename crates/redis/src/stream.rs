//! The bytes of a connection, and how many of them an answer may have.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fault::Fault;

/// The largest update that is stored, in bytes.
pub(crate) const LARGEST_UPDATE: usize = 32 << 20;
/// More than any answer that is asked for; a program that is not Redis may announce any length.
const MOST_BYTES: usize = 2 * LARGEST_UPDATE;

/// What bytes are read from and written to.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// Counts the bytes that were read since a command was sent or answered, and remembers what ended the connection.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicUsize,
    end: OnceLock<Fault>,
}

impl Meter {
    /// A command is sent, or an answer is complete.
    pub(crate) fn restart(&self) {
        // Commands of several tasks are under way at once; the bound need not be exact.
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// What ended the connection, if reading failed.
    pub(crate) fn end(&self) -> Option<&Fault> {
        self.end.get()
    }

    fn read(&self, bytes: usize) -> io::Result<()> {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) > MOST_BYTES {
            _ = self.end.set(Fault::TooLarge);
            return Err(io::Error::other("the answer is too large"));
        }
        Ok(())
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
        ready!(Pin::new(&mut self.bytes).poll_read(context, buffer))
            .inspect_err(|error| _ = self.meter.end.set(Fault::of_io(error)))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(self.meter.read(read))
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
