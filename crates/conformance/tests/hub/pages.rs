//! The pages for people: the debugger and the playground (B-801 to B-811, B-820 to B-822).

use serde_json::{Value, json};
use talaria_conformance::HUB_PATH;
use talaria_conformance::client::Answer;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};

const PAGE: &str = "/.well-known/mercure/debug/";
const OLDER_PAGE: &str = "/.well-known/mercure/ui/";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A playground whose two roles have one key, which is longer than the well-known one.
fn playground(directives: &str) -> (Home, Hub) {
    let home = Home::new();
    let key = "one key for both roles, of 32 bytes or more";
    let variables = [
        ("MERCURE_PUBLISHER_JWT_KEY", key),
        ("MERCURE_SUBSCRIBER_JWT_KEY", key),
    ];
    let directives = format!("playground\ntransport memory\n{directives}");
    let hub = home.start("http://127.0.0.1:0", &directives, &variables);
    (home, hub.expect("it starts"))
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).expect("JSON")
}

/// What the text between these two marks is, each time.
fn between<'t>(text: &'t str, start: &str, end: char) -> Vec<&'t str> {
    let parts = text.split(start).skip(1);
    parts.filter_map(|part| part.split(end).next()).collect()
}

/// The page and each file that it loads are the hub's, under a policy that permits nothing else, and are revalidated
/// by their tag (B-801, B-964).
#[tokio::test]
async fn the_debugger_loads_from_the_hub_alone() {
    for hub in [
        Hub::start("debugger\ntransport memory"),
        Hub::classic("debugger\ntransport memory"),
    ] {
        let page = hub.client().get(PAGE).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(!page.text.contains("<style") && !page.text.contains(" style="));
        let mut files: Vec<String> = [
            " src=\"",
            "<link rel=\"icon\" href=\"",
            "stylesheet\" href=\"",
        ]
        .iter()
        .flat_map(|start| between(&page.text, start, '"'))
        .map(str::to_owned)
        .collect();
        let mut next = 0;
        while let Some(name) = files.get(next).cloned() {
            next += 1;
            let file = hub.client().get(&format!("{PAGE}{name}")).await;
            assert_eq!(file.status, 200, "{name}");
            for imported in between(&file.text, "from \"./", '"') {
                if !files.iter().any(|known| known == imported) {
                    files.push(imported.to_owned());
                }
            }
            assert_eq!(file.header("content-security-policy"), POLICY, "{name}");
            assert_eq!(file.header("cache-control"), "no-cache");
            assert_eq!(file.header("x-content-type-options"), "nosniff");
            assert_eq!(file.header("cross-origin-resource-policy"), "same-origin");
            assert!(!file.text.contains("innerHTML"), "{name}");
        }
        assert!(files.len() > 12, "{files:?}");

        let tag = page.header("etag");
        let length = page.header("content-length");
        let whole = hub.client().http2().get(PAGE).await;
        assert_eq!(whole.text, page.text);
        let head = hub.client().http2().send("HEAD", PAGE, "").await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
        let head = hub.client().send("HEAD", PAGE, "").await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
        assert_eq!(
            (head.header("etag"), head.header("content-length")),
            (tag, length)
        );
        for known in [
            tag.to_owned(),
            format!("\"other\", W/{tag}"),
            "*".to_owned(),
        ] {
            let again = hub.client().header("if-none-match", &known).get(PAGE).await;
            assert_eq!(
                (again.status.as_u16(), again.text.as_str()),
                (304, ""),
                "{known}"
            );
            assert_eq!(again.header("etag"), tag);
        }
        let other = hub
            .client()
            .header("if-none-match", "\"other\"")
            .get(PAGE)
            .await;
        assert_eq!(other.status, 200);
    }
}

/// A page keeps the checks of the hub: the host, the method, the public origins. Without its last slash it redirects,
/// since its files are below it.
#[tokio::test]
async fn pages_are_judged_as_every_request_is() {
    let hub = Hub::start_on(
        "http://:0",
        "debugger\ntransport memory\npublic_urls http://hub.example",
    );
    let client = || hub.client().naming("hub.example");
    let bare = client().get(PAGE.trim_end_matches('/')).await;
    assert_eq!((bare.status.as_u16(), bare.header("location")), (302, PAGE));
    let posted = client().send("POST", PAGE, "").await;
    assert_eq!(
        (posted.status.as_u16(), posted.header("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
    for (host, status) in [("hub.example", 200), ("other.example", 421), ("a b", 400)] {
        let answer = hub.client().naming(host).get(PAGE).await;
        assert_eq!(answer.status, status, "{host}");
    }
    for missing in [
        "nothing",
        "../pages/app.js",
        "playground-token",
        "index.html/",
    ] {
        let answer = client().get(&format!("{PAGE}{missing}")).await;
        assert_eq!(answer.status, 404, "{missing}");
    }
    assert_eq!(client().get(OLDER_PAGE).await.status, 404);
    assert_eq!(client().get("/playground/books").await.status, 404);
    // The page is one thing, and what else the hub answers another.
    let stream = client()
        .send("HEAD", "/.well-known/mercure?match=a", "")
        .await;
    assert_eq!(
        stream.header("content-security-policy"),
        "default-src 'self'"
    );
}

/// The page learns what the hub trusts and accepts, and no secret (B-802).
#[tokio::test]
async fn the_facts_are_those_of_the_hub() {
    let facts = "/.well-known/mercure/debug/config.json";
    let hub = Hub::start("debugger\nsubscriptions\ntransport memory\nmax_token_lifetime 2h");
    let answer = hub.client().get(facts).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("cache-control").contains("no-store"));
    let said = json_of(&answer);
    assert_eq!(said["playground"], false);
    assert_eq!(said["anonymous"], false);
    assert_eq!(said["subscriptions"], true);
    assert_eq!(said["cookieName"], "__Secure-mercure_access_token");
    assert_eq!(said["generations"], json!(["1.0"]));
    assert_eq!(said["maxTokenLifetime"], 7200.0);
    assert!(
        said["audiences"]
            .as_array()
            .unwrap()
            .contains(&json!(hub.audience))
    );
    assert_eq!(said["issuers"][0]["publisher"], json!(["HS256"]));
    assert_eq!(said["resources"], Value::Null);

    let hub = Hub::classic("playground\ntransport memory");
    let said = json_of(&hub.client().get(facts).await);
    assert_eq!(
        (&said["playground"], &said["anonymous"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(said["cookieName"], "mercure_access_token");
    assert_eq!(
        (&said["rule"], &said["generations"]),
        (&json!("classic"), &json!(["1.0", "0.x"]))
    );
    assert_eq!(said["resources"], "/playground/");
    // What tells the trust of a hub is for its own pages, whatever `cors_origins` says.
    let elsewhere = hub.client().header("origin", "https://other.example");
    for path in [facts, "/.well-known/mercure/debug/playground-token", PAGE] {
        let answer = elsewhere.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

/// The token of a playground reads everything, publishes where the key of publishers is the same, and is another one
/// each time (B-803, B-1028).
#[tokio::test]
async fn the_token_of_a_playground_works() {
    let path = "/.well-known/mercure/debug/playground-token";
    let (_home, hub) = playground("");
    let minted = hub.client().get(path).await;
    assert_eq!(minted.header("content-type"), "text/plain; charset=utf-8");
    assert!(minted.header("cache-control").contains("no-store"));
    assert_ne!(minted.text, hub.client().get(path).await.text);
    let client = hub.client().bearer(&minted.text);
    let mut stream = client.subscribe(&[exact("a")]).await;
    client
        .published(&[("topic", "a"), ("data", "private"), ("private", "on")])
        .await;
    assert_eq!(stream.data().await, "private");
    let list = client.get("/.well-known/mercure/subscriptions").await;
    let listed = json_of(&list);
    assert_eq!(
        listed["subscriptions"][0]["payload"],
        json!({ "playground": true })
    );

    // Two keys: the token is that of a subscriber.
    let hub = Hub::classic("playground\ntransport memory");
    let token = hub.client().get(path).await.text;
    let client = hub.client().bearer(&token);
    assert_eq!(client.publish(&[("topic", "a")]).await.status, 401);
    drop(client.subscribe(&[exact("a")]).await);

    // It lives no longer than the hub allows.
    let (_home, hub) = playground("max_token_lifetime 1h");
    let token = hub.client().get(path).await.text;
    hub.client()
        .bearer(&token)
        .published(&[("topic", "a")])
        .await;
}

/// A resource of the playground is text, whatever its content, and leads to the hub (B-811, B-1028).
#[tokio::test]
async fn resources_lead_to_the_hub() {
    let (_home, hub) = playground("");
    for (name, media_type) in [
        ("books/1.jsonld", "application/ld+json"),
        ("a.json", "application/json"),
        ("a.html", "text/plain; charset=utf-8"),
        ("a", "text/plain; charset=utf-8"),
    ] {
        let target = format!("/playground/{name}?body=%3Cb%3E&jwt=abc.def");
        let answer = hub.client().get(&target).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "<b>"));
        assert_eq!(answer.header("content-type"), media_type);
        assert!(answer.header("content-security-policy").contains("sandbox"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let links: Vec<_> = answer.headers.get_all("link").iter().collect();
        assert_eq!(
            links[0],
            &format!("<{HUB_PATH}>; rel=\"mercure\"; cookie-name=\"mercure_access_token\"")
        );
        assert_eq!(links[1], &format!("<{target}>; rel=\"self\""));
        let cookie =
            "mercure_access_token=abc.def; Path=/.well-known/mercure; SameSite=Strict; HttpOnly";
        assert_eq!(answer.header("set-cookie"), cookie);
    }
    let without = hub.client().get("/playground/a").await;
    assert!(
        without.header("set-cookie").ends_with("; Max-Age=0"),
        "{without:?}"
    );
    for forged in ["a%3B%20Domain%3Dx", "a%0d%0aX:%20y", "%22"] {
        let answer = hub
            .client()
            .get(&format!("/playground/a?jwt={forged}"))
            .await;
        assert_eq!(answer.status, 400, "{forged}");
    }
    let root = hub.client().get("/").await;
    assert_eq!((root.status.as_u16(), root.header("location")), (302, PAGE));
}

/// Files of 0.x have the page elsewhere, and `demo` resources below it; with both, the older place redirects (B-820
/// to B-822).
#[tokio::test]
async fn the_pages_of_older_files() {
    let page = |text: &str| text.contains("Talaria");
    let hub = Hub::classic("demo\nanonymous\ntransport memory");
    assert!(page(&hub.client().get(OLDER_PAGE).await.text));
    assert_eq!(
        hub.client()
            .get(&format!("{OLDER_PAGE}app.js"))
            .await
            .status,
        200
    );
    let resource = hub
        .client()
        .get(&format!("{OLDER_PAGE}demo/books/1.jsonld?body=x"))
        .await;
    assert_eq!(resource.text, "x");
    let facts = json_of(&hub.client().get(&format!("{OLDER_PAGE}config.json")).await);
    assert_eq!(facts["resources"], format!("{OLDER_PAGE}demo/"));
    for missing in [format!("{OLDER_PAGE}playground-token"), PAGE.to_owned()] {
        assert_eq!(hub.client().get(&missing).await.status, 404, "{missing}");
    }
    assert_eq!(hub.client().get("/").await.status, 200);

    let hub = Hub::classic("ui\nanonymous\ntransport memory");
    assert!(page(&hub.client().get(OLDER_PAGE).await.text));
    let resource = format!("{OLDER_PAGE}demo/books");
    assert_eq!(hub.client().get(&resource).await.status, 404);

    let hub = Hub::classic("ui\ndemo\ndebugger\nanonymous\ntransport memory");
    let older = hub.client().get(OLDER_PAGE).await;
    assert_eq!(
        (older.status.as_u16(), older.header("location")),
        (302, PAGE)
    );
    assert_eq!(hub.client().get(&resource).await.status, 200);
}

/// Without a directive there is no page, and the paths are what they were: the hub's 404, and the site's.
#[tokio::test]
async fn without_a_directive_there_is_no_page() {
    for hub in [
        Hub::start("anonymous\ntransport memory"),
        Hub::classic("anonymous\ntransport memory"),
    ] {
        for path in [
            PAGE,
            OLDER_PAGE,
            "/playground/a",
            "/.well-known/mercure/debug/config.json",
        ] {
            assert_eq!(hub.client().get(path).await.status, 404, "{path}");
        }
        assert_eq!(hub.client().get("/").await.status, 200);
    }
}

/// A page is there for every visitor, even one whose token the hub refuses.
#[tokio::test]
async fn a_page_needs_no_token() {
    let hub = Hub::start("debugger\ntransport memory");
    let expired = Token::new(&hub.audience).claim("exp", json!(1));
    let client = hub.client().bearer(&hub.sign_as_subscriber(&expired));
    assert_eq!(client.get(PAGE).await.status, 200);
    assert_eq!(client.get("/.well-known/mercure?match=a").await.status, 401);
}
