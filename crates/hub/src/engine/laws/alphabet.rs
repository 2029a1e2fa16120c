//! A few topics and matchers, and which matcher selects which topic. The table is written by hand from the
//! words of the specification, so that it tests the matchers too.

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use talaria_protocol::{Base, Limits, Matcher, MatcherSet, MatcherType};
use talaria_transport::{Frame, Position};

use crate::engine::interests::Selection;

const BASE: &str = "https://example.com/.well-known/mercure";

/// The topics. Each is named by its place in the list.
const TOPICS: [&str; 10] = [
    "https://example.com/books/1",
    "https://example.com/books/2",
    "/books/1",
    "books/1",
    "https://example.com/users/42/books/1",
    "https://other.example/books/1",
    "HTTPS://EXAMPLE.com/books/1",
    "https://example.com/Books/1",
    "urn:isbn:1",
    // This is not a URL, so no pattern matches it, but a reader can ask for it exactly.
    "http://[",
];

/// Each matcher with the topics that it selects.
const MATCHERS: [(MatcherType, &str, &[usize]); 23] = {
    use MatcherType::{Exact, Selector, UrlPattern};
    [
        // "A wildcard that matches every topic", whatever the type ("Matcher Types").
        (Exact, "*", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (UrlPattern, "*", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        // "Exact, case-sensitive, byte-for-byte", nothing resolved ("Exact Matching").
        (Exact, "https://example.com/books/1", &[0]),
        (Exact, "/books/1", &[2]),
        (Exact, "https://example.com/users/42/books/1", &[4]),
        (Exact, "https://other.example/books/1", &[5]),
        (Exact, "http://[", &[9]),
        (Exact, "https://example.com/books/:id", &[]),
        // Patterns and topics that are relative have the hub's URL as their base ("URL Pattern").
        (UrlPattern, "https://example.com/books/:id", &[0, 1, 2, 6]),
        (UrlPattern, "/books/:id", &[0, 1, 2, 6]),
        (UrlPattern, "books/:id", &[3]),
        (UrlPattern, "https://example.com/books/1", &[0, 2, 6]),
        (UrlPattern, "https://example.com/users/42/*", &[4]),
        (UrlPattern, "https://*/books/:id", &[0, 1, 2, 5, 6]),
        (UrlPattern, "/:kind(\\w+)/1", &[0, 2, 6, 7]),
        (UrlPattern, "urn\\:isbn\\::number", &[8]),
        (UrlPattern, "https://example.com/*", &[0, 1, 2, 3, 4, 6, 7]),
        // Selectors of 0.x compare texts; nothing is resolved or normalised (B-610).
        (Selector, "https://example.com/books/1", &[0]),
        (Selector, "https://example.com/books/{id}", &[0, 1]),
        (Selector, "/books/{id}", &[2]),
        (Selector, "{kind}/1", &[3]),
        (Selector, "https://example.com{/path*}", &[0, 1, 4, 7]),
        (Selector, "{+all}", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ]
};

pub(super) fn base() -> Arc<Base> {
    static PARSED: LazyLock<Arc<Base>> =
        LazyLock::new(|| Arc::new(Base::new(BASE).expect("a URL")));
    Arc::clone(&PARSED)
}

/// Which of two parsings of the same matchers is used: equal matchers need not be identical.
#[derive(Debug, Clone, Copy)]
enum Parsing {
    First,
    Second,
}

fn matcher(parsing: Parsing, place: usize) -> Matcher {
    static PARSED: LazyLock<[[Matcher; MATCHERS.len()]; 2]> = LazyLock::new(|| {
        let parse = |(kind, text, _): (MatcherType, &str, &[usize])| {
            Matcher::parse(kind, text, "match", &base(), &Limits::default()).expect("a matcher")
        };
        [MATCHERS.map(parse), MATCHERS.map(parse)]
    });
    PARSED[parsing as usize][place].clone()
}

/// A subscription request and the read grants of its token, as places of matchers.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    matchers: Vec<usize>,
    grants: Vec<usize>,
    parsing: Parsing,
}

impl Asked {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let matchers = vec(0..MATCHERS.len(), 1..4);
        // A request without a token is as frequent as a grant for everything.
        let grants = prop_oneof![
            Just(Vec::new()),
            Just(vec![0]),
            vec(0..MATCHERS.len(), 1..3),
            vec(0..MATCHERS.len(), 1..3),
        ];
        (matchers, grants).prop_map(|(matchers, grants)| Self {
            matchers,
            grants,
            parsing: Parsing::First,
        })
    }

    /// Without a token.
    pub(super) fn public() -> impl Strategy<Value = Self> {
        Self::any().prop_map(|asked| Self {
            grants: Vec::new(),
            ..asked
        })
    }

    /// A request for everything, without a token.
    pub(super) fn everything_public() -> Self {
        Self {
            matchers: vec![0],
            grants: Vec::new(),
            parsing: Parsing::First,
        }
    }

    /// The same request with its parameters in another order, some repeated.
    pub(super) fn reworded(&self) -> Self {
        let reword = |places: &[usize]| places.iter().rev().chain(places).copied().collect();
        Self {
            matchers: reword(&self.matchers),
            grants: reword(&self.grants),
            parsing: Parsing::Second,
        }
    }

    pub(super) fn selection(&self) -> Selection {
        let parsed = |place: &usize| matcher(self.parsing, *place);
        let set = |places: &[usize]| places.iter().map(parsed).collect::<MatcherSet>();
        Selection {
            matchers: set(&self.matchers),
            grants: set(&self.grants),
        }
    }

    /// Whether the reader receives an update by the words of the specification. "Subscription": updates for all topics matching at
    /// least one topic matcher. "Publication": dispatched to subscribers matching any one of the
    /// update's topics. "Subscribers": a private update needs a grant for at least one topic of
    /// the update, not necessarily the one that was matched.
    pub(super) fn receives(&self, published: &Published) -> bool {
        let any_of = |places: &[usize]| {
            published.topics.iter().any(|topic| {
                places
                    .iter()
                    .any(|place| MATCHERS[*place].2.contains(topic))
            })
        };
        any_of(&self.matchers) && (!published.private || any_of(&self.grants))
    }
}

/// An update as it was published. Its topics are places in the list of topics.
#[derive(Debug, Clone)]
pub(super) struct Published {
    topics: Vec<usize>,
    private: bool,
    data_bytes: usize,
}

impl Published {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let data_bytes = prop_oneof![
            40 => 0..200_usize,
            8 => 5_000..20_000_usize,
            1 => 33_000..40_000_usize,
        ];
        (vec(0..TOPICS.len(), 1..4), any::<bool>(), data_bytes).prop_map(
            |(topics, private, data_bytes)| Self {
                topics,
                private,
                data_bytes,
            },
        )
    }

    /// An update with little content.
    pub(super) fn small() -> impl Strategy<Value = Self> {
        (Self::any(), 0..50_usize).prop_map(|(published, data_bytes)| Self {
            data_bytes,
            ..published
        })
    }

    /// A private update.
    pub(super) fn private() -> Self {
        Self {
            topics: vec![0],
            private: true,
            data_bytes: 0,
        }
    }

    /// The frame of the update. The engine does not read its bytes, so cheap ones are made here.
    pub(super) fn frame(&self, position: u64) -> Arc<Frame> {
        let data = "x".repeat(self.data_bytes);
        let topics = self.topics.iter().map(|place| TOPICS[*place].into());
        Arc::new(Frame {
            position: Position(position),
            event_id: position.to_string().into(),
            topics: topics.collect(),
            private: self.private,
            by_hub: false,
            trace: None,
            bytes: format!("id: {position}\ndata: {data}\n\n").into(),
            stamp: Default::default(),
        })
    }
}
