//! What patterns cost, and the bounds of it (specification, "URL Pattern" and "Resource Limits").
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use serde_json::{Value, json};
use talaria_protocol::authorization::DETAIL_TYPE;
use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{
    AuthorizationDetails, Base, Blame, Limits, Matcher, MatcherSet, Topic, TopicUrl,
};

fn base() -> Base {
    Base::new("https://hub.example/.well-known/mercure").unwrap()
}

fn pattern(text: &str) -> UrlPattern {
    UrlPattern::parse(text, &base()).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

fn url(topic: &str) -> TopicUrl {
    TopicUrl::parse(topic, &base()).unwrap()
}

/// The cost of a pattern in memory and time is known, and bounded whatever its text.
#[test]
fn what_a_pattern_costs_is_known() {
    let counted = "/([a-z\\/]*[a-d\\/][a-z\\/]{900})Z";
    let letters = ('0'..='z').filter(char::is_ascii_alphanumeric);
    let classes: String = letters.map(|c| format!("[^a{c}]")).collect();
    let optional = format!("/{}", "{*}?".repeat(24));
    for text in [
        counted,
        "/((?:\\w{1,40}){1,20})",
        &format!("/((?i){})", "[\\W\\D]".repeat(500)),
        &format!("/({})", "\\w".repeat(2040)),
        &format!("/({classes})"),
        &format!("/{}", "{a*}?".repeat(250)),
        &optional,
        "*",
        "/:a/:b",
    ] {
        let pattern = pattern(text);
        assert!(pattern.size_bytes() <= 32 * 1024, "{text}");
        assert!(pattern.states() <= 2048, "{text}");
        for topic in ["", "/a", &format!("/{}Z", "a/d".repeat(1300))] {
            let url = url(topic);
            let mut spent = 0;
            pattern.matches_in(&url, &mut spent);
            let most = pattern.steps(url.url().as_str().len());
            assert!((1..=most).contains(&spent), "{text}: {spent} of {most}");
            let bound = 16_384 + 16 * url.url().as_str().len() as u64 + 2 * 2049 + 200;
            assert!(spent <= bound, "{text}: {spent} of {bound}");
        }
    }
    let url = url("/0123456789");
    let mut spent = 0;
    assert!(pattern(&optional).matches_in(&url, &mut spent));
    assert!(spent < 2000, "{spent}");
}

/// The bound of an evaluation is that of one pattern on one topic, so that nothing else in an
/// update or a set uses it up (specification, "URL Pattern").
#[test]
fn the_bound_of_an_evaluation_is_not_shared() {
    let costly = Matcher::UrlPattern(pattern(&format!("/{}", "{a*}?".repeat(250))).into());
    let honest = Matcher::UrlPattern(pattern("/books/:id").into());
    let set: MatcherSet = [costly, honest].into_iter().collect();
    let base = base();
    let long = format!("/{}", "a".repeat(4000));
    let topics = [&*long, &long, "/books/1"].map(|topic| Topic::new(topic, &base));
    assert!(topics.iter().any(|topic| set.matches(topic)));
}

/// Where evaluation would cost too much it is aborted and the pattern does not match
/// (specification, "URL Pattern"). Linear time alone does not bound what a topic of thousands of
/// bytes costs against hundreds of optional groups.
#[test]
fn an_evaluation_that_costs_too_much_does_not_match() {
    let groups = |count| format!("/{}", "{a*}?".repeat(count));
    let topic = |length| format!("/{}", "a".repeat(length));
    assert!(
        pattern(&groups(20)).matches(&url(&topic(20))),
        "an ordinary pattern is evaluated"
    );
    assert!(!pattern(&groups(250)).matches(&url(&topic(4000))));
}

/// Patterns that are legal one by one may occupy too much together, in tokens of either generation
/// ("Resource Limits").
#[test]
fn the_patterns_of_a_token_are_bounded_together() {
    // 1,500 states each.
    let topics = |count| -> Value {
        let topic =
            |n| json!({ "match": format!("/{n}(\\w{{1500}})"), "match_type": "urlpattern" });
        (0..count).map(topic).collect()
    };
    let modern = |count| {
        let topics: Value = topics(count);
        let detail = json!({ "type": DETAIL_TYPE, "actions": ["subscribe"], "topics": topics });
        AuthorizationDetails::parse(&json!([detail]), &base(), &Limits::default())
    };
    assert!(modern(43).is_ok());
    let error = modern(44).expect_err("too many");
    assert_eq!(
        (error.blame, &*error.field),
        (Blame::Token, "authorization_details")
    );
    let expected = "66000 states are more than 65536";
    assert!(error.problem.contains(expected), "{error}");
    let older = |count| {
        let claims = json!({ "mercure": { "subscribe": topics(count) } });
        let claims = claims.as_object().expect("an object").clone();
        AuthorizationDetails::from_mercure_claim(&claims, &base(), &Limits::default())
    };
    assert!(older(43).is_ok());
    let error = older(44).expect_err("too many");
    assert_eq!((error.blame, &*error.field), (Blame::Token, "mercure"));
}
