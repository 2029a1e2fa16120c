//! The log of a refused preflight ("Web browsers enforce the CORS protocol").

use talaria_conformance::hub::Hub;
use talaria_conformance::{HUB_PATH, PATIENCE};

/// The log says of a refused preflight whether its origin, its method or a header was not allowed.
#[tokio::test]
async fn a_preflight_names_what_it_is_refused_for() {
    let hub = Hub::start("transport memory\ncors_origins https://app.example");
    for (origin, method, header, words) in [
        (
            "https://evil.example",
            "GET",
            "authorization",
            ["origin_not_allowed", "https://evil.example", "cors_origins"],
        ),
        (
            "https://app.example/",
            "GET",
            "x-other",
            ["origin_not_allowed", "https://app.example/", "cors_origins"],
        ),
        (
            "https://app.example",
            "PUT",
            "authorization",
            ["method_not_allowed", "\"PUT\"", "QUERY"],
        ),
        (
            "https://app.example",
            "get",
            "authorization",
            ["method_not_allowed", "\"get\"", "GET"],
        ),
        (
            "https://app.example",
            "GET",
            "authorization,x-requested-with",
            ["header_not_allowed", "x-requested-with", "last-event-id"],
        ),
        (
            "https://app.example",
            "POST",
            "\u{e9}",
            ["header_not_allowed", "\u{e9}", "content-type"],
        ),
    ] {
        let from = hub.log.len();
        let client = hub
            .client()
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", header);
        let answer = client.send("OPTIONS", HUB_PATH, "").await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.header("access-control-allow-origin")
            ),
            (204, "")
        );
        let refusal = |line: &str| line.contains("preflight refused").then(|| line.to_owned());
        let said = hub.log.find(from, PATIENCE, refusal).expect("a line");
        for word in words {
            assert!(said.contains(word), "{word:?} in {said}");
        }
        assert_eq!(
            said.contains("cors_origins"),
            words[0] == "origin_not_allowed",
            "{said}"
        );
    }
}

/// The log says of a preflight to a hub without `cors_origins` that it has none.
#[tokio::test]
async fn a_preflight_without_cors_origins_is_logged() {
    let hub = Hub::start("transport memory");
    let client = hub.client().header("origin", "https://app.example");
    let client = client.header("access-control-request-method", "GET");
    client.send("OPTIONS", HUB_PATH, "").await;
    let refusal = |line: &str| line.contains("no cors_origins").then(|| line.to_owned());
    let said = hub.log.find(0, PATIENCE, refusal).expect("a line");
    assert!(said.contains("https://app.example"), "{said}");
}
