//! Subscriptions: each ends once, the same ones are active on all nodes, and losses are counted.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use talaria_transport::Position;

use super::Oracle;
use crate::cluster::law::{Broken, Law};
use crate::cluster::view::{Shown, in_log};

impl Oracle<'_> {
    /// A subscription whose node died ended once; one of a node that lived and was connected did not end.
    pub fn events(&self) -> Result<(), Broken> {
        // Those that no process showed, since none ran, are in the log.
        let records = self.held.records.iter().map(in_log);
        let all: BTreeMap<Position, Shown> = records
            .map(|shown| (shown.position, shown))
            .chain(self.shown.clone())
            .filter(|(position, _)| !self.lost.contains(position))
            .collect();
        let mut events: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for (topic, active) in all.values().filter_map(|shown| shown.event.as_ref()) {
            events.entry(topic).or_default().push(*active);
        }
        for (topic, events) in &events {
            let ends_twice = events.windows(2).any(|pair| pair == [false, false]);
            if ends_twice && !self.is_lossy() && self.plan.max_length.is_none() {
                return Law::Ends.broken(format!("{topic} ended twice: {events:?}"));
            }
            let Some(held) = self.facts.subscriptions.get(*topic) else {
                return Law::Ends.broken(format!("{topic} was never opened"));
            };
            let life = &self.facts.lives[held.life];
            let is_active = events.last() == Some(&true);
            let is_open = held.is_open && !life.has_ended;
            if is_active != is_open && !self.is_lossy() && self.plan.max_length.is_none() {
                return Law::Ends.broken(format!(
                    "{topic} is open: {is_open}, and its events are {events:?}"
                ));
            }
            let may_end = life.was_cut || self.plan.is_noisy || self.is_lossy();
            let ends = events.iter().filter(|active| !**active).count();
            if ends > usize::from(!is_open) && !may_end {
                return Law::Ends.broken(format!(
                    "{topic} ended, although its node lived: {events:?}"
                ));
            }
        }
        Ok(())
    }

    /// The tables of all nodes have what is open, and so has the server.
    pub fn tables(&self) -> Result<(), Broken> {
        let subscriptions = self.facts.subscriptions.iter();
        let open = subscriptions.filter(|(_, held)| {
            let life = &self.facts.lives[held.life];
            held.is_open && !life.has_ended
        });
        let open: BTreeSet<&str> = open.map(|(topic, _)| &**topic).collect();
        let stored = self.held.subscriptions.iter();
        let stored: BTreeSet<&str> = stored.map(|(_, update)| &*update.topics[0]).collect();
        if stored != open {
            return Law::Lists.broken(format!("the server has {stored:?}, and open are {open:?}"));
        }
        for life in self.facts.lives.iter().filter(|life| !life.has_ended) {
            let state = life.view.lock();
            let table: BTreeSet<&str> = state.table.iter().map(|topic| &**topic).collect();
            if table != open {
                return Law::Lists.broken(format!(
                    "node {} lists {table:?}, and open are {open:?}",
                    life.node
                ));
            }
        }
        Ok(())
    }

    /// If nothing may be lost, nothing that was shown was; else nodes say how much.
    pub fn losses(&self) -> Result<(), Broken> {
        let given: HashSet<Position> = self.held.given.iter().copied().collect();
        for life in &self.facts.lives {
            let state = life.view.lock();
            let gone = state.shown.iter().map(|shown| shown.position);
            let gone = gone.filter(|position| !given.contains(position)).count() as u64;
            // A small ring has not all of what a node had shown; and a node that retention has passed cannot know.
            let knows = self.plan.ring_bytes > 16 << 10 && self.plan.max_length.is_none();
            if let Some(lost) = life.lost.filter(|_| knows)
                && lost < gone
            {
                let node = life.node;
                return Law::Counted.broken(format!(
                    "node {node} has shown {gone} that are gone, and says {lost}"
                ));
            }
        }
        let mut lost = self.shown.keys().filter(|at| self.lost.contains(at));
        match lost.next() {
            Some(lost) if !self.is_lossy() => {
                Law::Kept.broken(format!("{lost} was shown, and is gone"))
            }
            _ => Ok(()),
        }
    }
}
