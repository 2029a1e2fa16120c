//! What one client may hold, and that others are served beside it (`docs/limits.md`).

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::StatusCode;
use talaria_conformance::client::{Answer, Client, finish, target};
use talaria_conformance::event::Item;
use talaria_conformance::hub::Hub;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Matcher, Token, exact, pattern};
use talaria_conformance::{count, within};

/// Subscribes, and returns the refusal if there is one.
async fn try_subscribe(client: &Client, matchers: &[Matcher]) -> Result<EventStream, Answer> {
    let parameters: Vec<_> = matchers.iter().map(Matcher::parameter).collect();
    let (answer, local) = client.open("GET", &target(&parameters), Bytes::new()).await;
    match answer.status() {
        StatusCode::OK => Ok(EventStream::new(answer, local)),
        _ => Err(finish(answer).await),
    }
}

/// Subscribes and must be refused for a limit that says `text`, and when to come again.
async fn refused(client: &Client, matchers: &[Matcher], text: &str) {
    let Err(answer) = try_subscribe(client, matchers).await else {
        panic!("there was room beyond {text:?}");
    };
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.text.contains(text), "{}", answer.text);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(seconds > 0);
}

/// Subscribes as soon as there is room again.
async fn subscribed(client: &Client, matchers: &[Matcher]) -> EventStream {
    let room = async {
        loop {
            if let Ok(stream) = try_subscribe(client, matchers).await {
                return stream;
            }
            tokio::task::yield_now().await;
        }
    };
    within("room", room).await
}

/// A client at `127.0.0.<last>`.
fn at(hub: &Hub, last: u8) -> Client {
    hub.client().from(Ipv4Addr::new(127, 0, 0, last))
}

/// Each bound lets through what it allows, refuses what is beyond it with its value and its name,
/// and lets the next one in when a stream has ended.
#[tokio::test]
async fn each_bound_is_met_refused_and_free_again() {
    for (name, bound, text) in [
        (
            "max_streams",
            "5",
            "streams: the limit for one token subject is now 1, because more than four fifths of 5 are taken, ",
        ),
        (
            "max_streams_per_address",
            "2",
            "streams: the limit for one address is 2, ",
        ),
        (
            "max_streams_per_subject",
            "2",
            "streams: the limit for one token subject is 2, ",
        ),
        (
            "max_matcher_memory_per_address",
            "4KB",
            "bytes of matchers: the limit for one address is 4000, ",
        ),
        (
            "max_matcher_memory_per_subject",
            "4KB",
            "bytes of matchers: the limit for one token subject is 4000, ",
        ),
        (
            "max_matcher_states_per_address",
            "40",
            "states of patterns: the limit for one address is 40, ",
        ),
        (
            "max_matcher_states_per_subject",
            "40",
            "states of patterns: the limit for one token subject is 40, ",
        ),
    ] {
        let hub = Hub::start(&format!("transport memory\nanonymous\n{name} {bound}"));
        let client = hub.subscriber(&[exact("a")]);
        let mut streams = Vec::new();
        let matchers = |number| {
            [
                pattern(format!("/{number}/:a{{/:b}}?")),
                exact("x".repeat(900)),
            ]
        };
        while let Ok(stream) = try_subscribe(&client, &matchers(streams.len())).await {
            streams.push(stream);
            assert!(streams.len() < 20, "{name} bounds nothing");
        }
        assert!(!streams.is_empty(), "{name}");
        let other = matchers(99);
        refused(&client, &other, text).await;
        refused(&client, &other, &format!("raise {name}\n")).await;
        drop(subscribed(&at(&hub, 2), &[exact("b")]).await);
        streams.pop();
        streams.push(subscribed(&client, &other).await);
        // Those that were there all the time were not touched.
        hub.publisher()
            .published(&[("topic", &"x".repeat(900)), ("data", "1")])
            .await;
        for stream in &mut streams {
            assert_eq!(stream.data().await, "1", "{name}");
        }
    }
}

/// A browser gives up for good on any status but 200, so it gets a stream that ends and comes back
/// with its cursor; then it is served.
#[tokio::test]
async fn a_browser_comes_back() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_streams_per_address 1");
    let id = hub
        .publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "2")])
        .await;
    let held = hub.client().subscribe(&[exact("a")]).await;
    let browser = hub
        .client()
        .header("accept", "text/event-stream")
        .last_event_id(&id);
    let line = hub.log.len();
    let mut ended = browser.subscribe(&[exact("a")]).await;
    assert_eq!(ended.header("mercure-last-event-id"), id);
    let Item::Comment(why) = ended.item().await else {
        panic!("no reason");
    };
    assert_eq!(
        why.trim(),
        "streams: the limit for one address is 1, and this request needs 1 more; close some, try again later, or raise max_streams_per_address"
    );
    let Item::Retry(milliseconds) = ended.item().await else {
        panic!("no time to wait");
    };
    assert!((2_000..=5_000).contains(&milliseconds));
    assert_eq!(ended.end().await, [""; 0]);
    let said = |line: &str| {
        let whole = [
            "reason=\"limit_exceeded\"",
            "limit=\"max_streams_per_address\"",
            "client=127.0.0.1",
        ];
        whole.iter().all(|part| line.contains(part)).then_some(())
    };
    hub.log
        .find(line, talaria_conformance::PATIENCE, said)
        .unwrap();
    drop(held);
    let back = async {
        loop {
            let mut stream = browser.subscribe(&[exact("a")]).await;
            if let Some(event) = within("an event", stream.try_event()).await.unwrap() {
                return event.data;
            }
        }
    };
    assert_eq!(within("room", back).await, "2");
}

/// Clients of 0.x are told the same.
#[tokio::test]
async fn clients_of_0_x_are_told_the_same() {
    let hub = Hub::classic("anonymous\ntransport memory\nmax_streams_per_address 1");
    let _held = hub.client().subscribe_with(&[("topic", "a")]).await;
    let answer = hub.client().get(&target(&[("topic", "a")])).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        answer
            .text
            .contains("streams: the limit for one address is 1,"),
        "{}",
        answer.text
    );
}

/// Twenty addresses take what they can; a newcomer is served, and so are publishers.
#[tokio::test]
async fn a_newcomer_is_served_beside_twenty_that_take_all_they_can() {
    let total = count(2_000, 200);
    let hub = Hub::start(&format!("anonymous\ntransport memory\nmax_streams {total}"));
    let mut streams = Vec::new();
    loop {
        let before = streams.len();
        for last in 2..22 {
            while let Ok(stream) = try_subscribe(&at(&hub, last), &[exact("a")]).await {
                streams.push(stream);
            }
        }
        if streams.len() == before {
            break;
        }
    }
    // Four fifths, and for each of the others a two-hundredth, or what a small total gives.
    let share = (total / 200).max((total / 100).min(8));
    assert_eq!(streams.len(), total * 4 / 5 + 19 * share);
    let mut honest = hub.client().subscribe(&[exact("honest")]).await;
    hub.publisher()
        .published(&[("topic", "honest"), ("data", "1")])
        .await;
    assert_eq!(honest.data().await, "1");
}

/// However many clients come and go, all of the memory is available again.
#[tokio::test]
async fn what_ten_thousand_held_is_given_back() {
    let hub = Hub::start(
        "anonymous\ntransport memory\nmax_streams_per_address 40\nmax_matcher_memory_per_address 100KB",
    );
    let matchers = [exact("a"), pattern("/b/:c")];
    for round in 0..count(500, 25) {
        let mut streams = Vec::new();
        for number in 0..20 {
            let client = match number % 2 {
                0 => hub.client(),
                _ => hub.client().http2(),
            };
            let mut stream = subscribed(&client, &matchers).await;
            if round % 2 == 0 {
                stream.item().await;
            }
            streams.push(stream);
        }
    }
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(subscribed(&hub.client(), &matchers).await);
    }
    refused(
        &hub.client(),
        &matchers,
        "streams: the limit for one address is 40,",
    )
    .await;
}

/// Behind a trusted proxy the client is the last address that the proxy names, and not the proxy.
/// What a client writes itself counts for nothing, with or without a proxy.
#[tokio::test]
async fn a_forwarded_address_counts_from_a_trusted_proxy_only() {
    let directives = "anonymous\ntransport memory\nmax_streams_per_address 1\n";
    let behind = Hub::start(&format!("{directives}trusted_proxies 127.0.0.1"));
    let forwarded = |client: Client, by: &str| client.header("x-forwarded-for", by);
    let one = forwarded(behind.client(), "192.0.2.1");
    let _held = one.subscribe(&[exact("a")]).await;
    refused(
        &one,
        &[exact("a")],
        "streams: the limit for one address is 1, ",
    )
    .await;
    let forged = forwarded(behind.client(), "198.51.100.7, 192.0.2.1");
    refused(
        &forged,
        &[exact("a")],
        "streams: the limit for one address is 1, ",
    )
    .await;
    let twice = forwarded(forwarded(behind.client(), "198.51.100.8"), "192.0.2.1");
    refused(
        &twice,
        &[exact("a")],
        "streams: the limit for one address is 1, ",
    )
    .await;
    let _other = forwarded(behind.client(), "192.0.2.2")
        .subscribe(&[exact("a")])
        .await;
    // A client that bypasses the proxy.
    let past = at(&behind, 9);
    let _past = forwarded(past.clone(), "192.0.2.3")
        .subscribe(&[exact("a")])
        .await;
    refused(
        &forwarded(past, "192.0.2.4"),
        &[exact("a")],
        "streams: the limit for one address is 1, ",
    )
    .await;
    let without = Hub::start(directives);
    let _held = forwarded(without.client(), "192.0.2.1")
        .subscribe(&[exact("a")])
        .await;
    let forged = forwarded(without.client(), "192.0.2.2");
    refused(
        &forged,
        &[exact("a")],
        "streams: the limit for one address is 1, ",
    )
    .await;
}

/// The needs of honest clients fit the defaults: Laravel's sixty presence channels, several
/// patterns a stream, one selection for all.
#[tokio::test]
async fn honest_clients_fit_the_defaults() {
    let hub = Hub::start("anonymous\ntransport memory\nsubscriptions");
    let channels = |name: &str| -> Vec<_> {
        let channel = |number| exact(format!("https://example.com/presence-{name}-{number}"));
        (0..60).map(channel).collect()
    };
    let mut streams = Vec::new();
    for number in 0..count(1_000, 40) {
        streams.push(hub.client().subscribe(&channels(&number.to_string())).await);
        let own = |part| pattern(format!("/{number}/{part}/:a"));
        streams.push(
            hub.client()
                .subscribe(&[own("a"), own("b"), own("c")])
                .await,
        );
        let same = [pattern("/news/:a"), pattern("/chat/:a"), exact("/all")];
        streams.push(hub.client().http2().subscribe(&same).await);
        let token = Token::new(&hub.audience)
            .without("sub")
            .grant("subscribe", &[exact("*")]);
        let token = hub.sign_as_subscriber(&token);
        streams.push(hub.client().bearer(&token).subscribe(&same).await);
    }
}
