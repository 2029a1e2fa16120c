//! How much clients that come and go make the hub write.

use std::collections::BTreeMap;

use http::Request;
use http_body_util::BodyExt as _;
use talaria_hub::{Hub, PresenceOptions};
use tokio::time::{Instant, timeout};

use super::faulty::{Fate, Faulty};
use super::{PATIENCE, count, hub_with, list, said, subscribe, until, until_listed};

fn at_a_rate(bytes_per_second: u64) -> PresenceOptions {
    let mut options = PresenceOptions::default();
    options.bytes_per_second = bytes_per_second;
    options
}

/// The log gets no more than the rate of a client, however often it comes and goes: the visits beyond it have
/// no event. No head waits for that, and a visit that stays is announced when its turn has come.
#[tokio::test(flavor = "multi_thread")]
async fn coming_and_going_writes_no_more_than_the_rate() {
    const RATE: u64 = 20_000;
    let visits = count(50_000, 3_000);
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub_with(&log, at_a_rate(RATE));
    let start = Instant::now();
    for _ in 0..visits {
        drop(subscribe(&hub, "passer-by").await);
    }
    let stays = subscribe(&hub, "stays").await;
    until(&log, "the one that stays", || async {
        list(&hub).await.0.contains("stays")
    })
    .await;
    // A burst is sixteen seconds' worth, and the visit that exceeds it.
    let elapsed = start.elapsed().as_secs_f64() + 16.0;
    let most = elapsed * RATE as f64 + 2_000.0;
    let events: f64 = log.bytes().await as f64;
    assert!(events <= most, "{events} bytes, at most {most}");
    drop(stays);
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    let events = log.events().await;
    assert!(events.len() < visits, "{}", events.len());
    let open = events.iter().map(|event| if event.active { 1 } else { -1 });
    assert_eq!(open.sum::<i32>(), 0);
}

async fn ask(hub: &Hub, names: &[String]) -> (u16, String) {
    let query: Vec<_> = names.iter().map(|name| format!("match={name}")).collect();
    let request = Request::builder()
        .method("QUERY")
        .uri("/.well-known/mercure")
        .header("host", "hub.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(query.join("&").into())
        .expect("a request");
    let answer = timeout(PATIENCE, hub.handle(request)).await;
    let answer = answer.expect("a head");
    let status = answer.status().as_u16();
    if status == 200 {
        return (status, String::new());
    }
    let body = answer.into_body().collect().await.expect("a body");
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

/// A request whose events would take more than one request may write is refused with the reason, and none of
/// its subscriptions is announced: all are announced, or none (specification, "Subscription Events").
#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_events_take_too_much_is_refused() {
    let log = Faulty::new(|_| Fate::Store);
    let mut options = at_a_rate(0);
    options.bytes_per_request = 20_000;
    let hub = hub_with(&log, options);
    let names: Vec<_> = (0..256).map(|number| format!("t{number}")).collect();
    // Many matchers, and a few long ones, which are longer when they are percent-encoded twice.
    let long: Vec<_> = (0..3)
        .map(|number| format!("{number}{}", "%2F".repeat(1_500)))
        .collect();
    for names in [&names, &long] {
        let (status, said) = ask(&hub, names).await;
        assert_eq!(status, 400, "{said}");
        for part in [
            "20000 bytes",
            "subscription_events_per_request",
            "fewer matchers",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
    let (status, said) = ask(&hub, &names[..16]).await;
    assert_eq!((status, said), (200, String::new()));
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    assert!(log.bytes().await <= 20_000);
}

/// With the defaults one request writes at most 2 MiB, whatever it asks for.
#[tokio::test(flavor = "multi_thread")]
async fn one_visit_writes_a_bounded_history() {
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub_with(&log, PresenceOptions::default());
    // Quotes are escaped and percent-encoded.
    for (matchers, unit, length, status) in [
        (256, "x", 60, 200),
        (256, "x", 200, 200),
        (256, "\"", 900, 400),
        (50, "x", 2_000, 200),
        (120, "\"", 2_000, 400),
    ] {
        let names: Vec<_> = (0..matchers)
            .map(|number| format!("{number}{}", unit.repeat(length)))
            .collect();
        let before = log.bytes().await;
        let (answered, said) = ask(&hub, &names).await;
        assert_eq!(answered, status, "{matchers} of {length}: {said}");
        until(&log, "an idle hub", || async { hub.is_idle() }).await;
        let written = log.bytes().await - before;
        assert!(
            written <= 2 * 1024 * 1024,
            "{matchers} of {length}: {written}"
        );
    }
}

/// Anonymous subscribers that are not announced are served like others.
#[tokio::test(flavor = "multi_thread")]
async fn only_token_holders_are_announced_where_that_is_asked_for() {
    let log = Faulty::new(|_| Fate::Store);
    let mut options = PresenceOptions::default();
    options.token_holders_only = true;
    let hub = hub_with(&log, options);
    let anonymous = subscribe(&hub, "anonymous").await;
    until_listed(&log, &hub, &[]).await;
    drop(anonymous);
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    assert_eq!(said(&log).await, BTreeMap::new());
}
