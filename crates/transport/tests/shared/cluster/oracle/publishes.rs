//! What publishers were told is true.

use std::collections::BTreeMap;

use talaria_transport::Position;

use super::{Broken, Oracle};
use crate::cluster::facts::{Outcome, Publish};

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
            return Err(format!("{text} is stored {kept} times"));
        }
        let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
        let all_refused = publish.attempts.iter().all(is_refused);
        if all_refused && !places.is_empty() && !self.is_lossy() {
            return Err(format!("{text} was refused, and is at {places:?}"));
        }
        for outcome in &publish.attempts {
            if let Outcome::Acknowledged(appended) = outcome {
                let shown = self.shown.get(&appended.position);
                if shown.is_none_or(|shown| shown.text != text) {
                    return Err(format!(
                        "{text} was acknowledged as {appended:?}, where {shown:?} is"
                    ));
                }
                let is_other = shown.is_some_and(|shown| shown.event_id != appended.event_id);
                // A repeated update is where it is; its id is that of the update.
                if is_other && !publish.has_key {
                    return Err(format!("{text} was acknowledged as {appended:?}"));
                }
                let given = self.held.given.binary_search(&appended.position);
                if given.is_err() && !self.lost.contains(&appended.position) {
                    return Err(format!("{text} was acknowledged, and is gone"));
                }
                if self.lost.contains(&appended.position) && !self.is_lossy() {
                    return Err(format!("{text} was acknowledged, and was lost"));
                }
            }
        }
        Ok(())
    }
}
