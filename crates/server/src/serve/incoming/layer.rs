//! The layer below hyper, in which a [`Reader`] reads what is received first.
//!
//! For one connection the layer holds the beginning of one head, at most `max_header_size` and one read, and one
//! replaced head. Everything after that waits until hyper has read what is ready, so one poll costs one
//! read or one replacement. `max_header_memory` bounds what all connections hold, and `header_timeout` for how
//! long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::fault::Fault;
use super::half_closed::HalfClosed;
use super::reader::{Reader, Rest};
use crate::serve::admission::{HeadMemory, Place};
use crate::serve::socket::{Carrier, Counted};

/// How long the rest of a refused request is read. A connection that closes with unread bytes is reset, and the
/// client never sees the answer.
const LINGER: Duration = Duration::from_secs(1);
/// How long the rest is read of a connection that is closed to make room.
const LEAVING: Duration = Duration::from_millis(250);
/// By how many bytes the buffer of a head grows, at first and later. A buffer that doubles would hold up to twice
/// the head.
const FIRST_STEP: usize = 4 * 1024;
const STEP: usize = 16 * 1024;

/// What bounds a connection's heads.
pub(crate) struct Bounds {
    /// Counts their memory; `None` for a connection that gets only one answer.
    pub place: Option<Place>,
    /// How long a head may take once it has begun.
    pub timeout: Duration,
    /// When the first head must have come.
    pub first_by: Instant,
}

/// A connection whose requests are read before hyper reads them. If a head comes at once and need not change, it
/// passes without a copy.
pub(crate) struct Layer<C, R> {
    carrier: C,
    reader: R,
    place: Option<Place>,
    timeout: Duration,
    /// When the first head must have come, until it has.
    first_by: Option<Instant>,
    /// Ends when the rest of a head must have come.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Counts the memory of `held`.
    memory: Option<HeadMemory>,
    /// What the reader has not passed on: the beginning of a head whose rest has not come, or what was
    /// received with a replaced head.
    held: BytesMut,
    /// Whether the reader must read what is held before more is received.
    is_worth_reading: bool,
    /// What hyper reads next.
    ready: BytesMut,
    /// Until when the rest of a refused connection is read.
    lingering: Option<Pin<Box<Sleep>>>,
    /// Whether the connection closes to make room, and the permit to read on, if it got one.
    leaving: Option<Option<OwnedSemaphorePermit>>,
    /// The client has shut down its side.
    half_closed: Option<HalfClosed>,
    has_unread: fn(&C) -> bool,
    /// Set once what comes is not HTTP any more.
    is_tunnel: Option<Arc<AtomicBool>>,
}

impl<C: AsyncRead + Unpin, R: Reader> Layer<C, R> {
    /// Puts the reader above the connection.
    pub(crate) fn new(carrier: C, reader: R, bounds: Bounds) -> Self {
        Self {
            carrier,
            reader,
            place: bounds.place,
            timeout: bounds.timeout,
            first_by: Some(bounds.first_by),
            alarm: None,
            memory: None,
            held: BytesMut::new(),
            is_worth_reading: false,
            ready: BytesMut::new(),
            lingering: None,
            leaving: None,
            half_closed: None,
            has_unread: |_| false,
            is_tunnel: None,
        }
    }

    /// Ends the connection to make room for another, if nothing is under way on it and nothing waits to be read.
    /// Returns whether it ends.
    fn leaves(&mut self) -> bool {
        let Some(place) = &self.place else {
            return false;
        };
        if !R::ENDS_BETWEEN_REQUESTS || !place.must_leave() {
            return false;
        }
        if (self.has_unread)(&self.carrier) {
            place.stay();
            return false;
        }
        self.leaving = Some(place.leave());
        true
    }

    /// Waits until a client that has shut down its side has its answer. Does not wait for a stream, which would
    /// never end: its reader is probably gone.
    fn poll_half_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let awaits_answer = R::ENDS_BETWEEN_REQUESTS
            && self.held.is_empty()
            && !self.reader.is_within_body()
            && self
                .place
                .as_ref()
                .is_some_and(|place| !place.is_idle() && !place.is_streaming());
        if !awaits_answer {
            return Poll::Ready(());
        }
        self.half_closed
            .get_or_insert_with(HalfClosed::begin)
            .poll(context)
    }

    /// Leaves in the buffer what hyper may read of the bytes from `start` on, and holds the rest back.
    fn receive(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        let received = &buffer.filled()[start..];
        if self.held.is_empty() {
            let (passing, rest) = self.reader.read(received);
            let held = self.hold(&received[passing..]);
            buffer.set_filled(start + passing);
            match held {
                Ok(()) => self.take(passing, rest),
                Err(fault) => self.give_up(fault),
            }
            if let Some(place) = self.place.as_ref().filter(|_| !self.held.is_empty()) {
                place.touch();
            }
        } else {
            let new = self.held.len();
            let held = self.hold(received);
            buffer.set_filled(start);
            match held {
                Ok(()) => self.is_worth_reading = self.reader.is_worth_reading(&self.held, new),
                Err(fault) => self.give_up(fault),
            }
        }
    }

    /// Makes what is held ready, up to the first head that is replaced.
    fn digest(&mut self) {
        let (passing, rest) = self.reader.read(&self.held);
        if passing > 0 {
            // Even an empty part would keep the whole buffer.
            self.ready = self.held.split_to(passing);
        }
        self.take(passing, rest);
    }

    /// Holds bytes back.
    ///
    /// # Errors
    /// Heads hold all the memory that they may.
    fn hold(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let needed = self.held.len() + bytes.len();
        if needed > self.held.capacity() {
            let step = if needed > STEP { STEP } else { FIRST_STEP };
            let capacity = needed.next_multiple_of(step);
            if let Some(place) = &self.place {
                self.memory = None;
                self.memory = place.head(capacity).map_err(|_| Fault::Busy)?;
            }
            let mut held = BytesMut::with_capacity(capacity);
            held.extend_from_slice(&self.held);
            self.held = held;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Stops waiting for the rest of a head, and gives hyper what stands for it.
    fn give_up(&mut self, fault: Fault) {
        let by = self.reader.give_up(fault, &self.held);
        self.held = BytesMut::new();
        self.ready = BytesMut::from(by.as_slice());
        self.memory = None;
        self.first_by = None;
        self.alarm = None;
        self.is_worth_reading = false;
    }

    /// Waits for the moment when the next head must have come, if there is one.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_within = !self.held.is_empty() || self.reader.is_within_head();
        if !is_within && self.first_by.is_none() {
            self.alarm = None;
            return Poll::Pending;
        }
        if self.alarm.is_none() {
            let at = self
                .first_by
                .unwrap_or_else(|| Instant::now() + self.timeout);
            self.alarm = Some(Box::pin(sleep_until(at)));
        }
        if let Some(alarm) = &mut self.alarm {
            ready!(alarm.as_mut().poll(context));
        }
        if !is_within {
            // The client asked nothing, so it gets no answer.
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.give_up(Fault::HeadTimeout);
        Poll::Ready(Ok(()))
    }

    /// Makes the replacement ready. What was received with the head stays held.
    fn take(&mut self, passing: usize, rest: Rest) {
        self.is_worth_reading = false;
        if let Rest::Replaced(received, by) = rest {
            self.held.advance(received);
            self.ready.extend_from_slice(&by);
            self.is_worth_reading = !self.held.is_empty();
        }
        if passing > 0 || !self.ready.is_empty() {
            (self.first_by, self.alarm) = (None, None);
        }
        if self.held.is_empty() {
            self.held = BytesMut::new();
            self.memory = None;
        }
    }

    /// Reads and drops what comes, until the peer closes or its time is up.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let time = match self.leaving {
            None => LINGER,
            Some(_) => LEAVING,
        };
        let alarm = self.lingering.get_or_insert_with(|| Box::pin(sleep(time)));
        if alarm.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut dropped = [0; 4096];
        // The number of reads is bounded, because other connections wait for this thread.
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
            if this.is_tunnel() {
                if this.held.is_empty() {
                    return Pin::new(&mut this.carrier).poll_read(context, buffer);
                }
                this.ready = std::mem::take(&mut this.held);
                continue;
            }
            if this.is_worth_reading {
                this.digest();
                continue;
            }
            if this.reader.has_ended() {
                // hyper answers the last request, and then closes.
                return Poll::Pending;
            }
            if this.half_closed.is_some() {
                ready!(this.poll_half_closed(context));
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut this.carrier).poll_read(context, buffer) {
                Poll::Ready(outcome) => outcome?,
                Poll::Pending => {
                    if this.leaves() {
                        return Poll::Ready(Ok(()));
                    }
                    ready!(this.poll_late(context))?;
                    continue;
                }
            }
            if buffer.filled().len() == start {
                // What is held is an incomplete head, and the client sends no more of it.
                ready!(this.poll_half_closed(context));
                return Poll::Ready(Ok(()));
            }
            this.receive(buffer, start);
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
        let written = Pin::new(&mut self.carrier).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.carrier).poll_write_vectored(context, bytes);
        self.count(written)
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
        let may_linger = matches!(self.leaving, Some(Some(_)));
        if may_linger || self.reader.has_ended() || self.reader.is_within_body() {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

impl<C: Carrier, R: Reader> Layer<C, R> {
    /// Checks the kernel for unread bytes before the connection is closed to make room.
    pub(crate) fn looking(mut self) -> Self {
        self.has_unread = |carrier| carrier.counted().has_unread();
        self
    }
}

impl<C, R: Reader> Layer<C, R> {
    /// Reads no heads any more once the flag is set.
    pub(crate) fn until(mut self, is_tunnel: Arc<AtomicBool>) -> Self {
        self.is_tunnel = Some(is_tunnel);
        self
    }

    fn is_tunnel(&self) -> bool {
        let flag = self.is_tunnel.as_ref();
        flag.is_some_and(|flag| flag.load(Ordering::Acquire))
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.reader.sent(count);
        }
        written
    }
}

impl<C: Carrier, R: Reader> Carrier for Layer<C, R> {
    fn counted(&self) -> &Counted {
        self.carrier.counted()
    }
}

#[cfg(test)]
mod tests;
