//! What Laravel's broadcaster and Echo do (B-1041 to B-1045); their presence channels are in
//! `presence`.

use serde_json::json;
use talaria_conformance::client::Client;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{DETAIL, Matcher, Token, exact, now};

const COOKIE: &str = "mercure_access_token";

fn channel(name: &str) -> String {
    format!("https://laravel.alt/echo/channel/{name}")
}

fn whisper(name: &str) -> String {
    format!("https://laravel.alt/echo/whisper/{name}")
}

/// A browser whose cookie allows reading and whispering on these topics until `exp`.
fn browser(hub: &Hub, topics: &[String], exp: u64) -> Client {
    let topics: Vec<_> = topics
        .iter()
        .map(|topic| json!({ "match": topic }))
        .collect();
    let token = Token::new(&hub.audience).claim("exp", exp.into()).claim(
        "authorization_details",
        json!([{ "type": DETAIL, "actions": ["publish", "subscribe"], "topics": topics }]),
    );
    // One key for both roles, as Laravel has.
    hub.client()
        .cookie(COOKIE, &token.sign(talaria_conformance::hub::PUBLISHER_KEY))
}

fn hub() -> Hub {
    let variables = [
        (
            "MERCURE_TRUSTED_ISSUERS",
            talaria_conformance::token::ISSUER,
        ),
        (
            "MERCURE_SUBSCRIBER_JWT_KEY",
            talaria_conformance::hub::PUBLISHER_KEY,
        ),
    ];
    let home = talaria_conformance::hub::Home::new();
    home.start("http://127.0.0.1:0", "transport memory", &variables)
        .expect("it starts")
}

fn all(topics: &[String]) -> Vec<Matcher> {
    topics.iter().map(|topic| exact(topic.clone())).collect()
}

/// A whisper is a private publish by cookie from a page of the hub's own origin, on whisper topics;
/// one token has more than a hundred of each (B-1043, B-1044).
#[tokio::test]
async fn a_whisper_is_a_publish_by_cookie_from_the_own_origin() {
    let hub = hub();
    let topics: Vec<_> = (0..120)
        .map(|number| whisper(&format!("room-{number}")))
        .collect();
    let listener = browser(&hub, &topics, now() + 300);
    let mut whispers = listener.subscribe(&all(&topics)).await;
    let page = browser(&hub, &topics, now() + 300);
    let fields = [
        ("topic", topics[7].as_str()),
        ("private", "on"),
        ("data", "typing"),
    ];
    let own = format!("http://{}", hub.host);
    page.clone().header("origin", &own).published(&fields).await;
    assert_eq!(whispers.data().await, "typing");
    // Another page does not whisper, nor one whose token has ended, until it is renewed.
    let evil = page
        .header("origin", "https://evil.example")
        .publish(&fields)
        .await;
    assert_eq!(evil.status, 400);
    let ended = browser(&hub, &topics, now() - 1).header("origin", &own);
    assert_eq!(ended.publish(&fields).await.status, 401);
    let renewed = browser(&hub, &topics, now() + 300).header("origin", &own);
    let again = [
        ("topic", topics[7].as_str()),
        ("private", "on"),
        ("data", "still typing"),
    ];
    renewed.published(&again).await;
    assert_eq!(whispers.data().await, "still typing");
}

/// A stream ends when its token does, and resumes with another token and another set of topics,
/// without gap or repetition (B-1041).
#[tokio::test]
async fn a_stream_ends_at_exp_and_resumes_with_other_topics() {
    let hub = hub();
    let backend = |topic: String, data: &'static str| {
        let token = Token::new(&hub.audience).grant("publish", &[exact("*")]);
        let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
        async move {
            let fields = [("topic", topic.as_str()), ("private", "on"), ("data", data)];
            publisher.published(&fields).await
        }
    };
    let before = [channel("a"), channel("b")];
    let mut stream = browser(&hub, &before, now() + 2)
        .subscribe(&all(&before))
        .await;
    let last = backend(channel("a"), "1").await;
    assert_eq!(stream.event().await.id, last);
    stream.end().await;
    // While no stream is open: one on a topic selected before and after, one on a topic selected
    // before, one on a topic selected after.
    backend(channel("b"), "2").await;
    backend(channel("a"), "not any more").await;
    backend(channel("c"), "3").await;
    let after = [channel("b"), channel("c")];
    let mut stream = browser(&hub, &after, now() + 300)
        .last_event_id(&last)
        .subscribe(&all(&after))
        .await;
    assert_eq!(stream.header("mercure-last-event-id"), last);
    backend(channel("c"), "4").await;
    assert_eq!(stream.several().await, ["2", "3", "4"]);
}
