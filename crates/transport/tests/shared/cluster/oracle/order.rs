//! One order on all nodes, each update once, none left out.

use std::collections::btree_map::Entry;
use std::collections::{BTreeSet, HashSet};

use talaria_transport::Position;

use super::Oracle;
use crate::cluster::facts::Life;
use crate::cluster::law::{Broken, Law};
use crate::cluster::plan::NODES;

fn name(life: &Life) -> String {
    format!("process {} of node {}", life.number, NODES[life.node])
}

impl Oracle<'_> {
    /// Positions only grow, and each means the same on all nodes.
    pub fn order(&mut self) -> Result<(), Broken> {
        let given = &self.held.given;
        if !given.is_sorted_by(|one, next| one < next) {
            return Law::Positions.broken("the server gave positions that do not grow");
        }
        for life in &self.facts.lives {
            let mut last = life.start;
            for shown in &life.view.lock().shown {
                if shown.position <= last {
                    let position = shown.position;
                    return Law::Order
                        .broken(format!("{} showed {position} after {last}", name(life)));
                }
                last = shown.position;
                match self.shown.entry(shown.position) {
                    Entry::Vacant(vacant) => drop(vacant.insert(shown.clone())),
                    Entry::Occupied(other) if other.get() != shown => {
                        return Law::Positions
                            .broken(format!("{:?} and {shown:?} have one position", other.get()));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        for record in &self.held.records {
            if let Some(shown) = self.shown.get(&record.position)
                && shown.text != record.update.data
            {
                return Law::Positions
                    .broken(format!("{shown:?} was shown, and the log has {record:?}"));
            }
        }
        Ok(())
    }

    /// No process shows an update twice, lost ones apart.
    pub fn once(&self) -> Result<(), Broken> {
        for life in &self.facts.lives {
            let mut texts = HashSet::new();
            for shown in &life.view.lock().shown {
                let counts = shown.event.is_none() && !self.lost.contains(&shown.position);
                if counts && !texts.insert(shown.text.clone()) {
                    return Law::Once.broken(format!("{} showed {} twice", name(life), shown.text));
                }
            }
        }
        Ok(())
    }

    /// A process that lives in the end has shown all that was kept since its start. What retention deletes before a
    /// node has read it is not shown; the node says so.
    pub fn complete(&self) -> Result<(), Broken> {
        let head = self.held.bounds.head;
        for life in self.facts.lives.iter() {
            let state = life.view.lock();
            let shown: BTreeSet<Position> = state.shown.iter().map(|one| one.position).collect();
            let last = match life.has_ended {
                false => head,
                true => shown.last().copied().unwrap_or(life.start),
            };
            let expected = self.kept().filter(|at| *at > life.start && *at <= last);
            let mut missing = expected.filter(|at| !shown.contains(at));
            if let Some(missing) = missing.next()
                && self.plan.max_length.is_none()
            {
                return Law::Complete.broken(format!("{} has not shown {missing}", name(life)));
            }
            if !life.has_ended && !self.is_in_ring(life, head) {
                return Law::Ring.broken(format!("the ring of {} has what was lost", name(life)));
            }
        }
        Ok(())
    }

    /// Whether all that the ring has is in the log.
    fn is_in_ring(&self, life: &Life, head: Position) -> bool {
        let ring = life.view.ring();
        let frames = ring.page(ring.floor(), head, usize::MAX);
        let given: HashSet<Position> = self.held.given.iter().copied().collect();
        let frames = frames.unwrap_or_default();
        frames.iter().all(|frame| given.contains(&frame.position))
    }

    /// Readers receive all that was kept, in order, once, although they go on at other nodes.
    pub fn readings(&self) -> Result<(), Broken> {
        let kept: Vec<Position> = self.kept().collect();
        for reading in &self.facts.readings {
            let ends = reading.gaps.iter().copied();
            let ends = ends.chain([reading.received.len()]);
            let mut begin = 0;
            for end in ends {
                self.reading(&reading.received[begin..end], &kept)?;
                begin = end;
            }
            // The first place of a reader that has received nothing is not a gap.
            let is_told = reading.gaps.iter().any(|place| *place > 0);
            if is_told && !self.is_lossy() && self.plan.max_length.is_none() {
                return Law::Kept.broken("a reader was told that updates are gone");
            }
        }
        Ok(())
    }

    fn reading(&self, received: &[Position], kept: &[Position]) -> Result<(), Broken> {
        if let Some(pair) = received.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Law::Order.broken(format!("a reader received {} after {}", pair[1], pair[0]));
        }
        let (Some(first), Some(last)) = (received.first(), received.last()) else {
            return Ok(());
        };
        let had: BTreeSet<Position> = received.iter().copied().collect();
        let expected = kept.iter().filter(|at| *at >= first && *at <= last);
        match expected.filter(|at| !had.contains(at)).min() {
            Some(missing) => {
                let next = received.partition_point(|at| at < missing);
                let around = &received[next - 1..=next];
                Law::Complete.broken(format!(
                    "a reader has not received {missing}, but {around:?}"
                ))
            }
            None => Ok(()),
        }
    }
}
