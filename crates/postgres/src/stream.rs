//! The bytes of a connection, encrypted or not, and how many of them an answer may have.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

/// The largest update that is stored, in bytes.
pub(crate) const LARGEST_UPDATE: usize = 32 << 20;
/// More than any answer that is asked for; a program that is not PostgreSQL may send without an end.
const MOST_BYTES: usize = 2 * LARGEST_UPDATE;

/// Counts the bytes that were read since a statement was sent or answered.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// A statement is sent, or its answer is complete.
    pub(crate) fn restart(&self) {
        // Statements of several tasks are under way at once; the bound need not be exact.
        self.0.store(0, Ordering::Relaxed);
    }

    fn read(&self, bytes: usize) -> io::Result<()> {
        match self.0.fetch_add(bytes, Ordering::Relaxed) > MOST_BYTES {
            true => Err(io::Error::other("the server's answer is too large")),
            false => Ok(()),
        }
    }
}

/// What bytes are read from and written to.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// A stream of bytes: a socket, or one that is encrypted. It fails if it has a meter and an answer is too large.
pub(crate) struct Stream {
    bytes: Box<dyn Bytes>,
    meter: Option<Meter>,
}

impl Stream {
    pub(crate) fn new(bytes: impl Bytes + 'static) -> Self {
        Self {
            bytes: Box::new(bytes),
            meter: None,
        }
    }

    pub(crate) fn measured(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.bytes).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(self.meter.as_ref().map_or(Ok(()), |meter| meter.read(read)))
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
