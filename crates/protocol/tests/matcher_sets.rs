//! Canonical sets of matchers (specification, "Matcher Types"; ADR 0001).
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use talaria_protocol::{Base, Limits, Matcher, MatcherSet, MatcherType, Topic};

fn base() -> Base {
    Base::synthetic()
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let exact = prop::sample::select(vec!["/a", "/b", "/a/b", "urn:a", "c"]);
    let patterns = prop::sample::select(vec!["/:x", "/a/*", "/*", "/a{/b}?", "urn\\:*"]);
    let any = Just((MatcherType::Exact, "*"));
    prop_oneof![
        8 => exact.prop_map(|text| (MatcherType::Exact, text)),
        6 => patterns.prop_map(|text| (MatcherType::UrlPattern, text)),
        1 => any,
    ]
    .prop_map(|(kind, text)| {
        Matcher::parse(kind, text, "match", &base(), &Limits::default()).unwrap()
    })
}

fn hash(set: &MatcherSet) -> u64 {
    let mut hasher = DefaultHasher::new();
    set.hash(&mut hasher);
    hasher.finish()
}

const TOPICS: [&str; 8] = [
    "/a",
    "/b",
    "/a/b",
    "/a/b/c",
    "urn:a",
    "urn:b",
    "c",
    "https://[",
];

proptest! {
    /// The order in which matchers were asked and their duplicates make no difference.
    #[test]
    fn order_and_duplicates_do_not_matter(
        (matchers, shuffled) in prop::collection::vec(matcher(), 0..8)
            .prop_flat_map(|matchers| (Just(matchers.clone()), Just(matchers).prop_shuffle())),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut other = shuffled;
        if !matchers.is_empty() {
            other.extend(again.iter().map(|index| index.get(&matchers).clone()));
        }
        let one: MatcherSet = matchers.into_iter().collect();
        let two: MatcherSet = other.into_iter().collect();
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(hash(&one), hash(&two));
        prop_assert!(one.iter().is_sorted());
    }

    /// A set selects a topic exactly if one of its matchers does.
    #[test]
    fn a_set_selects_what_any_of_its_matchers_does(matchers in prop::collection::vec(matcher(), 0..8)) {
        let base = base();
        let set: MatcherSet = matchers.iter().cloned().collect();
        prop_assert_eq!(set.is_empty(), matchers.is_empty());
        let topics = TOPICS.map(|topic| Topic::new(topic, &base));
        for topic in &topics {
            let expected = matchers.iter().any(|matcher| matcher.matches(topic));
            prop_assert_eq!(set.matches(topic), expected, "{:?}", topic.text());
        }
    }
}

/// A set with `*` in it is `*` (specification, "Matcher Types").
#[test]
fn the_wildcard_absorbs_a_set() {
    let parse = |text| {
        Matcher::parse(
            MatcherType::Exact,
            text,
            "match",
            &base(),
            &Limits::default(),
        )
    };
    let set: MatcherSet = [
        parse("b").unwrap(),
        parse("*").unwrap(),
        parse("a").unwrap(),
    ]
    .into_iter()
    .collect();
    assert_eq!(set.iter().collect::<Vec<_>>(), [&Matcher::Any]);
}
