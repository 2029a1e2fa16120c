//! Directives around the hub that answer for it, refuse for it, or change what reaches it (B-284).

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::Token;
use talaria_conformance::{HUB_PATH, PATIENCE, raw};

const HUB: &str =
    "mercure {\n transport memory\n anonymous\n publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}\n }";
/// bcrypt's hash of `a password`, of the least cost.
const HASH: &str = "$2b$04$jx1YFxmxmYHbLShBUo9/Z.Jb4YCkZF7icZKpy3X20oU9paZ8Uqqmi";

/// A hub whose site has these lines around its `mercure` block, in a folder with these files.
fn site_with(home: &Home, lines: &str, files: &[(&str, &str)]) -> Hub {
    for (name, text) in files {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let text = format!("http://127.0.0.1:0 {{\n {lines}\n {HUB}\n}}\n");
    home.configure(text);
    home.start("ignored", "", &[]).expect("it starts")
}

fn site(lines: &str) -> Hub {
    site_with(&Home::new(), lines, &[])
}

/// Errors of directives, files and other servers have the pages of the site, with their status.
#[tokio::test]
async fn errors_have_pages() {
    let hub = site_with(
        &Home::new(),
        "root * public
        error /secret* \"not for you\" 403
        basic_auth /users* {
            ann $2b$04$jx1YFxmxmYHbLShBUo9/Z.Jb4YCkZF7icZKpy3X20oU9paZ8Uqqmi
        }
        reverse_proxy /api/* 127.0.0.1:1
        file_server
        handle_errors 404 {
            rewrite * /missing.html
            file_server
        }
        handle_errors 5xx {
            respond \"no answer: {err.status_code}\"
        }
        handle_errors {
            header X-Status {err.status_code}
            respond \"{err.status_text}: {err.message}\"
        }",
        &[
            ("public/index.html", "<p>front"),
            ("public/missing.html", "<p>missing"),
        ],
    );
    assert_eq!(hub.client().get("/").await.text, "<p>front");
    for method in ["GET", "POST"] {
        let missing = hub.client().send(method, "/nowhere", "").await;
        assert_eq!(
            (missing.status.as_u16(), missing.text.as_str()),
            (404, "<p>missing")
        );
        assert!(missing.header("content-type").starts_with("text/html"));
    }
    // A part, or what the client has already, is not the page.
    let asked = hub
        .client()
        .header("range", "bytes=0-1")
        .header("if-none-match", "*");
    assert_eq!(asked.get("/nowhere").await.text, "<p>missing");
    let secret = hub.client().get("/secret/x").await;
    assert_eq!(
        (secret.status.as_u16(), secret.text.as_str()),
        (403, "Forbidden: not for you")
    );
    assert_eq!(secret.header("x-status"), "403");
    let unreached = hub.client().get("/api/x").await;
    assert_eq!(
        (unreached.status.as_u16(), unreached.text.as_str()),
        (502, "no answer: 502")
    );
    let unknown = hub.client().get("/users").await;
    assert_eq!(unknown.status, 401);
    assert!(
        unknown
            .header("www-authenticate")
            .starts_with("Basic realm=")
    );
    // The hub's own refusals stay its own.
    let refused = hub.client().send("POST", HUB_PATH, "").await;
    assert_eq!(refused.header("x-status"), "", "{refused:?}");
}

/// Only the users with their passwords pass, and a flood of wrong ones keeps no client from the hub (RFC 7617).
#[tokio::test]
async fn users_have_passwords() {
    let hub = site(&format!(
        "basic_auth /admin/* {{\n ann {HASH}\n }}\n respond /admin/* \"welcome, {{http.auth.user.id}}\"\n respond open"
    ));
    let with = |credentials: &str| {
        let encoded = STANDARD.encode(credentials);
        hub.client()
            .header("authorization", &format!("Basic {encoded}"))
    };
    assert_eq!(hub.client().get("/x").await.text, "open");
    for spelt in [
        "/admin/x",
        "/ADMIN/x",
        "//admin/x",
        "/%61dmin/x",
        "/a/../admin/x",
    ] {
        let refused = hub.client().get(spelt).await;
        assert_eq!(refused.status, 401, "{spelt}");
        assert_eq!(
            refused.header("www-authenticate"),
            "Basic realm=\"restricted\", charset=\"UTF-8\""
        );
        assert_eq!(with("ann:a password").get(spelt).await.text, "welcome, ann");
    }
    let wrong = (0..40).map(|number| {
        let client = with(&format!("ann:{number}"));
        tokio::spawn(async move { client.get("/admin/x").await.status.as_u16() })
    });
    let wrong: Vec<_> = wrong.collect();
    assert_eq!(with("ann:a password").get("/admin/x").await.status, 200);
    assert_eq!(hub.client().get("/healthz").await.status, 200);
    for status in wrong {
        let status = status.await.expect("an answer");
        assert!([401, 503].contains(&status), "{status}");
    }
    let stream = hub.client().subscribe_with(&[("topic", "a")]).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
}

/// A body that is longer than `request_body` allows is refused, whether it says so or not, also by the hub.
#[tokio::test]
async fn bodies_are_bounded() {
    let behind = site("respond received");
    let hub = site(&format!(
        "request_body {{\n max_size 1kB\n }}\n reverse_proxy /app* {}",
        behind.address
    ));
    for (length, status) in [(1000, 200), (1001, 413)] {
        let answer = hub.client().send("POST", "/app", vec![b'a'; length]).await;
        assert_eq!(answer.status, status, "{length} bytes");
    }
    let token = Token::older(json!({ "publish": ["*"] }));
    let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
    let long = "a".repeat(2000);
    let answer = publisher.publish(&[("topic", "a"), ("data", &long)]).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    let chunk = format!("7d0\r\n{}\r\n0\r\n\r\n", "a".repeat(2000));
    let request = format!(
        "POST /app HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n{chunk}",
        hub.host
    );
    let head = raw::head(hub.address, request).await;
    assert_eq!(raw::status(&head), 413, "{head}");
}

/// `abort` ends the connection without an answer.
#[tokio::test]
async fn a_connection_is_aborted() {
    let hub = site("@robot header User-Agent *robot*\n abort @robot\n respond here");
    assert_eq!(hub.client().get("/").await.text, "here");
    let robot = hub.client().header("user-agent", "a robot");
    assert!(robot.try_send("GET", "/", "").await.is_none());
    assert!(robot.http2().try_send("GET", "/", "").await.is_none());
}

/// What an application gets: the upstream's name where it is asked for, the real client, another method and path.
#[tokio::test]
async fn requests_are_changed_for_an_application() {
    let application = site("respond \"{method} {hostport} {uri} {header.X-Release}\"");
    let address = application.address;
    let hub = site(&format!(
        "vars release 4.2
        @book path_regexp book ^/books/([^/]+)/(?P<page>.*)$
        rewrite @book /show?book={{re.book.1}}&page={{re.book.page}}
        method /reset PUT
        reverse_proxy {address} {{
            header_up Host {{upstream_hostport}}
            header_up X-Release {{vars.release}}
        }}"
    ));
    let get = async |path: &str| hub.client().get(path).await.text;
    assert_eq!(get("/x").await, format!("GET {address} /x 4.2"));
    assert_eq!(get("/reset").await, format!("PUT {address} /reset 4.2"));
    assert_eq!(
        get("/books/a%20b%26c/7").await,
        format!("GET {address} /show?book=a%20b%26c&page=7 4.2"),
    );
    // What was decoded cannot end the path.
    assert_eq!(
        get("/books/a%3Fb/x%23y").await,
        format!("GET {address} /show?book=a%3Fb&page=x%23y 4.2")
    );
}

/// A redirect within the site cannot lead elsewhere, whatever its path holds.
#[tokio::test]
async fn a_redirect_stays_on_its_site() {
    let hub = site(
        "@go path_regexp go ^/go/(.*)$\n redir @go /{re.go.1}\n @bare path_regexp [^/]$\n redir @bare {path}/ 308",
    );
    for (path, location) in [
        ("/go/docs", "/docs"),
        ("/go//other.example", "/other.example"),
        ("/go/%5Cother.example", "/%5Cother.example"),
        ("/go/\\other.example", "/%5Cother.example"),
        ("//other.example", "/other.example/"),
        ("/\\other.example", "/other.example/"),
        ("/%5Cother.example", "/%5Cother.example/"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", hub.host);
        let head = raw::head(hub.address, request).await.to_ascii_lowercase();
        let expected = format!("location: {}\r\n", location.to_ascii_lowercase());
        assert!(head.contains(&expected), "{path}: {head}");
    }
}

/// The type that `header` names is that of a file too, and of nothing else that names its own.
#[tokio::test]
async fn the_type_of_a_file_may_be_set() {
    let hub = site_with(
        &Home::new(),
        "root * public\n header /*.data Content-Type application/x-data\n header /.well-known/* Content-Type text/plain\n file_server",
        &[("public/a.data", "1"), ("public/a.txt", "2")],
    );
    let kind = async |path: &str| {
        hub.client()
            .get(path)
            .await
            .header("content-type")
            .to_owned()
    };
    assert_eq!(kind("/a.data").await, "application/x-data");
    assert_eq!(kind("/a.txt").await, "text/plain; charset=utf-8");
    let stream = hub.client().subscribe_with(&[("topic", "a")]).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
}

/// However a path is spelt, a comparison and a regular expression see its one form (B-284).
#[tokio::test]
async fn no_spelling_of_a_path_passes_an_expression_by() {
    let hub = site(
        "@a `{path}.startsWith('/admin')`
        @b `{path}.matches('^/inner(/|$)')`
        respond @a \"not for you\" 403
        respond @b \"nor this\" 403
        respond \"{path}\"",
    );
    for path in [
        "/admin/x",
        "/%61dmin/x",
        "//admin/x",
        "/./admin/x",
        "/a/../admin/x",
        "/inner",
        "//inner/x",
        "/inne%72/x",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", hub.host);
        let head = raw::head(hub.address, request).await;
        assert_eq!(raw::status(&head), 403, "{path}: {head}");
    }
    // Elsewhere it stays as it was written.
    assert_eq!(hub.client().get("/%61/b").await.text, "/%61/b");
}

/// A block that removes a field waits for the answer, so its values replace those of the answer; a block that does not
/// gives way to it. Of several `vars` the one of the most specific path counts, and an exact path goes before one with
/// an asterisk.
#[tokio::test]
async fn the_more_specific_directive_counts() {
    let application =
        site("header X-Kind theirs\n header X-Other theirs\n header X-Gone theirs\n respond app");
    let hub = site(&format!(
        "header {{
            X-Kind ours
            -X-Gone
        }}
        header X-Other ours
        vars /foo* a foo*
        vars a all
        vars /foo a foo
        respond /foo* \"{{vars.a}} below\"
        respond /foo \"{{vars.a}} itself\"
        respond /all \"{{vars.a}} {{header.X-A}}\"
        reverse_proxy {}",
        application.address
    ));
    let answer = hub.client().get("/x").await;
    let field = |name: &str| answer.header(name);
    assert_eq!(
        (field("x-kind"), field("x-gone"), field("x-other")),
        ("ours", "", "theirs")
    );
    assert_eq!(hub.client().get("/foo").await.text, "foo itself");
    assert_eq!(hub.client().get("/foo/b").await.text, "foo* below");
    let request = format!(
        "GET /all HTTP/1.1\r\nhost: {}\r\nx-a: 1\r\nx-a: \u{e9}\r\nconnection: close\r\n\r\n",
        hub.host
    );
    let answer = raw::exchange(hub.address, request.as_bytes()).await;
    assert!(answer.ends_with("all 1,\u{e9}"), "{answer}");
}

/// The lines of a file, once there are `count` of them.
fn lines(path: &Path, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(serde_json::from_str).collect();
        if lines.len() >= count {
            return lines.into_iter().map(|line| line.expect("JSON")).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{} has no {count} lines", path.display());
}

/// Requests are logged in a file, without tokens; a file that was moved away is made again, and the last lines are
/// written before the end.
#[tokio::test]
async fn requests_are_logged_in_a_file() {
    let home = Home::new();
    let hub = site_with(
        &home,
        "log {\n output file logs/access.log\n }\n respond /loud 204\n respond 404",
        &[],
    );
    let path = home.path().join("logs/access.log");
    let client = hub.client().bearer("eyJ.secret");
    client.get("/loud?authorization=eyJ.secret.x&a=b").await;
    let first = lines(&path, 1).remove(0);
    assert_eq!(first["status"], 204);
    assert_eq!(first["request"]["method"], "GET");
    assert_eq!(first["request"]["remote_ip"], "127.0.0.1");
    assert_eq!(first["request"]["uri"], "/loud?authorization=REDACTED&a=b");
    assert!(!first.to_string().contains("secret"), "{first}");
    std::fs::rename(&path, home.path().join("moved.log")).expect("it is moved");
    client.get("/x").await;
    assert_eq!(lines(&path, 1)[0]["status"], 404);
    for _ in 0..20 {
        client.get("/last").await;
    }
    hub.stop().await;
    assert_eq!(lines(&path, 21).len(), 21);
}
