//! A connection's I/O: counts the bytes that the kernel accepts, and cuts a reader that accepts nothing.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use talaria_hub::Outflow;
use talaria_hub::statistics::{Departure, Parting};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

/// A TCP stream that counts the bytes that the kernel has accepted.
pub(crate) struct Counted {
    stream: TcpStream,
    taken: u64,
}

impl From<TcpStream> for Counted {
    fn from(stream: TcpStream) -> Self {
        Self { stream, taken: 0 }
    }
}

impl Counted {
    /// Whether unread bytes wait in the kernel, or the end of what the peer sends.
    pub(crate) fn has_unread(&self) -> bool {
        has_unread(&self.stream)
    }

    /// Ready when the peer has sent a byte, which stays unread; zero when it has ended what it sends.
    fn poll_peek(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut first = [0];
        self.stream
            .poll_peek(context, &mut ReadBuf::new(&mut first))
    }
}

/// Whether unread bytes wait in the kernel, or the end of what the peer sends. Readiness alone does not tell,
/// because the runtime may not have heard of them yet.
pub(crate) fn has_unread(stream: &TcpStream) -> bool {
    let mut first = [MaybeUninit::uninit()];
    socket2::SockRef::from(stream).peek(&mut first).is_ok()
}

/// The transport of a connection: a TCP stream, or TLS on top of it, which buffers bytes itself.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Unpin {
    /// The TCP stream.
    fn counted(&self) -> &Counted;
}

impl Carrier for Counted {
    fn counted(&self) -> &Counted {
        self
    }
}

impl Carrier for TlsStream<Counted> {
    fn counted(&self) -> &Counted {
        self.get_ref().0
    }
}

/// A connection whose writes are bounded in time.
pub(crate) struct Socket<C: Carrier> {
    io: TokioIo<Watched<C>>,
    outflow: Outflow,
    dispatch_timeout: Option<Duration>,
    /// Whether something was written since the last flush.
    written: bool,
    stall: Option<Box<Stall>>,
}

/// A time in which the kernel accepts nothing.
struct Stall {
    since: Instant,
    /// The bytes that the kernel had accepted then.
    taken: u64,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<C: Carrier> Socket<C> {
    /// Wraps a connection. A write fails if the kernel accepts no byte of it for `dispatch_timeout`, or if it
    /// still waits when a stream on this connection must have ended.
    pub(crate) fn new(carrier: C, outflow: Outflow, dispatch_timeout: Option<Duration>) -> Self {
        Self {
            io: TokioIo::new(Watched {
                carrier,
                parting: outflow.parting().clone(),
            }),
            outflow,
            dispatch_timeout,
            written: false,
            stall: None,
        }
    }

    /// Ready when the peer has sent something, which stays unread.
    ///
    /// # Errors
    /// The peer has ended the connection, or it broke off.
    pub(crate) fn poll_received(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watched = self.io.inner();
        let peeked = watched.watch(watched.carrier.counted().poll_peek(context));
        if ready!(peeked)? == 0 {
            watched.parting.because(Departure::ClientGone);
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn after_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.written |= written.is_ready();
        self.bounded(context, written)
    }

    /// Fails a write if the kernel has accepted nothing for too long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.stall.take().is_some() {
                self.outflow.flows(now().into_std());
            }
            return outcome;
        }
        ready!(self.poll_stalled_too_long(context));
        // If a stream had to end, that is the reason, which the hub knows.
        let must_end = self.outflow.ends_by().map(Instant::from_std);
        if must_end.is_none_or(|at| at > now()) {
            self.outflow.parting().because(Departure::Slow);
        }
        self.outflow.cut();
        tracing::info!(name: "subscriber_stalled", "a subscriber accepts nothing and is disconnected; it can resume");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_stalled_too_long(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ends_by = self.outflow.ends_by().map(Instant::from_std);
        let taken = self.io.inner().carrier.counted().taken;
        let stall = self.stall.get_or_insert_with(|| {
            self.outflow.stalls();
            Box::new(Stall {
                since: now(),
                taken,
                alarm: None,
            })
        });
        if stall.taken != taken {
            (stall.taken, stall.since) = (taken, now());
        }
        let patience = self.dispatch_timeout.map(|timeout| stall.since + timeout);
        let Some(at) = [patience, ends_by].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let alarm = stall.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        alarm.as_mut().poll(context)
    }
}

impl<C: Carrier> Drop for Socket<C> {
    fn drop(&mut self) {
        if self.outflow.is_cut() {
            // With a linger of zero the kernel drops what it holds, and the peer gets a reset.
            let stream = &self.io.inner().carrier.counted().stream;
            let linger = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
            drop(linger);
        }
    }
}

fn now() -> Instant {
    Instant::from_std(talaria_hub::clock::Clock::now(
        &talaria_hub::clock::SystemClock,
    ))
}

impl<C: Carrier> Read for Socket<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<C: Carrier> Write for Socket<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.after_write(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.after_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        ready!(self.bounded(context, flushed))?;
        // hyper flushes only when the kernel has accepted everything.
        if std::mem::take(&mut self.written) {
            self.outflow.flushed();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(context);
        self.bounded(context, shut)
    }
}

/// A carrier that tells why its streams end.
struct Watched<C> {
    carrier: C,
    parting: Parting,
}

impl<C> Watched<C> {
    fn watch<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(_)) = outcome {
            self.parting.because(Departure::ConnectionError);
        }
        outcome
    }
}

impl<C: Carrier> AsyncRead for Watched<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.carrier).poll_read(context, buffer);
        let is_end = matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        if is_end && buffer.remaining() > 0 {
            self.parting.because(Departure::ClientGone);
        }
        self.watch(read)
    }
}

impl<C: Carrier> AsyncWrite for Watched<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.carrier).poll_write(context, bytes);
        self.watch(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.carrier).poll_write_vectored(context, bytes);
        self.watch(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.carrier).poll_flush(context);
        self.watch(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(context)
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Counted {
    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.taken += count as u64;
        }
        written
    }
}
