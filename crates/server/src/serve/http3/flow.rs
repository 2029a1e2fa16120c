//! How far the bytes of an answer have got, and when its stream must end.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use talaria_hub::Outflow;
use tokio::time::{Instant, sleep_until};

use super::quic::Stopped;

/// Why an answer ends before all of it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client has taken nothing for `dispatch_timeout`.
    Stalled,
    /// The stream must have ended by now: its token has expired, or it was to rotate.
    Late,
    /// The client wants no more.
    Left,
    /// The answer breaks off.
    Broken,
}

/// When bytes were taken last.
#[derive(Debug)]
pub(super) struct Taken {
    began: Instant,
    /// In milliseconds since then.
    since: AtomicU64,
}

impl Taken {
    fn now(&self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(passed, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }
}

/// Bytes of an answer, which tell when QUIC takes them.
pub(super) struct Chunk {
    bytes: Bytes,
    taken: Arc<Taken>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.taken.now();
    }
}

/// The flow of one answer.
pub(super) struct Flow {
    /// Tells when a stream of the hub must have ended. Each answer has its own, because QUIC ends streams one by
    /// one.
    pub outflow: Outflow,
    timeout: Option<Duration>,
    taken: Arc<Taken>,
    stopped: Pin<Box<dyn Future<Output = Stopped> + Send>>,
}

impl Flow {
    /// The flow of an answer whose client may take nothing for `timeout`.
    pub(super) fn new(
        timeout: Option<Duration>,
        stopped: Pin<Box<dyn Future<Output = Stopped> + Send>>,
    ) -> Self {
        let began = Instant::now();
        Self {
            outflow: Outflow::default(),
            timeout,
            taken: Arc::new(Taken {
                began,
                since: AtomicU64::new(0),
            }),
            stopped,
        }
    }

    /// A chunk of the answer.
    pub(super) fn chunk(&self, bytes: Bytes) -> Chunk {
        Chunk {
            bytes,
            taken: Arc::clone(&self.taken),
        }
    }

    /// Waits for what the hub does, unless the client leaves or the stream must end.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = self.stopped.as_mut() => Err(Cut::Left),
            () = self.outflow.late() => Err(Cut::Late),
        }
    }

    /// Waits until QUIC has taken what is written, as [`Self::wait`] does, but not while nothing of it is taken
    /// for `dispatch_timeout`.
    pub(super) async fn write<T>(&mut self, writing: impl Future<Output = T>) -> Result<T, Cut> {
        self.taken.now();
        let written = tokio::select! {
            biased;
            written = writing => written,
            _ = self.stopped.as_mut() => return Err(Cut::Left),
            () = self.outflow.late() => return Err(Cut::Late),
            () = stalled(self.timeout, &self.taken) => return Err(Cut::Stalled),
        };
        self.outflow.flushed();
        Ok(written)
    }

    /// Waits until the client has acknowledged all of the answer.
    pub(super) async fn finish(mut self) -> Result<(), Cut> {
        self.taken.now();
        tokio::select! {
            biased;
            stopped = self.stopped.as_mut() => match stopped {
                Stopped::Taken => Ok(()),
                Stopped::Left => Err(Cut::Left),
            },
            () = self.outflow.late() => Err(Cut::Late),
            () = stalled(self.timeout, &self.taken) => Err(Cut::Stalled),
        }
    }
}

/// Ends when nothing was taken for this long.
async fn stalled(timeout: Option<Duration>, taken: &Taken) {
    let Some(timeout) = timeout else {
        return pending().await;
    };
    let mut at = taken.last() + timeout;
    loop {
        sleep_until(at).await;
        at = taken.last() + timeout;
        if at <= Instant::now() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(timeout: Option<Duration>) -> Flow {
        Flow::new(timeout, Box::pin(pending()))
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// A reader that takes a byte now and then is not cut; one that takes nothing is, that long after the last.
    #[tokio::test(start_paused = true)]
    async fn time_counts_from_the_last_byte() {
        let mut flow = flow(Some(5 * SECOND));
        let mut chunk = flow.chunk(Bytes::from_static(b"abc"));
        let began = Instant::now();
        let writing = async {
            for _ in 0..3 {
                tokio::time::sleep(4 * SECOND).await;
                chunk.advance(1);
            }
            pending::<()>().await;
        };
        assert_eq!(flow.write(writing).await, Err(Cut::Stalled));
        assert_eq!(began.elapsed().as_secs(), 17);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_timeout_nothing_is_cut() {
        let mut flow = flow(None);
        let write = flow.write(pending::<()>());
        assert!(tokio::time::timeout(1000 * SECOND, write).await.is_err());
    }

    /// A client that leaves ends the wait.
    #[tokio::test(start_paused = true)]
    async fn a_client_may_leave() {
        let leaves = || Box::pin(async { Stopped::Left });
        let mut flow = Flow::new(None, leaves());
        assert_eq!(flow.wait(pending::<()>()).await, Err(Cut::Left));
        assert_eq!(Flow::new(None, leaves()).finish().await, Err(Cut::Left));
        let taken = Box::pin(async { Stopped::Taken });
        assert_eq!(Flow::new(None, taken).finish().await, Ok(()));
    }
}
