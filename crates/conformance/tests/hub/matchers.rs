//! "Matcher Types".

use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Matcher, exact, pattern};

async fn selected(matchers: &[Matcher], topics: &[&str]) -> Vec<String> {
    let hub = Hub::ordinary();
    let mut all = matchers.to_vec();
    all.push(exact("urn:end"));
    let mut stream = hub.client().subscribe(&all).await;
    let mut publisher = hub.publisher().keep().await;
    for topic in topics {
        publisher
            .publish(&[("topic", topic), ("data", topic)])
            .await;
    }
    publisher
        .publish(&[("topic", "urn:end"), ("data", "the end")])
        .await;
    stream.until("the end").await
}

/// Byte for byte, no resolution, no normalization ("Exact Matching").
#[tokio::test]
async fn exact_is_byte_equality() {
    let topics = [
        "https://example.com/a",
        "https://EXAMPLE.com/a",
        "https://example.com/%61",
        "/a",
        "a",
        "A",
    ];
    assert_eq!(
        selected(&[exact("https://example.com/a")], &topics).await,
        ["https://example.com/a"]
    );
    assert_eq!(selected(&[exact("a")], &topics).await, ["a"]);
    assert_eq!(
        selected(&[exact("https://example.com/:id")], &topics).await,
        [""; 0]
    );
}

/// "The matcher value `*` is reserved as a wildcard that matches every topic […] regardless of
/// matcher type".
#[tokio::test]
async fn the_wildcard_matches_every_topic() {
    let topics = ["https://example.com/a", "anything at all", "urn:x"];
    assert_eq!(selected(&[exact("*")], &topics).await, topics);
    assert_eq!(selected(&[pattern("*")], &topics).await, topics);
}

/// Groups, wildcards, optional groups; the host is canonicalized, the rest is case-sensitive; what
/// is not a URL is not matched ("URL Pattern").
#[tokio::test]
async fn patterns_match_as_the_url_pattern_standard_says() {
    let topics = [
        "https://example.com/books/1",
        "https://EXAMPLE.com/books/2",
        "https://example.com/Books/3",
        "https://example.com/books/4/pages",
        "https://example.com/books/",
        "http://example.com/books/5",
        "https://example.com/books/6?x=1",
        "not a url at all",
    ];
    let books = selected(&[pattern("https://example.com/books/:id")], &topics).await;
    assert_eq!(books[..2], [topics[0], topics[1]]);
    assert!(
        books[2..].iter().all(|topic| topic.ends_with("?x=1")),
        "{books:?}"
    );
    let wild = selected(&[pattern("https://example.com/books/*")], &topics[..6]).await;
    assert_eq!(wild, [topics[0], topics[1], topics[3], topics[4]]);
    let optional = selected(
        &[pattern("https://example.com/books/:id{/pages}?")],
        &topics[..6],
    )
    .await;
    assert_eq!(optional, [topics[0], topics[1], topics[3]]);
    let digits = selected(&[pattern(r"https://example.com/books/(\d+)")], &topics[..6]).await;
    assert_eq!(digits, [topics[0], topics[1]]);
}

/// "When evaluating a relative pattern or a relative topic, the hub MUST use the hub's URL as the
/// base URL."
#[tokio::test]
async fn relative_patterns_match_relative_topics() {
    let topics = ["/books/1", "/pens/1"];
    assert_eq!(
        selected(&[pattern("/books/:id")], &topics).await,
        ["/books/1"]
    );
}
