//! Sets of interests.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::interest::{Interest, Number};

/// A set of interests, ordered so that a walk can pause. Most sets have one member.
///
/// A tree does not rehash when it grows, and it gives memory back when it shrinks.
#[derive(Debug)]
pub(crate) enum Members {
    One(Arc<Interest>),
    Many(BTreeMap<Number, Arc<Interest>>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Many(BTreeMap::new())
    }
}

impl Members {
    pub(super) fn insert(&mut self, interest: &Arc<Interest>) {
        match self {
            Self::One(only) if only.number == interest.number => {}
            Self::One(only) => {
                let both = [&*only, interest].map(|one| (one.number, Arc::clone(one)));
                *self = Self::Many(BTreeMap::from(both));
            }
            Self::Many(many) => _ = many.insert(interest.number, Arc::clone(interest)),
        }
    }

    /// Removes an interest. Returns whether the set is empty then.
    pub(super) fn remove(&mut self, number: Number) -> bool {
        match self {
            Self::One(only) if only.number == number => *self = Self::default(),
            Self::One(_) => {}
            Self::Many(many) => {
                many.remove(&number);
                if many.len() == 1
                    && let Some((_, only)) = many.pop_first()
                {
                    *self = Self::One(only);
                }
            }
        }
        self.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn contains(&self, number: Number) -> bool {
        match self {
            Self::One(only) => only.number == number,
            Self::Many(many) => many.contains_key(&number),
        }
    }

    /// The members with greater numbers, in order.
    pub(crate) fn after(&self, number: Number) -> impl Iterator<Item = &Arc<Interest>> {
        let (one, many) = match self {
            Self::One(only) => (Some(only).filter(|only| only.number > number), None),
            Self::Many(many) => (None, Some(many.range((Excluded(number), Unbounded)))),
        };
        let many = many.into_iter().flatten().map(|(_, interest)| interest);
        one.into_iter().chain(many)
    }
}
