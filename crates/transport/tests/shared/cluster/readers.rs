//! Readers: clients that read from one node, and go on at another with the id that they received last.

use std::sync::Arc;
use std::time::Duration;

use talaria_transport::{Admit, Frame, Lookup, Position, ReadError, Transport, Verdict};
use tokio::time::{Instant, sleep, timeout_at};

use super::law::Law;
use super::plan::{NODES, Promise};
use super::site::{Door, Site};
use crate::random::Random;

struct Everything;

impl Admit for Everything {
    fn judge(&self, _: &Frame) -> Verdict {
        Verdict::Admitted
    }
}

/// A client that reads all the time.
pub struct Reader {
    site: Arc<Site>,
    index: usize,
    random: Random,
    last: Option<(Position, String)>,
}

impl Reader {
    pub fn new(site: Arc<Site>, random: Random) -> Self {
        let index = {
            let mut facts = site.facts.lock();
            facts.readings.push(super::facts::Reading::default());
            facts.readings.len() - 1
        };
        Self {
            site,
            index,
            random,
            last: None,
        }
    }

    pub async fn run(mut self) {
        loop {
            let node = self.random.below(NODES.len() as u64) as usize;
            let Some(door) = self.site.door(node) else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let ends = Instant::now() + self.random.time(30_000);
            tokio::select! {
                biased;
                _ = door.runs.wait_for(|runs| !runs) => {}
                _ = timeout_at(ends, self.connection(&door)) => {}
            }
        }
    }

    async fn connection(&mut self, door: &Door) {
        let Some(log) = door.log.upgrade() else {
            return;
        };
        let mut at = match self.place(&*log).await {
            Some(place) => place,
            None => {
                self.gap();
                door.view.visible.get().0
            }
        };
        let visible = &door.view.visible;
        loop {
            let (up_to, seen) = visible.get();
            while at < up_to {
                let step = match door.view.ring().page(at, up_to, 64) {
                    Some(frames) => {
                        let end = frames.last().filter(|_| frames.len() == 64);
                        let end = end.map_or(up_to, |last| last.position);
                        Ok((frames, end))
                    }
                    None => {
                        let page = log.read(at, up_to, 4_096, Arc::new(Everything)).await;
                        page.map(|page| (page.frames, page.looked_up_to))
                    }
                };
                match step {
                    Ok((frames, end)) => {
                        self.receive(&frames);
                        at = end;
                    }
                    Err(ReadError::Passed(_)) => {
                        self.site.say(format_args!("what follows {at} is gone"));
                        self.gap();
                        at = up_to;
                    }
                    Err(ReadError::Unavailable(_)) => sleep(Duration::from_millis(100)).await,
                }
            }
            visible.wait_for(|(_, count)| count != seen).await;
        }
    }

    /// Where the update is that was received last; `None` if the log does not know.
    async fn place(&self, log: &dyn Transport) -> Option<Position> {
        let (position, id) = self.last.as_ref()?;
        loop {
            match log.position_of(id).await {
                Ok(Lookup::Found(found)) => {
                    if found != *position {
                        self.is_elsewhere(id, *position, found);
                    }
                    return Some(found);
                }
                Ok(other) => {
                    let what = format_args!("id {id} of {position}: {other:?}");
                    self.site.say(what);
                    return None;
                }
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// An id that a publisher repeated stands for the second update once the first one is lost.
    fn is_elsewhere(&self, id: &str, position: Position, found: Position) {
        self.gap();
        if self.site.plan.promise == Promise::Kept {
            let what = format!("id {id} of {position} is found at {found}");
            self.site.facts.violated(Law::Positions, what);
        }
    }

    fn gap(&self) {
        let mut facts = self.site.facts.lock();
        let reading = &mut facts.readings[self.index];
        let place = reading.received.len();
        reading.gaps.push(place);
    }

    fn receive(&mut self, frames: &[Arc<Frame>]) {
        let mut facts = self.site.facts.lock();
        let received = frames.iter().map(|frame| frame.position);
        facts.readings[self.index].received.extend(received);
        drop(facts);
        if let Some(last) = frames.last() {
            self.last = Some((last.position, last.event_id.to_string()));
        }
    }
}
