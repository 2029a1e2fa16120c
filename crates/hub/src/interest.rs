//! Interests: what readers want and may receive, shared by those who want and may the same.

mod index;
mod prefixed;

use std::sync::Arc;

use talaria_protocol::{Base, Matcher, MatcherSet, Topic};
use talaria_transport::{Admit, Frame, Verdict};

pub(crate) use self::index::Index;
use crate::lane::Lane;

/// The canonical matchers of a subscription request and the canonical read grants of its token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Selection {
    /// What is asked for.
    pub(crate) matchers: MatcherSet,
    /// Which private updates may be read.
    pub(crate) grants: MatcherSet,
}

/// A selection in use, and the lane of its readers.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) selection: Selection,
    pub(crate) lane: Lane,
    base: Arc<Base>,
}

impl Interest {
    pub(crate) fn new(selection: Selection, base: Arc<Base>, lane: Lane) -> Self {
        Self {
            selection,
            lane,
            base,
        }
    }
}

impl Interest {
    /// Specification, "Subscribers": some topic must match a matcher and, for a private update,
    /// some topic, perhaps another, a grant.
    pub(crate) fn admits(&self, frame: &Frame) -> bool {
        let any = |set: &MatcherSet| {
            frame
                .topics
                .iter()
                .any(|topic| set.matches(&Topic::new(topic, &self.base)))
        };
        any(&self.selection.matchers) && (!frame.private || any(&self.selection.grants))
    }
}

impl Admit for Interest {
    fn judge(&self, frame: &Frame) -> Verdict {
        self.admits(frame).into()
    }

    fn exact_topics(&self) -> Option<Vec<&str>> {
        let topics = self.selection.matchers.iter().map(|matcher| match matcher {
            Matcher::Exact(topic) => Some(&**topic),
            Matcher::Any | Matcher::UrlPattern(_) | Matcher::Template(_) => None,
        });
        topics.collect()
    }
}
