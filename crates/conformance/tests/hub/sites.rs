//! Sites as the existing hub's files write them: the hub among other directives (B-080 to B-088, B-284, B-285).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{ISSUER, Token, exact};
use talaria_conformance::{HUB_PATH, PATIENCE};

const HUB: &str =
    "mercure {\n transport memory\n anonymous\n publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}\n }";

/// A hub whose site has these lines around its `mercure` block.
fn site(lines: &str) -> Hub {
    let home = Home::new();
    let text = format!("http://127.0.0.1:0 {{\n {lines}\n {HUB}\n}}\n");
    home.configure(text);
    home.start("ignored", "", &[]).expect("it starts")
}

/// A publisher of 0.x publishes, and an anonymous subscriber is told.
async fn round_trip(hub: &Hub, said: &str) {
    let topic = ("topic", "https://example.com/1");
    let mut stream = hub.client().subscribe_with(&[topic]).await;
    let token = Token::older(json!({ "publish": ["*"] }));
    let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
    let answer = publisher.publish(&[topic, ("data", said)]).await;
    assert_eq!(answer.status, 200, "{said}: {}", answer.text);
    assert_eq!(stream.data().await, said);
}

/// Fixed answers, redirects and fields, each for its paths; the hub is asked before fixed answers, and what
/// no directive answers is 404.
#[tokio::test]
async fn directives_answer_beside_the_hub() {
    let hub = site(
        "header /page Content-Type \"text/html; charset=utf-8\"
        header {
            X-Site yes
            -X-Content-Type-Options
            >Cache-Control no-store
        }
        respond /page `<p>{host} {method}</p>` 201
        respond /json `{\"a\": 1}`
        respond /gone 410
        redir /old /new?from={path} permanent
        redir /there https://{hostport}{uri}
        handle /exclusive* {
            respond /exclusive/a first
            respond second
        }
        handle {
            respond /other other
        }",
    );
    let get = |path: &'static str| {
        let client = hub.client();
        async move { client.get(path).await }
    };
    let page = get("/page").await;
    assert_eq!(
        (page.status.as_u16(), page.text.as_str()),
        (201, "<p>127.0.0.1 GET</p>")
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-site"), "yes");
    assert_eq!(page.header("x-content-type-options"), "");
    assert_eq!(page.header("cache-control"), "no-store");
    let json = get("/json").await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!(get("/gone").await.status, 410);
    let moved = get("/old").await;
    assert_eq!(
        (moved.status.as_u16(), moved.header("location")),
        (301, "/new?from=/old")
    );
    let there = get("/there").await;
    assert_eq!(there.status, 302);
    assert!(there.header("location").ends_with("/there"), "{there:?}");
    assert_eq!(get("/exclusive/a").await.text, "first");
    assert_eq!(get("/exclusive/b").await.text, "second");
    assert_eq!(get("/other").await.text, "other");
    assert_eq!(get("/nothing").await.status, 404);
    round_trip(&hub, "beside").await;
    let stream = hub.client().get(HUB_PATH).await;
    assert_eq!(
        stream.header("x-site"),
        "yes",
        "the hub's answers too: {stream:?}"
    );
}

/// The hub can be mounted elsewhere by taking a prefix off (B-088).
#[tokio::test]
async fn a_prefix_is_taken_off() {
    let home = Home::new();
    let text = format!(
        "http://127.0.0.1:0 {{\n handle_path /hub/* {{\n {HUB}\n }}\n handle {{\n rewrite /two/* /hub{{path}}\n uri strip_prefix /hub\n respond {{path}}\n }}\n}}\n"
    );
    home.configure(text);
    let hub = home.start("ignored", "", &[]).expect("it starts");
    let stream = hub.client().get(&format!("/hub{HUB_PATH}")).await;
    assert_eq!(
        stream.status, 400,
        "a subscription without topics: {stream:?}"
    );
    assert!(stream.text.contains("topic"), "{}", stream.text);
    assert_eq!(hub.client().get(HUB_PATH).await.text, HUB_PATH);
    assert_eq!(hub.client().get("/two/x").await.text, "/two/x");
}

/// Each request has a line in the access log, without its token; `log_skip` leaves requests out (B-082).
#[tokio::test]
async fn requests_are_logged_without_tokens() {
    let hub = site("log\n log_skip /quiet\n respond /quiet 200\n respond /loud 200");
    hub.client().get("/quiet").await;
    hub.client()
        .get("/loud?authorization=eyJ.secret.x&a=b")
        .await;
    let logged = |line: &str| line.contains("/loud").then(|| line.to_owned());
    let line = hub.log.find(0, PATIENCE, logged).expect("a line");
    assert!(
        line.contains("authorization=REDACTED&a=b") && !line.contains("secret"),
        "{line}"
    );
    assert!(
        line.contains("status=200") && line.contains("method=GET"),
        "{line}"
    );
    let lines = hub.log.since(0);
    assert!(
        !lines.iter().any(|line| line.contains("/quiet")),
        "{lines:?}"
    );
}

/// A site serves an application, its files and the hub (B-284): what is a file is sent, what lies outside of the
/// folder or is hidden is not, and the rest is the application's.
#[tokio::test]
async fn a_site_holds_an_application_its_files_and_the_hub() {
    let application = site(
        "header /api/* X-Application {header.X-Forwarded-For}\n respond /api/* \"{method} {host} {header.X-Forwarded-Proto}\"",
    );
    let home = Home::new();
    let folder = home.path().join("public");
    std::fs::create_dir_all(folder.join("docs")).expect("a folder");
    for (name, text) in [
        ("index.html", "<p>front</p>"),
        ("docs/index.html", "<p>docs</p>"),
        (".env", "SECRET=1"),
    ] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    std::fs::write(home.path().join("outside.txt"), "outside").expect("a file");
    let text = format!(
        "http://127.0.0.1:0 {{\n root public\n respond /secret* 403\n reverse_proxy /api/* {} {{\n header_up X-Forwarded-Proto https\n }}\n handle /all/* {{\n root .\n uri strip_prefix /all\n file_server\n }}\n file_server\n {HUB}\n}}\n",
        application.address
    );
    home.configure(text);
    let hub = home.start("ignored", "", &[]).expect("it starts");
    round_trip(&hub, "with an application").await;
    let front = hub.client().get("/").await;
    assert_eq!(
        (front.status.as_u16(), front.text.as_str()),
        (200, "<p>front</p>")
    );
    assert!(
        front.header("content-type").starts_with("text/html"),
        "{front:?}"
    );
    assert!(hub.client().get("/docs").await.status.is_redirection());
    assert_eq!(hub.client().get("/docs/").await.text, "<p>docs</p>");
    for hidden in [
        "/.env",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/none",
        "/all/Caddyfile",
        "/all/public/.env",
    ] {
        assert_eq!(hub.client().get(hidden).await.status, 404, "{hidden}");
    }
    assert_eq!(hub.client().get("/all/outside.txt").await.text, "outside");
    for spelt in ["/secret", "/%73ecret/x", "//secret", "/a/../secret"] {
        assert_eq!(hub.client().get(spelt).await.status, 403, "{spelt}");
    }
    let proxied = hub
        .client()
        .header("X-Forwarded-For", "192.0.2.1")
        .get("/api/x")
        .await;
    assert_eq!(
        (proxied.status.as_u16(), proxied.text.as_str()),
        (200, "GET 127.0.0.1 https")
    );
    assert_eq!(
        proxied.header("x-application"),
        "127.0.0.1",
        "what the client claims is replaced"
    );
    application.kill();
    assert_eq!(hub.client().get("/api/x").await.status, 502);
}

/// A hub behind the proxy of another: updates arrive as they are published.
#[tokio::test]
async fn a_hub_is_reached_through_a_proxy() {
    let behind = Hub::classic("anonymous\ntransport memory");
    let home = Home::new();
    let text = format!(
        "http://127.0.0.1:0 {{\n handle /own {{\n {HUB}\n }}\n handle {{\n reverse_proxy {}\n }}\n}}\n",
        behind.address
    );
    home.configure(text);
    let hub = home.start("ignored", "", &[]).expect("it starts");
    for number in 0..3 {
        round_trip(&hub, &format!("through a proxy, {number}")).await;
    }
}

/// `encode` compresses long texts for clients that ask for it, and never a stream (B-1025).
#[tokio::test]
async fn answers_are_compressed_and_streams_are_not() {
    let long = "long ".repeat(200);
    let hub = site(&format!(
        "encode zstd gzip\n respond /long `{long}`\n respond /short short"
    ));
    let asking = || hub.client().header("Accept-Encoding", "gzip");
    let (long, _) = asking().open("GET", "/long", "".into()).await;
    assert_eq!(long.headers()["content-encoding"], "gzip");
    assert_eq!(long.headers()["vary"], "accept-encoding");
    assert_eq!(asking().get("/short").await.header("content-encoding"), "");
    assert_eq!(
        hub.client().get("/long").await.header("content-encoding"),
        ""
    );
    let stream = asking().subscribe_with(&[("topic", "a")]).await;
    assert_eq!(stream.header("content-encoding"), "");
}

/// What one tag of the existing hub's repository has at a path; `None` if the tag has no such file.
fn official(repository: &Path, tag: &str, name: &str) -> Option<String> {
    let shown = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["show", &format!("{tag}:{name}")])
        .output()
        .expect("git runs");
    shown
        .status
        .success()
        .then(|| String::from_utf8_lossy(&shown.stdout).into_owned())
}

/// The official files of each version since 0.11 start unchanged, and serve a round trip and their pages
/// (B-080 to B-093). They are read from the repository that `MERCURE_REPOSITORY` names.
#[tokio::test]
async fn the_official_files_start_unchanged() {
    let Some(repository) = std::env::var_os("MERCURE_REPOSITORY") else {
        eprintln!("MERCURE_REPOSITORY is not set, so the official files are not tried");
        return;
    };
    let repository = Path::new(&repository);
    let tags = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["tag", "--list", "v*"])
        .output();
    let tags = String::from_utf8(tags.expect("git runs").stdout).expect("text");
    let mut tried = BTreeSet::new();
    for tag in tags
        .lines()
        .filter(|tag| !tag.contains("beta") && !tag.contains("-rc"))
    {
        for name in ["Caddyfile", "Caddyfile.dev", "dev.Caddyfile"] {
            let Some(text) = official(repository, tag, name) else {
                continue;
            };
            if !text.contains("mercure") || !tried.insert(text.clone()) {
                continue;
            }
            let home = Home::new();
            home.configure(&text);
            let variables = [("MERCURE_TRUSTED_ISSUERS", ISSUER)];
            let hub = home.start("http://127.0.0.1:0", "anonymous", &variables);
            let hub = hub.unwrap_or_else(|said| panic!("{tag}:{name}: {said}"));
            if text.contains("issuer ") {
                let mut stream = hub.client().subscribe(&[exact("a")]).await;
                hub.publisher()
                    .published(&[("topic", "a"), ("data", tag)])
                    .await;
                assert_eq!(stream.data().await, tag);
            } else {
                round_trip(&hub, tag).await;
            }
            let missing = hub.client().get("/nothing").await;
            assert_eq!(
                (missing.status.as_u16(), missing.text.as_str()),
                (404, "Not Found"),
                "{tag}:{name}"
            );
            let front = hub.client().get("/").await;
            let to = front.header("location");
            assert!(
                front.status == 200
                    || front.status == 302 && to == "/.well-known/mercure/ui/"
                    || front.status == 404,
                "{tag}:{name}: {front:?}"
            );
        }
    }
    assert!(tried.len() >= 15, "{} files", tried.len());
}
