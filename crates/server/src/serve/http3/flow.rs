//! How far the bytes of an answer have got, and when its stream must end.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use talaria_hub::Outflow;
use talaria_hub::statistics::Departure;
use tokio::time::{Instant, sleep, sleep_until};

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

/// Counts the acknowledgements that the connection of an answer has got.
pub(super) type Acknowledgements = Box<dyn Fn() -> u64 + Send + Sync>;

/// The shortest time between two looks at that count.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

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
    acknowledgements: Acknowledgements,
}

impl Flow {
    /// The flow of an answer whose client may take nothing for `timeout`.
    pub(super) fn new(
        timeout: Option<Duration>,
        stopped: Pin<Box<dyn Future<Output = Stopped> + Send>>,
        acknowledgements: Acknowledgements,
    ) -> Self {
        let began = Instant::now();
        Self {
            outflow: Outflow::default(),
            timeout,
            acknowledgements,
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
            stopped = self.stopped.as_mut() => Err(left(&self.outflow, stopped)),
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
            stopped = self.stopped.as_mut() => return Err(left(&self.outflow, stopped)),
            () = self.outflow.late() => return Err(Cut::Late),
            () = stalled(self.timeout, &self.taken) => {
                self.outflow.parting().because(Departure::Slow);
                return Err(Cut::Stalled);
            }
        };
        self.outflow.flushed();
        Ok(written)
    }

    /// Waits until the client has acknowledged all of the answer, but not while it acknowledges nothing for
    /// `dispatch_timeout`.
    ///
    /// QUIC holds only what the client has given windows for, so a client that gets packets acknowledges them. How fast
    /// it gets them is a matter of its network: the last [`SEND_WINDOW`](super::SEND_WINDOW) bytes of an answer may
    /// take longer than `dispatch_timeout`.
    pub(super) async fn finish(mut self) -> Result<(), Cut> {
        tokio::select! {
            biased;
            stopped = self.stopped.as_mut() => match stopped {
                Stopped::Taken => Ok(()),
                stopped => Err(left(&self.outflow, stopped)),
            },
            () = self.outflow.late() => Err(Cut::Late),
            () = silent(self.timeout, &self.acknowledgements) => {
                self.outflow.parting().because(Departure::Slow);
                Err(Cut::Stalled)
            }
        }
    }
}

/// Tells the hub how the client left.
fn left(outflow: &Outflow, stopped: Stopped) -> Cut {
    outflow.parting().because(match stopped {
        Stopped::Left => Departure::ResetByClient,
        Stopped::Taken | Stopped::Gone => Departure::ClientGone,
    });
    Cut::Left
}

/// Ends when no acknowledgement has come for this long, and at most a quarter of it later.
async fn silent(timeout: Option<Duration>, acknowledgements: &Acknowledgements) {
    let Some(timeout) = timeout else {
        return pending().await;
    };
    let look = (timeout / 4).max(SHORTEST_LOOK);
    let mut count = acknowledgements();
    let mut last = Instant::now();
    loop {
        sleep(look).await;
        let now = acknowledgements();
        if now != count {
            (count, last) = (now, Instant::now());
        } else if last.elapsed() >= timeout {
            return;
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
        Flow::new(timeout, Box::pin(pending()), Box::new(|| 0))
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
        let mut flow = Flow::new(None, leaves(), Box::new(|| 0));
        assert_eq!(flow.wait(pending::<()>()).await, Err(Cut::Left));
        let flow = Flow::new(None, leaves(), Box::new(|| 0));
        assert_eq!(flow.finish().await, Err(Cut::Left));
        let taken = Box::pin(async { Stopped::Taken });
        let flow = Flow::new(None, taken, Box::new(|| 0));
        assert_eq!(flow.finish().await, Ok(()));
    }

    /// A client on a slow network has the end of its answer as long as it acknowledges some of it; one that
    /// acknowledges nothing is cut.
    #[tokio::test(start_paused = true)]
    async fn the_end_of_an_answer_may_take_long() {
        let began = Instant::now();
        let acknowledges = |until: u64| -> Acknowledgements {
            Box::new(move || began.elapsed().as_secs().min(until) / 4)
        };
        let arrives = Box::pin(async {
            sleep(30 * SECOND).await;
            Stopped::Taken
        });
        let flow = Flow::new(Some(5 * SECOND), arrives, acknowledges(30));
        assert_eq!(flow.finish().await, Ok(()));
        let never = Box::pin(pending());
        let flow = Flow::new(Some(5 * SECOND), never, acknowledges(60));
        assert_eq!(flow.finish().await, Err(Cut::Stalled));
        assert!((64..=67).contains(&began.elapsed().as_secs()));
    }
}
