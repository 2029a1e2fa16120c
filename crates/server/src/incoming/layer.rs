//! The layer below hyper: what is read passes a [`Reader`] first.
//!
//! Of one connection the layer holds the beginning of one head, and one replaced head. Over HTTP/1.1 both
//! are at most `HEAD_BYTES` and one read; over HTTP/2 the frames of one header block, at most 1.4 MiB, and
//! its replacement, at most `HEAD_BYTES`. Everything after that waits until hyper has read what is ready,
//! so one poll costs one read or one replacement.

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

    /// Whether hyper was handed the last request of the connection, because that request is at fault.
    fn has_ended(&self) -> bool {
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
    /// What the reader has not passed on: the beginning of a head whose rest has not come, and what was
    /// received with a replaced head.
    held: BytesMut,
    /// Whether the reader has to read what is held before more is received.
    is_worth_reading: bool,
    /// What hyper reads next.
    ready: BytesMut,
    /// Until when the rest of a refused connection is read.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncRead + Unpin, R: Reader> Layer<C, R> {
    /// Puts the reader above the connection.
    pub fn new(carrier: C, reader: R) -> Self {
        Self {
            carrier,
            reader,
            held: BytesMut::new(),
            is_worth_reading: false,
            ready: BytesMut::new(),
            lingering: None,
        }
    }

    /// Makes what is held ready, up to the first head that is replaced.
    fn digest(&mut self) {
        let (passing, rest) = self.reader.read(&self.held);
        self.ready = self.held.split_to(passing);
        self.take(rest);
    }

    /// Makes the replacement ready. What was received with the head stays held.
    fn take(&mut self, rest: Rest) {
        self.is_worth_reading = false;
        if let Rest::Replaced(received, by) = rest {
            self.held.advance(received);
            self.ready.extend_from_slice(&by);
            self.is_worth_reading = !self.held.is_empty();
        }
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
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
        // A bounded number of reads, because other connections wait for this thread.
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

impl<C: AsyncRead + Unpin, R: Reader> AsyncRead for Layer<C, R> {
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
            if this.is_worth_reading {
                this.digest();
                continue;
            }
            if this.reader.has_ended() {
                // hyper answers the last request, and then closes.
                return Poll::Pending;
            }
            ready!(Pin::new(&mut this.carrier).poll_read(context, buffer))?;
            let read = &buffer.filled()[start..];
            if read.is_empty() {
                // What is held is an incomplete head, and the client sends no more of it.
                return Poll::Ready(Ok(()));
            }
            if this.held.is_empty() {
                let (passing, rest) = this.reader.read(read);
                this.held.extend_from_slice(&read[passing..]);
                buffer.set_filled(start + passing);
                this.take(rest);
            } else {
                let new = this.held.len();
                this.held.extend_from_slice(read);
                buffer.set_filled(start);
                this.is_worth_reading = this.reader.is_worth_reading(&this.held, new);
            }
            if buffer.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin, R: Reader> AsyncWrite for Layer<C, R> {
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
        if self.reader.has_ended() {
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

/// What is read above a layer, of bytes that come in pieces.
#[cfg(test)]
pub fn through(reader: impl Reader, sent: &[u8], piece: usize) -> Vec<u8> {
    use std::task::Waker;

    let mut context = Context::from_waker(Waker::noop());
    let (mut peer, carrier) = tokio::io::duplex(sent.len());
    let mut layer = Layer::new(carrier, reader);
    let mut read = Vec::new();
    for piece in sent.chunks(piece) {
        let written = Pin::new(&mut peer).poll_write(&mut context, piece);
        assert!(matches!(written, Poll::Ready(Ok(count)) if count == piece.len()));
        loop {
            let mut space = [0; 8192];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut layer).poll_read(&mut context, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(outcome) => outcome.unwrap(),
            }
            assert!(!buffer.filled().is_empty(), "the peer goes on");
            read.extend_from_slice(buffer.filled());
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::Http2;
    use super::super::frames::write_block;
    use super::*;

    /// One read brings many blocks, each of which becomes 8 KiB: one is replaced at a time, and the next
    /// one waits until hyper has read it.
    #[test]
    fn one_head_is_replaced_at_a_time() {
        const BLOCKS: u8 = 100;
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut entry = b"\x82\x86\x04\x02/\"\x40\x01x\x7f\xa1\x1e".to_vec();
        entry.resize(entry.len() + 4000, b'a');
        write_block(&entry, 1, [0, 0, 0, 1], &mut sent);
        for number in 1..=BLOCKS {
            let block = b"\x82\x86\x84\xbe\xbe";
            write_block(block, 1, [0, 0, number, 1], &mut sent);
        }
        let mut context = Context::from_waker(Waker::noop());
        let (mut peer, carrier) = tokio::io::duplex(sent.len());
        let written = Pin::new(&mut peer).poll_write(&mut context, &sent);
        assert!(written.is_ready());
        let mut layer = Layer::new(carrier, Http2::new());
        let mut total = 0;
        loop {
            let mut space = [0; 8192];
            let mut buffer = ReadBuf::new(&mut space);
            let read = Pin::new(&mut layer).poll_read(&mut context, &mut buffer);
            assert!(layer.ready.len() < 10_000, "{}", layer.ready.len());
            assert!(layer.held.len() < sent.len());
            if read.is_pending() {
                break;
            }
            total += buffer.filled().len();
        }
        assert!(total > usize::from(BLOCKS) * 8000, "{total}");
    }
}
