//! The layer below hyper: what is read passes a [`Reader`] first.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::socket::{Carrier, Counted};

/// How long the rest of a refused request is read: a connection that closes with unread bytes is
/// reset, and the client never sees the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Finds the heads in what is received.
pub trait Reader: Unpin {
    /// How many of these bytes hyper may read as they are, and what becomes of the others.
    fn read(&mut self, bytes: &[u8]) -> (usize, Rest);

    /// Whether bytes that were held back can be more than that, now that those from `new` on came.
    fn is_worth_reading(&self, held: &[u8], new: usize) -> bool;

    /// Whether hyper was handed the last request of the connection, because it is at fault.
    fn has_refused(&self) -> bool {
        false
    }
}

/// What becomes of bytes that hyper may not read as they are.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are held back until more came.
    Held,
    /// This many of them are replaced.
    Replaced(usize, Vec<u8>),
}

/// A connection whose requests are read ahead of hyper. What hyper may read as it is passes without a
/// copy, if all of a head comes at once.
pub struct Layer<C, R> {
    carrier: C,
    reader: R,
    /// The beginning of a head whose rest has not come.
    held: BytesMut,
    /// What hyper reads next.
    ready: BytesMut,
    /// Until when the rest of a refused connection is read.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<C: Carrier, R: Reader> Layer<C, R> {
    /// Puts the reader above the connection.
    pub fn new(carrier: C, reader: R) -> Self {
        Self {
            carrier,
            reader,
            held: BytesMut::new(),
            ready: BytesMut::new(),
            lingering: None,
        }
    }

    /// Makes what is held ready, as far as it goes.
    fn digest(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        while !held.is_empty() {
            let (passing, rest) = self.reader.read(&held);
            self.ready.extend_from_slice(&held.split_to(passing));
            let Rest::Replaced(received, by) = rest else {
                break;
            };
            held.advance(received);
            self.ready.extend_from_slice(&by);
        }
        self.held = held;
    }

    /// Reads and drops what comes, until the peer closes or has had its time.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let alarm = self
            .lingering
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if alarm.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut dropped = [0; 4096];
        // So many at a time, because other connections wait for this thread.
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut self.carrier).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Carrier, R: Reader> AsyncRead for Layer<C, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buffer.filled().len();
        loop {
            if !this.ready.is_empty() {
                let count = this.ready.len().min(buffer.remaining());
                buffer.put_slice(&this.ready.split_to(count));
                if this.ready.is_empty() {
                    this.ready = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if this.reader.has_refused() {
                // hyper answers the last request, and then closes.
                return Poll::Pending;
            }
            ready!(Pin::new(&mut this.carrier).poll_read(context, buffer))?;
            let read = &buffer.filled()[start..];
            if read.is_empty() {
                // Half a head is worth nothing to anybody.
                return Poll::Ready(Ok(()));
            }
            if this.held.is_empty() {
                let (passing, rest) = this.reader.read(read);
                let mut at = passing;
                if let Rest::Replaced(received, by) = rest {
                    this.ready.extend_from_slice(&by);
                    at += received;
                }
                this.held.extend_from_slice(&read[at..]);
                buffer.set_filled(start + passing);
                if !this.ready.is_empty() {
                    this.digest();
                }
            } else {
                let new = this.held.len();
                this.held.extend_from_slice(read);
                buffer.set_filled(start);
                if this.reader.is_worth_reading(&this.held, new) {
                    this.digest();
                }
            }
            if buffer.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<C: Carrier, R: Reader> AsyncWrite for Layer<C, R> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.carrier).poll_shutdown(context))?;
        }
        if self.reader.has_refused() {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

impl<C: Carrier, R: Reader> Carrier for Layer<C, R> {
    fn counted(&self) -> &Counted {
        self.carrier.counted()
    }
}
