//! An answer that refuses names the field, what came, and what to do; bounded, and nothing that is
//! secret or binary ("Error Responses").

use serde_json::{Value, json};
use talaria_conformance::HUB_PATH;
use talaria_conformance::client::{Answer, Client, target};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact};

const FORM: &str = "application/x-www-form-urlencoded";
const NDJSON: &str = "application/x-ndjson";
/// A form, compressed with gzip.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x2b\xc9\x2f\xc8\x4c\xb6\x4d\x04\0\x1a\x8e\x0a\xd4\x07\0\0\0";

#[track_caller]
fn names(answer: &Answer, status: u16, words: &[&str]) {
    let text = &answer.text;
    assert_eq!(answer.status, status, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} in {text:?}");
    }
    let line = text.strip_suffix('\n').expect("a line");
    assert!(line.len() < 600, "{} bytes", line.len());
    assert!(
        !line.contains(|c: char| c.is_control() || c == '\u{fffd}'),
        "{line:?}"
    );
}

async fn post(client: Client, media_type: Option<&str>, body: impl Into<bytes::Bytes>) -> Answer {
    let client = match media_type {
        Some(media_type) => client.header("content-type", media_type),
        None => client,
    };
    client.send("POST", HUB_PATH, body).await
}

/// A publish of another media type or coding is answered with what came.
#[tokio::test]
async fn a_publish_names_what_came() {
    for hub in [
        Hub::start("transport memory"),
        Hub::classic("transport memory"),
    ] {
        let publisher = hub.publisher();
        let send = |media_type, body: &'static [u8]| post(publisher.clone(), media_type, body);
        for media_type in [
            "application/json",
            "multipart/form-data; boundary=x",
            "text/plain",
            "nonsense",
        ] {
            let answer = send(Some(media_type), b"{}").await;
            names(
                &answer,
                400,
                &["Content-Type: ", &format!("\"{media_type}\""), FORM],
            );
        }
        let long = "x".repeat(5000);
        names(
            &post(publisher.clone(), Some(&long), "").await,
            400,
            &["Content-Type: ", "xxx…\""],
        );
        names(
            &send(None, b"topic=a").await,
            400,
            &["Content-Type: missing", FORM],
        );

        for media_type in [FORM, NDJSON] {
            for coding in ["gzip", "br", "deflate, gzip", "x-\u{e9}"] {
                let client = publisher.clone().header("content-encoding", coding);
                let answer = post(client, Some(media_type), GZIP).await;
                assert_eq!(answer.status, 415, "{coding}");
                assert_eq!(answer.header("accept-encoding"), "identity");
                assert!(
                    answer.text.starts_with("Content-Encoding: "),
                    "{}",
                    answer.text
                );
            }
            let client = publisher.clone().header("content-encoding", "gzip");
            names(
                &post(client, Some(media_type), GZIP).await,
                415,
                &["\"gzip\"", "as it is"],
            );
        }
        let client = publisher.clone().header("content-encoding", "identity");
        assert_eq!(post(client, Some(FORM), "topic=a").await.status, 200);
        names(
            &send(Some(FORM), GZIP).await,
            400,
            &["parameter 1: ", "compressed"],
        );
    }
}

/// A publish with missing, misspelled or wrong fields is answered with what came.
#[tokio::test]
async fn a_publish_names_its_fields() {
    for hub in [
        Hub::start("transport memory"),
        Hub::classic("transport memory"),
    ] {
        let publisher = hub.publisher();
        let send = |body: &'static [u8]| post(publisher.clone(), Some(FORM), body);
        for (body, came) in [
            ("topic[]=a&data=x", r#""topic[]", "data""#),
            ("topic[0]=a", r#""topic[0]""#),
            ("Topic=a", r#""Topic""#),
            ("", "no fields"),
        ] {
            names(
                &send(body.as_bytes()).await,
                400,
                &["topic: missing", came, "without brackets"],
            );
        }
        names(
            &send(b"{\"topic\":\"s3cret\"}").await,
            400,
            &["topic: missing", "unknown field"],
        );
        for (body, words) in [
            ("topic=a&retry=soon", ["retry: ", "\"soon\"", "digits"]),
            ("topic=a&id=a%0Ab", ["id: ", r#"\u{a}"#, "remove it"]),
            (
                "topic=a&id=earliest",
                ["id: ", "\"earliest\"", "another id"],
            ),
            ("topic=a&type=%00", ["type: ", r#"\u{0}"#, "remove it"]),
            (
                "topic=/.well-known/mercure/x",
                ["topic: ", "\"/.well-known/mercure/x\"", "another path"],
            ),
            ("topic=a&data=%FF", ["data: ", "UTF-8", "percent-encode"]),
        ] {
            names(&send(body.as_bytes()).await, 400, &words);
        }
        let large = vec![b'a'; 11 * 1024 * 1024];
        let answer = post(publisher.clone(), Some(FORM), large).await;
        names(&answer, 413, &["11534336 bytes", "max_request_body_size"]);
    }
}

/// The answer to a batch names the fault of each line, and quotes no content.
#[tokio::test]
async fn a_line_of_a_batch_names_what_came() {
    let hub = Hub::start("transport memory");
    let token = Token::new(&hub.audience).grant("publish", &[exact("a")]);
    let client = hub.client().bearer(&hub.sign_as_publisher(&token));
    let secret = "s3cret".repeat(50_000);
    let lines = [
        (
            json!({ "topic[]": "a" }).to_string(),
            r#""topic[]" is not a member"#,
        ),
        (
            json!({ "data": "x" }).to_string(),
            r#"topic: missing (received: "data")"#,
        ),
        (json!(secret).to_string(), "is a string, not a JSON object"),
        (format!("{{\"topic\":\"{secret}"), "wrong at byte"),
        (
            json!({ "topic": "b" }).to_string(),
            "does not grant the action publish on \"b\"",
        ),
        (
            json!({ "topic": "a", "retry": 1.5 }).to_string(),
            "retry: is 1.5",
        ),
    ];
    let body: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
    let answer = post(client, Some(NDJSON), body).await;
    let results: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(results.len(), lines.len());
    for (result, (_, says)) in results.iter().zip(&lines) {
        let error = result["error"].as_str().expect("an error");
        assert!(error.contains(says), "{says:?} in {error:?}");
        assert!(
            !error.contains("s3cret") && error.len() < 600,
            "{error:.600}"
        );
    }
}

/// A subscription with missing, misspelled or wrong parameters is answered with what came.
#[tokio::test]
async fn a_subscription_names_what_came() {
    let modern = Hub::start("anonymous\ntransport memory");
    let classic = Hub::classic("anonymous\ntransport memory");
    let get = async |hub: &Hub, query: &str| hub.client().get(&format!("{HUB_PATH}?{query}")).await;
    names(
        &get(&classic, "").await,
        400,
        &["topic: missing", "there are no fields", "\"topic\""],
    );
    names(
        &get(&classic, "topic[]=a&lastEventID=x").await,
        400,
        &["topic: missing", r#""topic[]", "lastEventID""#],
    );
    names(
        &get(&modern, "topics=a").await,
        400,
        &["match: missing", "\"topics\"", "match_urlpattern"],
    );
    names(
        &get(&modern, "topic=a").await,
        400,
        &["topic: ", "0.x", "\"match\""],
    );
    names(
        &get(&modern, "match=a&matches=b").await,
        400,
        &["matches: ", "match_urlpattern"],
    );
    let long = format!("match{}=b", "x".repeat(5000));
    names(
        &get(&modern, &long).await,
        400,
        &["xxx…: ", "match_urlpattern"],
    );
    names(
        &get(&modern, "match=a%0Ab").await,
        400,
        &["match: ", r#"\u{a}"#],
    );
    names(
        &get(&modern, "%ff=a&match=b").await,
        400,
        &["parameter 1: ", "UTF-8"],
    );
}

/// A subscription in another form, or with another method, is answered with what came.
#[tokio::test]
async fn a_subscription_names_its_form() {
    let modern = Hub::start("anonymous\ntransport memory");
    let query = |name: &str, value: &str| modern.client().header(name, value);
    let asked = target(&[("match", "a")]);
    let answer = query("accept", "application/json").get(&asked).await;
    names(
        &answer,
        406,
        &["Accept: \"application/json\"", "text/event-stream"],
    );
    let answer = query("content-type", "application/json")
        .send("QUERY", HUB_PATH, "{}")
        .await;
    names(&answer, 415, &["Content-Type: \"application/json\"", FORM]);
    let answer = modern.client().send("QUERY", HUB_PATH, "match=a").await;
    names(&answer, 400, &["Content-Type: missing", FORM]);
    let client = query("content-encoding", "gzip").form();
    names(
        &client.send("QUERY", HUB_PATH, GZIP).await,
        415,
        &["Content-Encoding: \"gzip\""],
    );
    names(
        &modern.client().send("DELETE", HUB_PATH, "").await,
        405,
        &["\"DELETE\"", "QUERY"],
    );
}

/// A refused request to the subscription API is answered with what came.
#[tokio::test]
async fn the_subscription_api_names_what_came() {
    let modern = Hub::start("anonymous\nsubscriptions\ntransport memory");
    let reader = modern.subscriber(&[exact("*")]);
    let list = format!("{HUB_PATH}/subscriptions");
    names(
        &reader.get(&format!("{list}/regexp/a")).await,
        400,
        &["match_type: \"regexp\"", "urlpattern"],
    );
    names(
        &reader.get(&format!("{list}/exact/%zz")).await,
        400,
        &["path: ", "\"%zz\"", "exactly once"],
    );
    names(
        &reader.get(&format!("{list}/exact/%ff")).await,
        400,
        &["path: ", "\"%ff\""],
    );
    names(
        &reader.send("POST", &list, "").await,
        405,
        &["\"POST\"", "GET"],
    );
    for path in [
        format!("{HUB_PATH}/"),
        format!("{list}/exact/a/unknown"),
        format!("{list}/a"),
    ] {
        let answer = reader.get(&path).await;
        names(
            &answer,
            404,
            &["404 page not found", &format!("\"{path}\""), HUB_PATH],
        );
    }
    let other = modern.subscriber(&[exact("a")]).get(&list).await;
    names(
        &other,
        403,
        &["path: ", "subscribe", &format!("\"{list}\"")],
    );
    names(
        &modern.client().get(&list).await,
        401,
        &["no token", "Authorization"],
    );
}

/// A wrong presentation of a token is answered with what came instead, and never with the token.
#[tokio::test]
async fn a_presentation_names_its_scheme() {
    let hub = Hub::start("transport memory");
    let token = hub.publisher_token(&[exact("a")]);
    for (value, word) in [
        ("Basic dXNlcjpzM2NyZXQ=", "the scheme Basic"),
        ("Token s3cret", "the scheme Token"),
        (token.as_str(), "\"Bearer <token>\""),
        ("s3cret s3cret", "\"Bearer <token>\""),
        ("Bearer s3cret", "6 bytes"),
        ("Bearer \"s3cret\"", "quotes"),
    ] {
        let answer = hub
            .client()
            .header("authorization", value)
            .publish(&[("topic", "a")])
            .await;
        names(&answer, 400, &["Authorization header", word]);
        assert!(
            !answer.text.contains("s3cret") && !answer.text.contains(&token[..20]),
            "{}",
            answer.text
        );
    }
    let answer = hub.client().bearer(&token).publish(&[("topic", "b")]).await;
    names(&answer, 403, &["topic: ", "publish", "\"b\""]);
    let said = hub.log_to_the_end().await.join("\n");
    assert!(
        !said.contains("s3cret") && !said.contains(&token[..20]),
        "{said}"
    );
}
