//! The directives of what clients may hold.

use std::time::Duration;

use talaria_hub::limits::{BudgetOptions, Rate, RateBounds};

use super::{settings, texts, with};

/// A place of rates.
type Rates = fn(&BudgetOptions) -> RateBounds;

/// What `bound` finds after each of these lines.
fn each(bound: fn(&BudgetOptions) -> Option<u64>, lines: &[(&str, Option<u64>)]) {
    for (line, expected) in lines {
        assert_eq!(
            bound(&settings(line).hubs[0].options.budgets),
            *expected,
            "{line}"
        );
    }
}

#[test]
fn every_bound_of_streams_can_be_set_and_switched_off() {
    let default = BudgetOptions::default();
    assert_eq!(settings("").hubs[0].options.budgets, default);
    each(
        |budgets| budgets.streams.total,
        &[
            ("max_streams 7", Some(7)),
            ("max_streams off", None),
            ("max_streams 0", None),
            ("max_streams 7\nmax_streams 8", Some(8)),
            ("max_streams_per_address 7", default.streams.total),
        ],
    );
    each(
        |budgets| budgets.streams.per_address,
        &[("max_streams_per_address 7", Some(7))],
    );
    each(
        |budgets| budgets.streams.per_subject,
        &[("max_streams_per_subject 7", Some(7))],
    );
}

#[test]
fn every_bound_of_matchers_and_bodies_can_be_set() {
    each(
        |budgets| budgets.matcher_memory.total,
        &[
            ("max_matcher_memory 1MiB", Some(1 << 20)),
            ("max_matcher_memory 1000", Some(1000)),
            ("max_matcher_memory off", None),
        ],
    );
    each(
        |budgets| budgets.matcher_memory.per_address,
        &[("max_matcher_memory_per_address 1KiB", Some(1024))],
    );
    each(
        |budgets| budgets.matcher_memory.per_subject,
        &[("max_matcher_memory_per_subject 1KiB", Some(1024))],
    );
    each(
        |budgets| budgets.matcher_memory.per_connection,
        &[
            ("max_matcher_memory_per_connection 1KiB", Some(1024)),
            ("max_matcher_memory_per_connection off", None),
        ],
    );
    each(
        |budgets| budgets.matcher_states.total,
        &[("max_matcher_states 9", Some(9))],
    );
    each(
        |budgets| budgets.matcher_states.per_address,
        &[("max_matcher_states_per_address 9", Some(9))],
    );
    each(
        |budgets| budgets.matcher_states.per_subject,
        &[("max_matcher_states_per_subject 9", Some(9))],
    );
    each(
        |budgets| budgets.matcher_states.per_connection,
        &[("max_matcher_states_per_connection 9", Some(9))],
    );
    each(
        |budgets| budgets.body_memory.total,
        &[("max_body_memory 1GB", Some(1_000_000_000))],
    );
    each(
        |budgets| budgets.body_memory.per_address,
        &[("max_body_memory_per_address 64MiB", Some(64 << 20))],
    );
    each(
        |budgets| budgets.body_memory.per_subject,
        &[("max_body_memory_per_subject 64MiB", Some(64 << 20))],
    );
}

/// Each rate is read into its place; `off` stands for none.
#[test]
fn every_rate_can_be_set() {
    let set = "1/s\nNAME_per_address 2/m 3\nNAME_per_subject 4/h";
    let minute = Duration::from_secs(60);
    let expected = RateBounds {
        total: Some(Rate::per_second(1, 1)),
        per_address: Some(Rate::new(2, minute, 3)),
        per_subject: Some(Rate::new(4, 60 * minute, 4)),
    };
    let places: [(&str, Rates); 2] = [
        ("max_publish_rate", |budgets| budgets.publish_rate),
        ("max_stream_rate", |budgets| budgets.stream_rate),
    ];
    for (name, place) in places {
        let lines = format!("{name} {}", set.replace("NAME", name));
        let budgets = settings(&lines).hubs[0].options.budgets.clone();
        assert_eq!(place(&budgets), expected, "{name}");
        let off = settings(&format!("{name} off"));
        assert_eq!(place(&off.hubs[0].options.budgets).total, None, "{name}");
    }
}

/// What an issuer's publishers may publish belongs to that issuer.
#[test]
fn an_issuer_may_bound_its_publishers() {
    let block = |limits: &str| {
        format!(
            "issuer https://a {{\n{limits}\npublisher {{\njwt 0123456789abcdef0123456789abcdef\n}}\n}}\nanonymous"
        )
    };
    let settings = settings(&block("max_publish_size 10KiB\nmax_publish_topics 3"));
    let issuers = &settings.hubs[0].options.issuers;
    let issuer = issuers.get("https://a").unwrap();
    assert_eq!(
        (issuer.max_publish_size, issuer.max_publish_topics),
        (Some(10 << 10), Some(3))
    );
    for (limits, says) in [
        ("max_publish_size 0", "`off`"),
        ("max_publish_size large", "such as 64MiB"),
        ("max_publish_topics 0", "digits"),
        ("max_publish_topic 1", "max_publish_topics"),
    ] {
        let error = with(&block(limits)).unwrap_err();
        assert!(error.contains(says), "{limits}: {error}");
    }
}

#[test]
fn a_wrong_bound_is_refused_with_its_place_and_the_right_form() {
    for (line, place, says) in [
        (
            "max_streams many",
            "column 13",
            "write a number in digits only, or `off` for no bound",
        ),
        ("max_streams -1", "column 13", "or `off`"),
        ("max_streams 10MiB", "column 13", "not a whole number"),
        ("max_streams 1.5", "column 13", "not a whole number"),
        ("max_streams", "column 1", "a number or `off`"),
        ("max_streams 1 2", "column 15", "nothing more"),
        ("max_streams OFF", "column 13", "or `off`"),
        ("max_streams_per_address {\n}", "column 1", ""),
        ("max_matcher_memory 1 parsec", "column 22", "nothing more"),
        (
            "max_matcher_memory lots",
            "column 20",
            "write a size such as 64MiB, or `off` for no bound",
        ),
        (
            "max_streams_per_adress 1",
            "column 1",
            "did you mean `max_streams_per_address`?",
        ),
        ("max_streams_per_connections 1", "column 1", "directive"),
        ("max_body_memory_per_connection 1", "column 1", "directive"),
    ] {
        let error = with(line).unwrap_err();
        assert!(
            error.contains(&format!("line 1, {place}: ")),
            "{line}: {error}"
        );
        assert!(error.contains(says), "{line}: {error}");
    }
}

/// The largest body finds room even where its bound was raised, or the start says that it does not.
#[test]
fn the_largest_body_finds_room() {
    let of = |directives: &str| {
        let loaded = with(directives).unwrap();
        let said = texts(&loaded).join("\n");
        (
            loaded.settings.hubs[0].options.budgets.body_memory.total,
            said,
        )
    };
    assert_eq!(
        of("max_request_body_size 100MiB"),
        (Some(200 << 20), String::new())
    );
    assert_eq!(
        of("max_request_body_size 1MiB"),
        (Some(128 << 20), String::new())
    );
    for directives in [
        "max_request_body_size 100MiB\nmax_body_memory 199MiB",
        "max_request_body_size 1MiB\nmax_body_memory_per_address 1000KB",
        "max_request_body_size 1MiB\nmax_body_memory_per_subject 1000KB",
    ] {
        let (_, said) = of(directives);
        assert!(said.contains("may never find room"), "{directives}: {said}");
    }
    assert!(
        of("max_streams off")
            .1
            .contains("`max_streams off` lets one client take what all need")
    );
}
