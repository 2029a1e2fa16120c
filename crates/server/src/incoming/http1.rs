//! The layer below hyper on an HTTP/1.1 connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::follows::Follows;
use super::head::{Complete, Head, judge};
use super::{Fault, HEAD_BYTES};
use crate::socket::{Carrier, Counted};

/// How long the rest of a refused request is read: a connection that closes with unread bytes is
/// reset, and the client never sees the answer.
const LINGER: Duration = Duration::from_secs(1);
/// A head of which no more came is judged again with each read, so that garbage is answered at once.
const SHORT: usize = 1024;

/// Reads requests ahead of hyper. What hyper takes as it is passes without a copy, if all of a head
/// comes at once.
pub struct Requests<C> {
    carrier: C,
    follows: Follows,
    /// The beginning of a head whose rest has not come.
    held: BytesMut,
    /// What hyper reads next.
    ready: BytesMut,
    refusal: Option<Refusal>,
}

/// The end of a connection whose last request is at fault.
enum Refusal {
    /// Whatever comes first is answered with this.
    Due(Fault),
    /// hyper was handed a request that stands for the fault.
    Handed,
    /// What else comes is read and dropped until then.
    Lingering(Pin<Box<Sleep>>),
}

impl<C: Carrier> Requests<C> {
    /// Wraps a connection.
    pub fn new(carrier: C) -> Self {
        Self {
            carrier,
            follows: Follows::Head,
            held: BytesMut::new(),
            ready: BytesMut::new(),
            refusal: None,
        }
    }

    /// Wraps a connection on which every request is at fault.
    pub fn refusing(carrier: C, fault: Fault) -> Self {
        Self {
            refusal: Some(Refusal::Due(fault)),
            ..Self::new(carrier)
        }
    }

    /// How many of the bytes hyper may read as they are; the next one begins a head that it may not,
    /// or not yet.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            at += match self.follows {
                Follows::Unknown => bytes.len() - at,
                Follows::Bytes(_) | Follows::Chunks(_) => self.follows.take(&bytes[at..]),
                Follows::Head => match judge(&bytes[at..]) {
                    Ok(Head::Complete(Complete {
                        length,
                        encoded: None,
                        follows,
                    })) => {
                        self.follows = follows;
                        length
                    }
                    _ => break,
                },
            };
        }
        at
    }

    /// Makes what is held ready, as far as it goes.
    fn digest(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        while !held.is_empty() {
            let passing = self.pass(&held);
            self.ready.extend_from_slice(&held.split_to(passing));
            if held.is_empty() {
                return;
            }
            match judge(&held) {
                Err(fault) => return self.refuse(fault),
                Ok(Head::Partial) if held.len() >= HEAD_BYTES => {
                    return self.refuse(Fault::HeadTooLarge);
                }
                Ok(Head::Partial) => break,
                Ok(Head::Complete(head)) => {
                    self.follows = head.follows;
                    let mut rest = head.length;
                    if let Some((line, received)) = head.encoded {
                        self.ready.extend_from_slice(&line);
                        held.advance(received);
                        rest -= received;
                    }
                    self.ready.extend_from_slice(&held.split_to(rest));
                }
            }
        }
        self.held = held;
    }

    fn refuse(&mut self, fault: Fault) {
        self.held = BytesMut::new();
        let target = fault.target();
        let request =
            format!("GET {target} HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n");
        self.ready.extend_from_slice(request.as_bytes());
        self.refusal = Some(Refusal::Handed);
    }
}

/// Whether the new bytes at the end of what is held, from `new` on, could complete a head.
fn worth_judging(held: &[u8], new: usize) -> bool {
    let end = &held[new.saturating_sub(3)..];
    held.len() <= SHORT
        || held.len() >= HEAD_BYTES
        || end.windows(2).any(|two| two == b"\n\n")
        || end.windows(3).any(|three| three == b"\n\r\n")
}

impl<C: Carrier> AsyncRead for Requests<C> {
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
            if matches!(this.refusal, Some(Refusal::Handed | Refusal::Lingering(_))) {
                // hyper answers the last request, and then closes.
                return Poll::Pending;
            }
            ready!(Pin::new(&mut this.carrier).poll_read(context, buffer))?;
            let read = &buffer.filled()[start..];
            if read.is_empty() {
                if this.held.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                // Half a head, and the end: hyper knows what to do.
                this.follows = Follows::Unknown;
                this.ready = std::mem::take(&mut this.held);
                continue;
            }
            if let Some(Refusal::Due(fault)) = this.refusal {
                buffer.set_filled(start);
                this.refuse(fault);
                continue;
            }
            if this.held.is_empty() {
                let passing = this.pass(&buffer.filled()[start..]);
                this.held
                    .extend_from_slice(&buffer.filled()[start + passing..]);
                buffer.set_filled(start + passing);
                this.digest();
            } else {
                let new = this.held.len();
                this.held.extend_from_slice(read);
                buffer.set_filled(start);
                if worth_judging(&this.held, new) {
                    this.digest();
                }
            }
            if buffer.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<C: Carrier> Requests<C> {
    /// Reads and drops what comes, until the peer closes or has had its time.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let alarm = match &mut self.refusal {
            Some(Refusal::Lingering(alarm)) => alarm,
            Some(refusal) => {
                *refusal = Refusal::Lingering(Box::pin(sleep(LINGER)));
                return self.poll_linger(context);
            }
            None => return Poll::Ready(()),
        };
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

impl<C: Carrier> AsyncWrite for Requests<C> {
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
        if !matches!(self.refusal, Some(Refusal::Lingering(_))) {
            ready!(Pin::new(&mut self.carrier).poll_shutdown(context))?;
        }
        self.poll_linger(context).map(Ok)
    }
}

impl<C: Carrier> Carrier for Requests<C> {
    fn counted(&self) -> &Counted {
        self.carrier.counted()
    }
}
