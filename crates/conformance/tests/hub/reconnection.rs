//! "Reconnection, State Reconciliation, and Event Sourcing" on `transport memory` and `local`.

use talaria_conformance::client::target;
use talaria_conformance::hub::{Hub, ORDINARY};
use talaria_conformance::token::exact;

const FIELD: &str = "mercure-last-event-id";

/// Publishes `1`, `2`, … on topic `a`, and returns the ids.
async fn history(hub: &Hub, length: usize) -> Vec<String> {
    let mut publisher = hub.publisher().keep().await;
    let mut ids = Vec::new();
    for number in 1..=length {
        ids.push(
            publisher
                .publish(&[("topic", "a"), ("data", &number.to_string())])
                .await,
        );
    }
    ids
}

async fn end(hub: &Hub) {
    hub.publisher()
        .published(&[("topic", "a"), ("data", "end")])
        .await;
}

/// "the hub SHOULD send all events published after the one bearing this identifier", from the
/// field, the parameter, and the body of a `QUERY`; the response field names that id.
#[tokio::test]
async fn a_known_id_resumes_after_it() {
    let hub = Hub::ordinary();
    let ids = history(&hub, 4).await;
    let id = ids[1].as_str();
    let parameters = [("match", "a"), ("last_event_id", id)];
    for mut stream in [
        hub.client()
            .last_event_id(id)
            .subscribe(&[exact("a")])
            .await,
        hub.client().subscribe_with(&parameters).await,
        hub.client().query(&[], &parameters).await,
    ] {
        assert_eq!(stream.header(FIELD), id);
        assert_eq!([stream.data().await, stream.data().await], ["3", "4"]);
    }
}

/// A replay joins the live updates without gap or repetition, and the newest id resumes at once.
#[tokio::test]
async fn replay_joins_live() {
    let hub = Hub::ordinary();
    let ids = history(&hub, 3).await;
    let mut behind = hub
        .client()
        .last_event_id(&ids[0])
        .subscribe(&[exact("a")])
        .await;
    let mut newest = hub
        .client()
        .last_event_id(&ids[2])
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(newest.header(FIELD), ids[2]);
    end(&hub).await;
    assert_eq!(behind.until("end").await, ["2", "3"]);
    assert_eq!(newest.until("end").await, [""; 0]);
}

/// "the HTTP header MUST take precedence", and of two parameters the query component's.
#[tokio::test]
async fn the_header_wins_over_the_parameter() {
    let hub = Hub::ordinary();
    let ids = history(&hub, 3).await;
    let client = hub.client().last_event_id(&ids[1]);
    let stream = client
        .subscribe_with(&[("match", "a"), ("last_event_id", &ids[0])])
        .await;
    assert_eq!(stream.header(FIELD), ids[1]);
    let (in_query, in_body) = (
        [("last_event_id", ids[0].as_str())],
        [("match", "a"), ("last_event_id", &ids[1])],
    );
    let mut stream = hub.client().query(&in_query, &in_body).await;
    assert_eq!(stream.header(FIELD), ids[0]);
    assert_eq!(stream.data().await, "2");
}

/// "The reserved value `earliest` requests that the hub send all updates it has".
#[tokio::test]
async fn earliest_replays_everything() {
    let hub = Hub::start(ORDINARY);
    let stream = hub
        .client()
        .last_event_id("earliest")
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(stream.header(FIELD), "earliest", "the history is empty");
    history(&hub, 3).await;
    let mut stream = hub
        .client()
        .last_event_id("earliest")
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(stream.header(FIELD), "earliest");
    end(&hub).await;
    assert_eq!(stream.until("end").await, ["1", "2", "3"]);
}

/// On `transport memory` an unknown or empty cursor replays everything kept; the field says
/// `earliest`, so that the client can tell.
#[tokio::test]
async fn an_unknown_id_replays_what_memory_keeps() {
    let hub = Hub::start("anonymous\ntransport memory # others begin with what is new");
    history(&hub, 2).await;
    for id in [
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "anything",
        "",
    ] {
        let mut stream = hub
            .client()
            .subscribe_with(&[("match", "a"), ("last_event_id", id)])
            .await;
        assert_eq!(stream.header(FIELD), "earliest", "{id:?}");
        assert_eq!(
            [stream.data().await, stream.data().await],
            ["1", "2"],
            "{id:?}"
        );
    }
}

/// A hub id that retention deleted replays everything kept.
#[tokio::test]
async fn a_deleted_id_replays_what_is_kept() {
    let hub = Hub::start("anonymous\ntransport memory {\nsize 5\n}");
    let ids = history(&hub, 10).await;
    let mut stream = hub
        .client()
        .last_event_id(&ids[1])
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(stream.header(FIELD), "earliest");
    end(&hub).await;
    assert_eq!(stream.until("end").await, ["6", "7", "8", "9", "10"]);
}

/// "a `Last-Event-ID` bearing that value MUST resolve to the earliest such update", and the later
/// update with the same id is sent.
#[tokio::test]
async fn a_reused_id_is_its_earliest() {
    let hub = Hub::ordinary();
    for (id, data) in [
        ("urn:x:a", "1"),
        ("urn:x:b", "2"),
        ("urn:x:a", "3"),
        ("urn:x:c", "4"),
    ] {
        hub.publisher()
            .published(&[("topic", "a"), ("id", id), ("data", data)])
            .await;
    }
    let mut stream = hub
        .client()
        .last_event_id("urn:x:a")
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(stream.header(FIELD), "urn:x:a");
    assert_eq!(
        [
            stream.data().await,
            stream.data().await,
            stream.data().await
        ],
        ["2", "3", "4"]
    );
}

/// An id beyond ASCII is a cursor like any other: browsers send it as UTF-8.
#[tokio::test]
async fn ids_beyond_ascii_are_cursors() {
    let hub = Hub::ordinary();
    hub.publisher()
        .published(&[("topic", "a"), ("id", "urn:é日"), ("data", "1")])
        .await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "2")])
        .await;
    let parameters = [("match", "a"), ("last_event_id", "urn:é日")];
    for mut stream in [
        hub.client().subscribe_with(&parameters).await,
        hub.client()
            .last_event_id("urn:é日")
            .subscribe(&[exact("a")])
            .await,
    ] {
        assert_eq!(stream.header(FIELD), "urn:é日");
        assert_eq!(stream.data().await, "2");
    }
}

/// `HEAD` resolves the cursor as `GET` would.
#[tokio::test]
async fn head_tells_where_a_stream_would_begin() {
    let hub = Hub::ordinary();
    let ids = history(&hub, 1).await;
    for (asked, told) in [
        (ids[0].as_str(), ids[0].as_str()),
        ("earliest", "earliest"),
        ("unknown", "earliest"),
    ] {
        let client = hub.client().last_event_id(asked);
        let answer = client.send("HEAD", &target(&[("match", "a")]), "").await;
        assert_eq!(answer.header(FIELD), told);
    }
}

/// `unknown_cursor live` sends nothing old for a cursor that it does not know.
#[tokio::test]
async fn an_unknown_id_can_be_live_only() {
    let hub = Hub::start("anonymous\ntransport memory {\nunknown_cursor live\n}");
    history(&hub, 2).await;
    for id in [
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "anything",
        "",
    ] {
        let mut stream = hub
            .client()
            .subscribe_with(&[("match", "a"), ("last_event_id", id)])
            .await;
        assert_eq!(stream.header(FIELD), "earliest", "{id:?}");
        end(&hub).await;
        assert_eq!(stream.until("end").await, [""; 0], "{id:?}");
    }
}

/// A cursor may be the id of an update that the subscriber does not match or may not read.
#[tokio::test]
async fn any_update_is_a_cursor() {
    let hub = Hub::ordinary();
    history(&hub, 1).await;
    let id = hub
        .publisher()
        .published(&[("topic", "other"), ("private", "on")])
        .await;
    end(&hub).await;
    let mut stream = hub
        .client()
        .last_event_id(&id)
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(stream.header(FIELD), id);
    assert_eq!(stream.until("end").await, [""; 0]);
}

/// `transport local` keeps nothing; any cursor is `earliest` and live only (B-501).
#[tokio::test]
async fn local_replays_nothing() {
    let hub = Hub::start("anonymous\ntransport local");
    let ids = history(&hub, 3).await;
    for id in [ids[0].as_str(), "earliest", "anything"] {
        let mut stream = hub
            .client()
            .last_event_id(id)
            .subscribe(&[exact("a")])
            .await;
        assert_eq!(stream.header(FIELD), "earliest", "{id}");
        end(&hub).await;
        assert_eq!(stream.until("end").await, [""; 0], "{id}");
    }
}
