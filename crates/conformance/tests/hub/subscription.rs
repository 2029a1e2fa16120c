//! Methods, parameters and the checks on them ("Subscription").

use talaria_conformance::client::{finish, form, target};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{exact, pattern};
use talaria_conformance::{HUB_PATH, raw};

const FORM: &str = "application/x-www-form-urlencoded";

/// "Hubs MUST support the GET HTTP method", and the union of `match`, `match_exact`,
/// `match_urlpattern`.
#[tokio::test]
async fn get_opens_a_stream_of_what_any_matcher_matches() {
    let hub = Hub::ordinary();
    let mut stream = hub
        .client()
        .subscribe_with(&[
            ("match", "https://example.com/foo"),
            ("match_exact", "bar"),
            ("match_urlpattern", "https://example.com/bar/:id"),
            ("unrelated", "ignored"),
        ])
        .await;
    let publisher = hub.publisher();
    for (topic, data) in [
        ("https://example.com/foo", "1"),
        ("https://example.com/foo/", "not this"),
        ("bar", "2"),
        ("https://example.com/bar", "nor this"),
        ("https://example.com/bar/7", "3"),
    ] {
        publisher
            .published(&[("topic", topic), ("data", data)])
            .await;
    }
    assert_eq!(stream.several().await, ["1", "2", "3"]);
}

/// `HEAD` is checked like `GET`, and then finished (B-359).
#[tokio::test]
async fn head_is_answered_and_not_held() {
    let hub = Hub::ordinary();
    let answer = hub
        .client()
        .send("HEAD", &target(&[("match", "a")]), "")
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let answer = hub.client().send("HEAD", HUB_PATH, "").await;
    assert_eq!(answer.status, 400);
}

/// "The hub MUST then take the union of the two: every name/value pair from the query component
/// and every pair from the body".
#[tokio::test]
async fn query_unites_body_and_query_component() {
    let hub = Hub::ordinary();
    let in_body = [
        ("match", "body"),
        ("match_urlpattern", "https://example.com/:any"),
    ];
    let mut stream = hub.client().query(&[("match", "query")], &in_body).await;
    let publisher = hub.publisher();
    for topic in ["query", "neither", "body", "https://example.com/x"] {
        publisher
            .published(&[("topic", topic), ("data", topic)])
            .await;
    }
    let expected = ["query", "body", "https://example.com/x"];
    assert_eq!(stream.several().await, expected);
}

/// A `QUERY` without a readable media type gets 400, with another one 415 (B-1012).
#[tokio::test]
async fn query_needs_the_form_media_type() {
    let hub = Hub::ordinary();
    let body = form(&[("match", "a")]);
    let client = hub.client();
    assert_eq!(
        client.send("QUERY", HUB_PATH, body.clone()).await.status,
        400
    );
    let nonsense = client.clone().header("content-type", "nonsense");
    assert_eq!(
        nonsense.send("QUERY", HUB_PATH, body.clone()).await.status,
        400
    );
    let json = client.clone().header("content-type", "application/json");
    let answer = json.send("QUERY", HUB_PATH, "{}").await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.header("accept-query"), FORM, "B-1014");
    let charset = client.header(
        "content-type",
        "application/x-www-form-urlencoded; charset=UTF-8",
    );
    let (answer, _) = charset.open("QUERY", HUB_PATH, body.into()).await;
    assert_eq!(answer.status(), 200);
}

/// "the reserved-namespace rule and value constraints […] apply identically to the body-decoded
/// names and values"; the body is bounded as a publish is (B-331).
#[tokio::test]
async fn a_query_body_is_checked_like_a_query_component() {
    let hub = Hub::ordinary();
    let client = hub.client().form();
    for body in [
        "matches=a&match=a",
        "match=%FF",
        "match=a%0Ab",
        "match_urlpattern=https://a/(",
        "",
    ] {
        assert_eq!(
            client.send("QUERY", HUB_PATH, body).await.status,
            400,
            "{body:?}"
        );
    }
    let large = form(&[("match", "a"), ("ignored", &"x".repeat(1024 * 1024))]);
    assert_eq!(client.send("QUERY", HUB_PATH, large).await.status, 413);
}

/// An `Accept` that excludes event streams gets 406; without one, or with an unreadable one, a
/// client has no preference (B-1013).
#[tokio::test]
async fn accept_is_honoured() {
    let hub = Hub::ordinary();
    for (accept, status) in [
        ("text/event-stream", 200),
        ("*/*", 200),
        ("text/*;q=0.1", 200),
        ("application/json, text/event-stream;q=0.5", 200),
        ("]unreadable[", 200),
        ("application/json", 406),
        ("text/html, application/json", 406),
        ("text/event-stream;q=0, */*", 406),
        ("text/*;q=0, */*;q=1", 406),
    ] {
        let client = hub.client().header("accept", accept);
        let (answer, _) = client
            .open("GET", &target(&[("match", "a")]), "".into())
            .await;
        assert_eq!(answer.status(), status, "{accept}");
    }
}

/// `Accept-Query` on subscription answers, 405 and 415 (B-1014).
#[tokio::test]
async fn query_is_advertised() {
    let hub = Hub::ordinary();
    let stream = hub.client().subscribe(&[exact("a")]).await;
    assert_eq!(stream.header("accept-query"), FORM);
    assert_eq!(
        hub.client()
            .send("DELETE", HUB_PATH, "")
            .await
            .header("accept-query"),
        FORM
    );
}

/// "A request using a parameter name in the reserved `match` namespace […] MUST be rejected with
/// a 400", and the constraints on values.
#[tokio::test]
async fn matchers_that_are_wrong_are_refused() {
    let hub = Hub::ordinary();
    let long = "a".repeat(4097);
    for parameters in [
        vec![],
        vec![("topic", "a")],
        vec![("matches", "a"), ("match", "a")],
        vec![("Match", "a"), ("match", "a")],
        vec![("MATCH_URLPATTERN", "a"), ("match", "a")],
        vec![("match_", "a"), ("match", "a")],
        vec![("match_regexp", "a"), ("match", "a")],
        vec![("match", "a\nb")],
        vec![("match", "a\u{7f}b")],
        vec![("match", "a\u{85}b")],
        vec![("match", "a\u{200b}b")],
        vec![("match_urlpattern", "https://example.com/:")],
        vec![("match_urlpattern", "https://example.com/(")],
        vec![("match", long.as_str())],
        vec![("match_urlpattern", long.as_str())],
    ] {
        let answer = hub.client().get(&target(&parameters)).await;
        let first = parameters.first();
        assert_eq!(answer.status, 400, "{first:?}");
        assert_eq!(
            answer.header("www-authenticate"),
            "",
            "no challenge: {first:?}"
        );
        assert!(!answer.text.trim().is_empty(), "a reason: {first:?}");
        assert_eq!(
            answer.header("content-type"),
            "text/plain; charset=utf-8",
            "B-326"
        );
    }
    let answer = hub.client().get(&format!("{HUB_PATH}?match=%FF")).await;
    assert_eq!(answer.status, 400, "a value must be valid UTF-8");
}

/// "hubs SHOULD apply implementation-defined maximums": 256 matchers, 4,096 bytes a pattern.
#[tokio::test]
async fn the_limits_themselves_are_within() {
    let hub = Hub::ordinary();
    let at_most: Vec<_> = (0..256)
        .map(|number| exact(format!("topic {number}")))
        .collect();
    let mut stream = hub.client().subscribe(&at_most).await;
    hub.publisher()
        .published(&[("topic", "topic 255"), ("data", "last")])
        .await;
    assert_eq!(stream.data().await, "last");
    let more: Vec<_> = (0..257).map(|_| ("match", "a")).collect();
    assert_eq!(hub.client().get(&target(&more)).await.status, 400);
    let (in_query, in_body) = more.split_at(100);
    let client = hub.client().form();
    assert_eq!(
        client
            .send("QUERY", &target(in_query), form(in_body))
            .await
            .status,
        400
    );

    let longest = "a".repeat(4096);
    let mut stream = hub.client().subscribe(&[exact(&longest)]).await;
    hub.publisher()
        .published(&[("topic", &longest), ("data", "long")])
        .await;
    assert_eq!(stream.data().await, "long");
    hub.client()
        .subscribe(&[pattern(format!("https://example.com/{}", "b".repeat(4000)))])
        .await;
}

/// "MUST be parsed […] using the `application/x-www-form-urlencoded` parsing algorithm": a raw `;`
/// does not separate, a stray `%` is literal, `+` is a space.
#[tokio::test]
async fn the_query_component_is_parsed_as_the_url_standard_says() {
    let hub = Hub::ordinary();
    let (answer, local) = hub
        .client()
        .open(
            "GET",
            &format!("{HUB_PATH}?match=a;b&match=100%&match=c+d"),
            "".into(),
        )
        .await;
    assert_eq!(answer.status(), 200);
    let mut stream = talaria_conformance::stream::EventStream::new(answer, local);
    for topic in ["a;b", "a", "100%", "c d"] {
        hub.publisher()
            .published(&[("topic", topic), ("data", topic)])
            .await;
    }
    assert_eq!(stream.several().await, ["a;b", "100%", "c d"]);
}

/// The method is checked first, then `Host`, and everything else after that.
#[tokio::test]
async fn methods_and_host_come_first() {
    let hub = Hub::ordinary();
    let answer = hub.client().send("DELETE", HUB_PATH, "").await;
    assert_eq!(answer.status, 405);
    let allow: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
    for method in ["GET", "HEAD", "QUERY", "POST", "OPTIONS"] {
        assert!(allow.contains(&method), "{method} is missing in {allow:?}");
    }
    for method in ["GET", "POST"] {
        let none = raw::head(
            hub.address,
            &format!("{method} {HUB_PATH}?match=a HTTP/1.1\r\n\r\n"),
        )
        .await;
        assert_eq!(raw::status(&none), 400, "{method} without Host");
        let host = &hub.host;
        let two =
            format!("{method} {HUB_PATH}?match=a HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n");
        assert_eq!(
            raw::status(&raw::head(hub.address, &two).await),
            400,
            "{method} with two Hosts"
        );
    }
}

/// Without `anonymous` the token comes before the parameters (B-334 and B-339).
#[tokio::test]
async fn a_token_may_be_demanded() {
    let hub = Hub::start("transport memory");
    let (answer, _) = hub.client().open("GET", HUB_PATH, "".into()).await;
    let answer = finish(answer).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer") && !challenge.contains("error="),
        "{challenge}"
    );
    let unread = format!(
        "QUERY {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nContent-Length: 9000\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        hub.host
    );
    let head = raw::head(hub.address, &unread).await;
    assert_eq!(
        raw::status(&head),
        401,
        "a body is read only after the token is verified"
    );
    let client = hub.subscriber(&[]);
    assert_eq!(client.get(HUB_PATH).await.status, 400);
    client.subscribe(&[exact("a")]).await;
}
