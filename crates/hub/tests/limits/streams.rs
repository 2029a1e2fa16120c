//! What open streams may hold.

use axum::body::Body;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use talaria_hub::limits::{BudgetOptions, Used};
use talaria_hub::{Connection, Handover};

use crate::{Asker, at, hub, refused, token};

/// All that a stream held is free again, however it ends, and even if it never begins.
#[tokio::test]
async fn what_a_stream_held_is_given_back() {
    let hub = hub(|budgets| budgets.streams.total = Some(10));
    let one = at("192.0.2.1").with(&token(&json!({ "sub": "a" })));
    let query = "?match=a&match_urlpattern=/b/:c";
    let full = std::env::var_os("TALARIA_FULL").is_some_and(|value| value != "0");
    for _ in 0..if full { 2_500 } else { 100 } {
        let unread = one.enter(&hub, query).await;
        assert_eq!(hub.used().streams, 1);
        assert!(hub.used().matcher_memory > 0 && hub.used().matcher_states > 0);
        drop(unread);
        let mut read = one.enter(&hub, query).await;
        let opening = read.body_mut().frame().await.expect("the comment");
        assert!(opening.is_ok());
        drop(read);
        let mut taken = one.enter(&hub, query).await;
        let handover: Handover = taken.extensions_mut().remove().expect("a handover");
        let cursor = handover.take();
        drop((taken, handover));
        assert_eq!(hub.used().streams, 1, "the cursor is the subscription");
        drop(cursor);
        let head = one.ask(&hub, Method::HEAD, query, Body::empty()).await;
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(hub.used(), Used::default());
    }
}

/// Streams with the same selection have it in memory once, so it counts once.
#[tokio::test]
async fn equal_selections_count_once() {
    let hub = hub(|_| ());
    let query = "?match_urlpattern=/a/:b&match_urlpattern=/c/:d&match_urlpattern=/e/*";
    let first = at("192.0.2.1").enter(&hub, query).await;
    let (bytes, states) = (hub.used().matcher_memory, hub.used().matcher_states);
    let mut streams = Vec::new();
    for number in 0..100_u8 {
        streams.push(at(&format!("198.51.100.{number}")).enter(&hub, query).await);
        streams.push(at("192.0.2.1").enter(&hub, query).await);
    }
    drop(first);
    let used = hub.used();
    assert_eq!(
        (used.streams, used.matcher_memory, used.matcher_states),
        (200, bytes, states)
    );
    let other = at("192.0.2.1").enter(&hub, "?match_urlpattern=/a/:b").await;
    assert!(hub.used().matcher_memory > bytes, "another selection");
    drop(other);
    drop(streams);
    assert_eq!(hub.used(), Used::default());
}

/// A subject is the `sub` of an issuer, at every address. A token without one is its own subject.
#[tokio::test]
async fn a_token_subject_counts_wherever_it_comes_from() {
    let hub = hub(|budgets| budgets.streams.per_subject = Some(1));
    let subject = |name: &str, id: u8| token(&json!({ "sub": name, "jti": id.to_string() }));
    let _held = at("192.0.2.1")
        .with(&subject("a", 1))
        .enter(&hub, "?match=x")
        .await;
    let told = at("192.0.2.2")
        .with(&subject("a", 2))
        .fail(&hub, "?match=x")
        .await;
    assert_eq!(
        told,
        "streams: the limit for one token subject is 1, and this request needs 1 more; close some, try again later, or raise max_streams_per_subject\n"
    );
    let _other = at("192.0.2.2")
        .with(&subject("b", 1))
        .enter(&hub, "?match=x")
        .await;
    let _anonymous = at("192.0.2.2").enter(&hub, "?match=x").await;
    let without = [
        json!({ "jti": "1" }),
        json!({ "jti": "2" }),
        json!({ "sub": "", "jti": "3" }),
    ];
    let mut held = Vec::new();
    for token in without.each_ref().map(token) {
        held.push(at("192.0.2.3").with(&token).enter(&hub, "?match=x").await);
        at("192.0.2.4").with(&token).fail(&hub, "?match=x").await;
    }
}

/// An address is a network of IPv6 addresses, or one IPv4 address in either form, because a customer has as
/// much. Clients of a listener that tells no addresses are one client.
#[tokio::test]
async fn an_address_is_what_one_customer_has() {
    let hub = hub(|budgets| budgets.streams.per_address = Some(1));
    for (one, same, other) in [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("::1", "::2", "::ffff:0.0.0.2"),
    ] {
        let _held = at(one).enter(&hub, "?match=x").await;
        let told = at(same).fail(&hub, "?match=x").await;
        assert!(
            told.contains("streams: the limit for one address is 1,"),
            "{told}"
        );
        let _other = at(other).enter(&hub, "?match=x").await;
    }
    let unknown = Asker {
        connection: Connection::default(),
        token: None,
    };
    let _held = unknown.enter(&hub, "?match=x").await;
    unknown.clone().fail(&hub, "?match=x").await;
    let mut forwarded = at("192.0.2.9");
    forwarded.connection.client = Some([192, 0, 2, 1].into());
    let _held = at("192.0.2.1").enter(&hub, "?match=x").await;
    forwarded.fail(&hub, "?match=x").await;
}

/// The refusal by each bound names its resource and its scope.
#[tokio::test]
async fn every_bound_names_itself() {
    let token = token(&json!({ "sub": "a" }));
    let costly = "?match_urlpattern=/a/:b&match_urlpattern=/c{/:d}%3F";
    type Bound = fn(&mut BudgetOptions) -> &mut Option<u64>;
    let bounds: [(&str, Bound); 11] = [
        ("max_streams", |budgets| &mut budgets.streams.total),
        ("max_streams_per_address", |budgets| {
            &mut budgets.streams.per_address
        }),
        ("max_streams_per_subject", |budgets| {
            &mut budgets.streams.per_subject
        }),
        ("max_matcher_memory", |budgets| {
            &mut budgets.matcher_memory.total
        }),
        ("max_matcher_memory_per_address", |budgets| {
            &mut budgets.matcher_memory.per_address
        }),
        ("max_matcher_memory_per_subject", |budgets| {
            &mut budgets.matcher_memory.per_subject
        }),
        ("max_matcher_memory_per_connection", |budgets| {
            &mut budgets.matcher_memory.per_connection
        }),
        ("max_matcher_states", |budgets| {
            &mut budgets.matcher_states.total
        }),
        ("max_matcher_states_per_address", |budgets| {
            &mut budgets.matcher_states.per_address
        }),
        ("max_matcher_states_per_subject", |budgets| {
            &mut budgets.matcher_states.per_subject
        }),
        ("max_matcher_states_per_connection", |budgets| {
            &mut budgets.matcher_states.per_connection
        }),
    ];
    for (name, bound) in bounds {
        let hub = hub(|budgets| *bound(budgets) = Some(0));
        let told = at("192.0.2.1").with(&token).fail(&hub, costly).await;
        assert!(told.contains(" is 0,"), "{name}: {told}");
        assert!(
            told.ends_with(&format!("or raise {name}\n")),
            "{name}: {told}"
        );
        assert_eq!(hub.used(), Used::default(), "{name}");
    }
}

/// The streams of one connection count together, each with its whole selection, and those of another
/// connection do not.
#[tokio::test]
async fn a_connection_has_its_own_budget() {
    let hub = hub(|_| ());
    let one = at("192.0.2.1");
    let mut streams = Vec::new();
    let told = loop {
        // 250 patterns of some 50 states each.
        let number = streams.len();
        let pattern = |part| format!("&match_urlpattern=/{number}/{part}{{/:a}}%3F{{/:b}}%3F/:c/*");
        let query: String = (0..250).map(pattern).collect();
        let response = one.subscribe(&hub, &query.replacen('&', "?", 1)).await;
        match response.status() {
            StatusCode::OK => streams.push(response),
            _ => break refused(response).await,
        }
        assert!(streams.len() < 150, "no bound");
    };
    assert!(told.contains("the limit for one connection is "), "{told}");
    assert!(!streams.is_empty());
    let used = hub.used();
    assert!(used.matcher_memory <= 16 << 20, "{used:?}");
    assert!(used.matcher_states <= 1 << 17, "{used:?}");
    one.enter(&hub, "?match=a").await;
    at("192.0.2.1").enter(&hub, "?match_urlpattern=/a/:b").await;
}

/// Twenty addresses that take what they can leave room for those that come.
#[tokio::test]
async fn a_newcomer_finds_room_beside_twenty_that_take_all_they_can() {
    let hub = hub(|budgets| budgets.streams.total = Some(2_000));
    let mut streams = Vec::new();
    // Each takes what it can, again and again, until none of them gets any more.
    loop {
        let before = streams.len();
        for number in 1..=20 {
            loop {
                let response = at(&format!("192.0.2.{number}"))
                    .subscribe(&hub, "?match=a")
                    .await;
                if response.status() != StatusCode::OK {
                    let told = refused(response).await;
                    assert!(
                        told.contains("streams: the limit for one address is now 10, because more than four fifths of 2000 are taken, "),
                        "{told}"
                    );
                    break;
                }
                streams.push(response);
                assert!(streams.len() <= 2_000, "no bound");
            }
        }
        if streams.len() == before {
            break;
        }
    }
    assert_eq!(streams.len(), 1_600 + 19 * 10);
    let mut honest = Vec::new();
    for number in 0..5 {
        honest.push(
            at(&format!("198.51.100.{number}"))
                .enter(&hub, "?match=a")
                .await,
        );
    }
}
