//! Which tier is missing, and how it is made.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use super::file::{Row, Tier};
use super::list::covering;
use super::write::{Draft, Source};
use crate::history::segment::Segment;
use crate::history::shared::Shared;

/// A tier that is missing.
pub(super) enum Missing {
    /// One over these segments.
    Small(Vec<Arc<Segment>>),
    /// One in place of these.
    Large(Vec<Arc<Tier>>),
}

/// Where the group of `size` segments ends that a segment belongs to.
fn group_end(number: u64, size: u64) -> u64 {
    number.saturating_sub(1) / size * size + size
}

impl Missing {
    /// The next tier that is missing, unless making it has failed already. A group of segments gets one
    /// once all of them are sealed; the small ones of a large group are replaced once there are all.
    pub(super) fn find(shared: &Shared, failed: &HashSet<u64>) -> Option<Self> {
        let small = shared.options.segments_of_tier.max(2);
        let (segments, tiers) = (shared.segments(), shared.tiers.list());
        let active = segments.last()?.number;
        let mut next = 0;
        while let Some(segment) = segments.get(next) {
            let end = match covering(&tiers, segment.number) {
                Some(tier) => tier.last(),
                None => group_end(segment.number, small),
            };
            if end >= active {
                break;
            }
            let after = segments.partition_point(|other| other.number <= end);
            let is_covered = |other: &Arc<Segment>| covering(&tiers, other.number).is_some();
            let run = segments[next..after].iter();
            let run: Vec<_> = run
                .take_while(|other| !is_covered(other))
                .cloned()
                .collect();
            if !run.is_empty() && !failed.contains(&segment.number) {
                return Some(Self::Small(run));
            }
            next = after;
        }
        let large = small.saturating_mul(small);
        let of_a_group = |one: &Arc<Tier>, other: &Arc<Tier>| {
            group_end(one.first(), large) == group_end(other.first(), large)
                && one.last() + 1 == other.first()
        };
        let mut groups = tiers.chunk_by(of_a_group);
        let group = groups.find(|group| {
            let (first, last) = (group[0].first(), group[group.len() - 1].last());
            group.len() > 1 && last == group_end(first, large) && !failed.contains(&first)
        });
        group.map(|group| Self::Large(group.to_vec()))
    }

    /// The number of its first segment.
    pub(super) fn first(&self) -> u64 {
        match self {
            Self::Small(segments) => segments.first().map_or(0, |first| first.number),
            Self::Large(tiers) => tiers.first().map_or(0, |first| first.first()),
        }
    }

    /// Makes the tier; `None` if the log is being closed.
    pub(super) fn make(&self, shared: &Shared) -> io::Result<Option<(Tier, Vec<Row>)>> {
        let (last_position, sources) = match self {
            Self::Small(segments) => {
                let mut sources = Vec::new();
                for segment in segments {
                    if shared.tiers.is_ended() {
                        return Ok(None);
                    }
                    sources.push(source(shared, segment)?);
                }
                (segments.last().map(|last| last.last()), sources)
            }
            Self::Large(tiers) => {
                let sources = tiers.iter().cloned().map(Source::Tier).collect();
                (tiers.last().map(|last| last.last_position()), sources)
            }
        };
        let draft = Draft {
            log: shared.files.hashes.log(),
            first: self.first(),
            last_position: last_position.unwrap_or_default(),
            sources,
        };
        draft.write(&*shared.files.disk, &|| shared.tiers.is_ended())
    }
}

fn source(shared: &Shared, segment: &Arc<Segment>) -> io::Result<Source> {
    let index = segment.index(&shared.files)?;
    let row = Row {
        first: segment.first,
        length: segment.end(),
        lost: index.has_losses()?,
        events: index.has_events(),
    };
    Ok(Source::Index(index, row))
}
