//! Several updates in one request (NDJSON).

use serde_json::{Value, json};
use talaria_conformance::client::{Answer, Client};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, count};

const NDJSON: &str = "application/x-ndjson";

async fn publish(client: Client, lines: &[Value]) -> Answer {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    client
        .header("content-type", NDJSON)
        .send("POST", HUB_PATH, body)
        .await
}

fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, NDJSON)
    );
    let lines = answer.text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Each line may have every member of an update. A wrong line is answered with its error, and the
/// others are stored, in order.
#[tokio::test]
async fn each_line_has_its_result() {
    let hub = Hub::start("anonymous\ntransport memory");
    let mut all = hub.client().subscribe(&[exact("*")]).await;
    let token = Token::new(&hub.audience).grant("publish", &[exact("a"), exact("b")]);
    let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
    let lines = [
        json!({ "topic": "a", "data": "1\n2", "id": "mine", "type": "t", "retry": 7, "private": false }),
        json!({ "topic": ["b", "a"], "data": "two", "id": null }),
        json!({ "topic": "c", "data": "not granted" }),
        json!({ "data": "no topic" }),
        json!({ "topic": "a", "datum": "misspelled" }),
        json!({ "topic": "a", "private": "yes" }),
        json!({ "topic": "/.well-known/mercure/subscriptions/a" }),
        json!("no object"),
        json!({ "topic": "a", "private": true, "data": "secret" }),
        json!({ "topic": "a" }),
    ];
    let answer = publish(publisher.clone(), &lines).await;
    let results = results(&answer);
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 200, 403, 400, 400, 400, 400, 400, 200, 200]);
    assert_eq!(results[0]["id"], "mine");
    for (index, word) in [(3, "topic"), (4, "datum"), (5, "private"), (7, "object")] {
        let error = results[index]["error"].as_str().expect("a text");
        assert!(error.contains(word), "{error}");
    }
    let first = all.event().await;
    assert_eq!((first.id.as_str(), first.data.as_str()), ("mine", "1\n2"));
    assert_eq!((first.event_type.as_str(), first.retry), ("t", Some(7)));
    let second = all.event().await;
    assert_eq!(
        (second.data.as_str(), &json!(second.id)),
        ("two", &results[1]["id"])
    );
    assert_eq!(json!(all.event().await.id), results[9]["id"]);

    let empty = publish(publisher.clone(), &[]).await;
    assert_eq!((empty.status.as_u16(), empty.text.as_str()), (200, ""));
    let many = vec![json!({ "topic": "a" }); 10_001];
    assert_eq!(publish(publisher, &many).await.status, 413);
    assert_eq!(publish(hub.client(), &lines).await.status, 401);
}

/// One commit: after a kill -9 the log has all updates of a request, or none.
#[tokio::test]
async fn a_request_is_stored_as_a_whole() {
    const UPDATES: usize = 2000;
    let home = Home::new();
    for round in 0..count(50, 4) {
        let hub = home.hub("anonymous").expect("it starts");
        let lines: Vec<_> = (0..UPDATES)
            .map(|number| json!({ "topic": "a", "data": format!("{round}-{number}") }))
            .collect();
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (publisher, lines) = (hub.publisher(), lines.clone());
            requests.spawn(async move {
                let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
                let publisher = publisher.header("content-type", NDJSON);
                let answer = publisher.try_send("POST", HUB_PATH, body).await;
                answer.is_some_and(|answer| answer.status == 200)
            });
        }
        // The first answer is there; the others may be on their way.
        assert!(
            requests
                .join_next()
                .await
                .expect("a request")
                .expect("it ran")
        );
        hub.kill();
        let mut acknowledged = 1;
        while let Some(answered) = requests.join_next().await {
            acknowledged += usize::from(answered.expect("it ran"));
        }
        let hub = home.hub("anonymous").expect("it starts again");
        let end = hub.publisher().published(&[("topic", "end")]).await;
        let mut stream = hub
            .client()
            .last_event_id("earliest")
            .subscribe(&[exact("a"), exact("end")])
            .await;
        let prefix = format!("{round}-");
        let mut stored = 0;
        loop {
            let event = stream.event().await;
            if event.id == end {
                break;
            }
            stored += usize::from(event.data.starts_with(&prefix));
        }
        assert_eq!(stored % UPDATES, 0, "{acknowledged} were acknowledged");
        assert!(stored / UPDATES >= acknowledged);
        drop(stream);
        hub.stop().await;
    }
}

/// `repeat_window` applies to a batch: if a request is sent again, the updates that were stored are
/// not stored again.
#[tokio::test]
async fn a_repeated_request_is_stored_once() {
    let hub = Hub::start("anonymous\ntransport memory\nrepeat_window 1m");
    let token = Token::new(&hub.audience).grant("publish", &[exact("*")]);
    let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
    let update = |id: &str| json!({ "topic": "a", "data": id, "id": id });
    let first = [update("1"), update("2"), update("1")];
    let again = [update("3"), update("2"), update("1")];
    for lines in [&first, &again] {
        let ids: Vec<_> = results(&publish(publisher.clone(), lines).await);
        let ids: Vec<_> = ids.iter().map(|result| result["id"].clone()).collect();
        let expected: Vec<_> = lines.iter().map(|line| line["id"].clone()).collect();
        assert_eq!(ids, expected);
    }
    let end = hub.publisher().published(&[("topic", "a")]).await;
    let mut stream = hub
        .client()
        .last_event_id("earliest")
        .subscribe(&[exact("a")])
        .await;
    let mut seen = Vec::new();
    loop {
        let event = stream.event().await;
        if event.id == end {
            break;
        }
        seen.push(event.id);
    }
    assert_eq!(seen, ["1", "2", "3"]);
}
