//! Queries and form bodies (specification, "Subscription" and "Publication"; URL standard,
//! "application/x-www-form-urlencoded parsing").
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use talaria_protocol::{Blame, Limits, form};

fn pairs(input: &str) -> Vec<(String, String)> {
    form::parse(input.as_bytes(), &Limits::default())
        .unwrap()
        .into_iter()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

#[track_caller]
fn check(input: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(pairs(input), expected, "{input}");
}

/// A raw `;` is data and a stray `%` is literal (specification, "Subscription").
#[test]
fn lenient_where_the_url_standard_is() {
    check("a=1;b=2", &[("a", "1;b=2")]);
    check(
        "a=100%&b=%4&c=%zz&d=%%41",
        &[("a", "100%"), ("b", "%4"), ("c", "%zz"), ("d", "%A")],
    );
    check("a=1+2%2B3", &[("a", "1 2+3")]);
    check("a+b=c", &[("a b", "c")]);
    check("a=b=c", &[("a", "b=c")]);
    check("&&a=1&&", &[("a", "1")]);
    check("%6D%61tch=%2a", &[("match", "*")]);
    check("é=%C3%A9", &[("é", "é")]);
    check("", &[]);
}

/// A name without a value has an empty one (specification, "Subscription").
#[test]
fn a_name_may_lack_its_value() {
    check("private", &[("private", "")]);
    check("private=&=x&=", &[("private", ""), ("", "x"), ("", "")]);
}

/// Order and duplicates are kept: a subscription is created for every parameter.
#[test]
fn order_and_duplicates_are_kept() {
    check("b=1&a=2&b=1", &[("b", "1"), ("a", "2"), ("b", "1")]);
}

/// Bytes that are not UTF-8 are refused: names and values "MUST be UTF-8" (specification,
/// "Subscription" and "Publication").
#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    for (input, field) in [
        (&b"data=%ff"[..], "data"),
        (b"topic=a&data=\xc3", "data"),
        (b"data=%C3%28", "data"),
        (b"data=a+%ed%a0%80", "data"),
        (b"topic=a&da%fft=x", "parameter 2"),
    ] {
        let error = form::parse(input, &Limits::default()).expect_err("not UTF-8");
        assert_eq!((error.blame, &*error.field), (Blame::Malformed, field));
        assert!(error.problem.contains("UTF-8"), "{error}");
    }
}

/// Pairs with unknown names count as well, because each takes memory.
#[test]
fn pairs_are_bounded() {
    let limits = Limits::default();
    for pair in ["a&", "topic=a&", "=&", "&&%61=%62&", "authorization=&"] {
        let most = pair.repeat(4096);
        assert_eq!(form::parse(most.as_bytes(), &limits).unwrap().len(), 4096);
        let more = pair.repeat(4097);
        let error = form::parse(more.as_bytes(), &limits).expect_err("too many");
        assert_eq!(error.blame, Blame::TooLarge);
        assert_eq!(error.in_subscription().blame, Blame::Malformed);
    }
    let separators = "&".repeat(100_000);
    assert!(
        form::parse(separators.as_bytes(), &limits)
            .unwrap()
            .is_empty()
    );
    let error = form::parse("a&".repeat(10_000).as_bytes(), &limits).expect_err("too many");
    let text = "request: 10000 fields are more than the 4096 of one request; send fewer";
    assert_eq!(error.to_string(), text);
}

/// The bound leaves room for what the operator allows of one name.
#[test]
fn the_bound_of_pairs_follows_the_other_limits() {
    let mut limits = Limits::default();
    limits.matchers = 10_000;
    let pairs = "match=a&".repeat(10_000);
    assert!(form::parse(pairs.as_bytes(), &limits).is_ok());
    limits.matchers = usize::MAX;
    assert_eq!(limits.pairs(), usize::MAX);
}

proptest! {
    /// Parses as the URL standard's reference in the `url` crate wherever the bytes are UTF-8.
    #[test]
    fn parses_as_the_url_standard(input in "[a-c=&+;% 0-9A-Fé]{0,24}") {
        let expected: Vec<_> = url::form_urlencoded::parse(input.as_bytes()).collect();
        let lossy = expected.iter().any(|(name, value)| {
            name.contains('\u{fffd}') || value.contains('\u{fffd}')
        });
        match form::parse(input.as_bytes(), &Limits::default()) {
            Ok(pairs) => prop_assert_eq!(pairs, expected),
            Err(_) => prop_assert!(lossy),
        }
    }

    /// What a client serialises comes back.
    #[test]
    fn serialised_pairs_come_back(pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..5)) {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let parsed = form::parse(body.as_bytes(), &Limits::default()).unwrap();
        let parsed: Vec<_> = parsed.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        prop_assert_eq!(parsed, pairs);
    }
}
