//! Limits follow a reload: what clients hold stays, and counts (`docs/limits.md`).

use std::net::Ipv4Addr;

use http::StatusCode;
use talaria_conformance::client::{Client, target};
use talaria_conformance::stream::EventStream;

use crate::running::{Running, caddyfile};

/// A client at `127.0.0.<last>`.
fn at(hub: &Running, last: u8) -> Client {
    hub.client().from(Ipv4Addr::new(127, 0, 0, last))
}

/// Opens streams from an address until one is refused, at most this many; those that are open, and the status of the
/// refusal.
async fn fill(hub: &Running, last: u8, at_most: usize) -> (Vec<EventStream>, Option<StatusCode>) {
    let client = at(hub, last);
    let mut streams = Vec::new();
    while streams.len() < at_most {
        let (answer, local) = client
            .open("GET", &target(&[("match", "a")]), "".into())
            .await;
        if answer.status() != 200 {
            return (streams, Some(answer.status()));
        }
        streams.push(EventStream::new(answer, local));
    }
    (streams, None)
}

fn reload(hub: &Running, directives: &str) {
    hub.home.configure(caddyfile("", directives));
    let (code, said) = hub.verb(&["reload"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Each limit of connections is lowered and raised; the connections that are open stay, with their streams.
#[tokio::test]
async fn limits_of_connections_follow_a_reload() {
    let hub = Running::start(&caddyfile("", "max_connections 200"), &[]);
    let (mut streams, refused) = fill(&hub, 1, 20).await;
    assert_eq!(refused, None);
    // Lower than what is open.
    reload(&hub, "max_connections 10");
    assert_eq!(
        fill(&hub, 2, 1).await.1,
        Some(StatusCode::SERVICE_UNAVAILABLE)
    );
    hub.logs(0, "limit=\"max_connections\"");
    reload(&hub, "max_connections_per_address 22");
    let (few, refused) = fill(&hub, 1, 10).await;
    assert_eq!(
        (few.len(), refused),
        (2, Some(StatusCode::SERVICE_UNAVAILABLE))
    );
    hub.logs(0, "limit=\"max_connections_per_address\"");
    assert_eq!(fill(&hub, 2, 5).await.1, None);
    reload(&hub, "max_connections 200");
    let (more, refused) = fill(&hub, 1, 10).await;
    assert_eq!(refused, None);
    reload(&hub, "max_connection_rate_per_address 1/h 2");
    assert_eq!(
        fill(&hub, 3, 5).await.1,
        Some(StatusCode::TOO_MANY_REQUESTS)
    );
    reload(&hub, "");
    assert_eq!(fill(&hub, 3, 5).await.1, None);
    // Who was there was served all the time.
    let token = talaria_conformance::token::Token::new(&format!(
        "http://{}/.well-known/mercure",
        hub.address
    ))
    .grant("publish", &[talaria_conformance::token::exact("*")])
    .sign(talaria_conformance::hub::PUBLISHER_KEY);
    let publisher = hub.client().bearer(&token);
    publisher.published(&[("topic", "a"), ("data", "on")]).await;
    for stream in streams.iter_mut().chain(&mut { few }).chain(&mut { more }) {
        assert_eq!(stream.data().await, "on");
    }
}

/// The rates of a hub follow, too: what was taken counts by the new rate.
#[tokio::test]
async fn rates_follow_a_reload() {
    let hub = Running::start(&caddyfile("", ""), &[]);
    assert_eq!(fill(&hub, 1, 5).await.1, None);
    reload(&hub, "max_stream_rate_per_address 1/h 1");
    // What came before the reload was not counted by this rate.
    let (streams, refused) = fill(&hub, 1, 5).await;
    assert_eq!(
        (streams.len(), refused),
        (1, Some(StatusCode::TOO_MANY_REQUESTS))
    );
    reload(&hub, "max_stream_rate_per_address 1/h 3");
    let (streams, refused) = fill(&hub, 1, 5).await;
    assert_eq!(
        (streams.len(), refused),
        (2, Some(StatusCode::TOO_MANY_REQUESTS))
    );
}
