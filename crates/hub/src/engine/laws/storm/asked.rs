//! What the readers of a storm ask for, and whether they receive an update by the specification. No matcher
//! is used to decide that.

use std::sync::Arc;

use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Limits, Matcher, MatcherSet, MatcherType};
use talaria_transport::{Frame, Position};

use super::random::Random;
use crate::engine::interests::Selection;
use crate::engine::laws::alphabet::base;

/// Which topics are meant; a topic is `https://example.com/t{0}/u{1}`.
#[derive(Debug, Clone, Copy)]
enum Meant {
    Any,
    Exact(u64, u64),
    First(u64),
    Second(u64),
    All,
    None,
}

/// A matcher: what it means, how it is spelt, and a number that distinguishes it from others.
#[derive(Debug, Clone, Copy)]
struct One(Meant, u64, u64);

impl One {
    fn any(random: &mut Random) -> Self {
        let meant = match random.below(12) {
            0 => Meant::Any,
            1 | 2 => Meant::Exact(random.below(4), random.below(4)),
            3..=5 => Meant::First(random.below(4)),
            6 | 7 => Meant::Second(random.below(4)),
            8 => Meant::All,
            _ => Meant::None,
        };
        let most = random.pick(&[3, 1 << 40, 1 << 40]);
        Self(meant, random.below(4), random.below(most))
    }

    fn selects(self, (first, second): (u64, u64)) -> bool {
        match self.0 {
            Meant::Any | Meant::All => true,
            Meant::Exact(one, other) => (one, other) == (first, second),
            Meant::First(one) => one == first,
            Meant::Second(other) => other == second,
            Meant::None => false,
        }
    }

    fn matcher(self) -> Matcher {
        const HOST: &str = "https://example.com";
        let costly = "{*}?".repeat(24);
        let Self(meant, spelling, n) = self;
        match (meant, spelling) {
            (Meant::Any, _) => Matcher::Any,
            (Meant::Exact(a, b), _) => Matcher::Exact(format!("{HOST}/t{a}/u{b}").into()),
            (Meant::First(a), 0) => template(&format!("{HOST}/t{a}/{{x{n}}}")),
            (Meant::First(a), 1) => url(&format!("{HOST}/t{a}/:x{n}")),
            (Meant::First(a), 2) => url(&format!("{HOST}/t{a}/:x{n}(u\\d|q{{40}})")),
            (Meant::First(a), _) => url(&format!("{HOST}/t{a}/:x{n}{{{}}}?", "y".repeat(60))),
            (Meant::Second(b), 0) => template(&format!("{HOST}/{{x{n}}}/u{b}")),
            (Meant::Second(b), 1) => template(&format!("{{+x{n}}}/u{b}")),
            (Meant::Second(b), _) => url(&format!("{HOST}/:x{n}/u{b}")),
            (Meant::All, 0) => template(&format!("{{+x{n}}}")),
            (Meant::All, 1) => url(&format!("{HOST}/:x{n}{costly}/:z")),
            (Meant::All, _) => url(&format!("{HOST}/:x{n}/:z")),
            (Meant::None, 0) => template(&format!("{HOST}/t1{{x{n}}}no")),
            (Meant::None, 1) => url(&format!("{HOST}/{costly}/:x{n}/no")),
            (Meant::None, _) => url(&format!("{HOST}/t{}/:x{n}/no", n % 4)),
        }
    }
}

fn url(text: &str) -> Matcher {
    let pattern = UrlPattern::parse(text, &base()).expect("a pattern");
    Matcher::UrlPattern(Arc::new(pattern))
}

fn template(text: &str) -> Matcher {
    let limits = Limits::default();
    Matcher::parse(MatcherType::Selector, text, "topic", &base(), &limits).expect("a template")
}

/// What a reader asks for and may read.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    matchers: Vec<One>,
    grants: Vec<One>,
}

impl Asked {
    pub(super) fn any(random: &mut Random) -> Self {
        let (matchers, grants) = (1 + random.below(4), random.below(3));
        Self {
            matchers: (0..matchers).map(|_| One::any(random)).collect(),
            grants: (0..grants).map(|_| One::any(random)).collect(),
        }
    }

    pub(super) fn selection(&self) -> Selection {
        let set = |of: &[One]| of.iter().copied().map(One::matcher).collect::<MatcherSet>();
        Selection {
            matchers: set(&self.matchers),
            grants: set(&self.grants),
        }
    }

    /// Whether the reader receives an update: some topic must match a matcher and, for a private update,
    /// some topic, perhaps another, a grant (specification, "Subscribers").
    pub(super) fn receives(&self, published: &Published) -> bool {
        let selects = |of: &[One]| {
            let mut topics = published.topics.iter();
            topics.any(|topic| of.iter().any(|one| one.selects(*topic)))
        };
        selects(&self.matchers) && (!published.private || selects(&self.grants))
    }
}

/// An update.
#[derive(Debug, Clone)]
pub(super) struct Published {
    topics: Vec<(u64, u64)>,
    private: bool,
}

impl Published {
    pub(super) fn any(random: &mut Random) -> Self {
        let topics = 1 + random.below(3);
        Self {
            topics: (0..topics)
                .map(|_| (random.below(4), random.below(4)))
                .collect(),
            private: random.below(2) == 0,
        }
    }

    pub(super) fn frame(&self, position: u64) -> Arc<Frame> {
        let topics = self.topics.iter();
        let topics = topics.map(|(a, b)| format!("https://example.com/t{a}/u{b}").into());
        Arc::new(Frame {
            position: Position(position),
            event_id: position.to_string().into(),
            topics: topics.collect(),
            private: self.private,
            by_hub: false,
            trace: None,
            bytes: format!("id: {position}\ndata: x\n\n").into(),
            stamp: Default::default(),
        })
    }
}
