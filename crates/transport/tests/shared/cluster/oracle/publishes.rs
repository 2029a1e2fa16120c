//! What publishers were told is true.

use std::collections::BTreeMap;

use talaria_transport::{Appended, Position};

use super::Oracle;
use crate::cluster::facts::{Outcome, Publish};
use crate::cluster::law::{Broken, Law};

impl Oracle<'_> {
    /// What was acknowledged was shown at that place with that id; what was refused never appears.
    pub fn publishes(&self) -> Result<(), Broken> {
        let mut places: BTreeMap<&str, Vec<Position>> = BTreeMap::new();
        let shown = self.shown.values();
        let shown = shown.map(|shown| (&*shown.text, shown.position));
        let records = self.held.records.iter();
        let records = records.map(|record| (&*record.update.data, record.position));
        for (text, position) in shown.chain(records) {
            let places = places.entry(text).or_default();
            if !places.contains(&position) {
                places.push(position);
            }
        }
        for (text, publish) in &self.facts.publishes {
            let places = places.get(&**text).map_or(&[][..], |places| places);
            self.published(text, publish, places)?;
        }
        Ok(())
    }

    fn published(&self, text: &str, publish: &Publish, places: &[Position]) -> Result<(), Broken> {
        let kept = places.iter().filter(|at| !self.lost.contains(at)).count();
        if kept > 1 {
            return Law::Once.broken(format!("{text} is stored {kept} times"));
        }
        let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
        let all_refused = publish.attempts.iter().all(is_refused);
        if all_refused && !places.is_empty() && !self.is_lossy() {
            return Law::Refused.broken(format!("{text} was refused, and is at {places:?}"));
        }
        for outcome in &publish.attempts {
            if let Outcome::Acknowledged(appended) = outcome {
                self.acknowledged(text, publish, appended)?;
                let given = self.held.given.binary_search(&appended.position);
                if given.is_err() && !self.lost.contains(&appended.position) {
                    return Law::Acknowledged.broken(format!("{text} is gone"));
                }
                if self.lost.contains(&appended.position) && !self.is_lossy() {
                    return Law::Acknowledged.broken(format!("{text} was lost"));
                }
            }
        }
        Ok(())
    }
    /// What was acknowledged is where its publisher was told.
    fn acknowledged(
        &self,
        text: &str,
        publish: &Publish,
        appended: &Appended,
    ) -> Result<(), Broken> {
        let position = appended.position;
        let records = self.held.records.iter();
        let mut records = records.filter(|record| record.position == position);
        let stored = records.next().map(|record| &record.update.data);
        let shown = self.shown.get(&position);
        // A publish that is repeated may be told of one that was deleted or lost before any node had shown it.
        let is_gone = position <= self.held.bounds.floor || self.lost.contains(&position);
        let found = shown.map(|shown| &shown.text).or(stored);
        match found {
            None if publish.has_key && is_gone => return Ok(()),
            Some(found) if found == text => {}
            _ => {
                return Law::Acknowledged.broken(format!(
                    "{text} was acknowledged as {appended:?}, where {shown:?} is"
                ));
            }
        }
        if shown.is_some_and(|shown| shown.event_id != appended.event_id) {
            return Law::Acknowledged.broken(format!(
                "{text} was acknowledged as {appended:?}, not as {shown:?}"
            ));
        }
        Ok(())
    }
}
