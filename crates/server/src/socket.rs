//! A connection's I/O: counts what the kernel takes, and cuts a reader that takes nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use talaria_hub::Outflow;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// A TCP stream whose writes are bounded in time.
pub struct Socket {
    io: TokioIo<TcpStream>,
    outflow: Outflow,
    dispatch_timeout: Option<Duration>,
    /// Whether something was written since the last flush.
    written: bool,
    stall: Option<Stall>,
}

/// The kernel takes nothing.
struct Stall {
    since: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Wraps a stream. A write of which no byte is taken for `dispatch_timeout` fails, and so does
    /// one that is not taken when a stream on this connection must have ended.
    pub fn new(stream: TcpStream, outflow: Outflow, dispatch_timeout: Option<Duration>) -> Self {
        Self {
            io: TokioIo::new(stream),
            outflow,
            dispatch_timeout,
            written: false,
            stall: None,
        }
    }

    fn after_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.written = true;
            self.stall = None;
            return written;
        }
        ready!(self.poll_stalled_too_long(context));
        self.outflow.cut();
        tracing::info!("a subscriber accepts nothing and is disconnected; it can resume");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_stalled_too_long(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ends_by = self.outflow.ends_by().map(Instant::from_std);
        let stall = self.stall.get_or_insert_with(|| Stall {
            since: now(),
            alarm: None,
        });
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

impl Drop for Socket {
    fn drop(&mut self) {
        if self.outflow.is_cut() {
            // Linger zero: what the kernel holds is dropped, and the peer learns of it by a reset.
            let linger = socket2::SockRef::from(self.io.inner()).set_linger(Some(Duration::ZERO));
            drop(linger);
        }
    }
}

fn now() -> Instant {
    Instant::from_std(talaria_hub::clock::Clock::now(
        &talaria_hub::clock::SystemClock,
    ))
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Socket {
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
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        // hyper flushes only when the kernel has taken all that it had.
        if std::mem::take(&mut self.written) {
            self.outflow.flushed();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
