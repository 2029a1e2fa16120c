//! Files with keys, the folders of the hub's data, and the lifetime of tokens.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::json;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact, now};

const SECRET: &str = "a secret of thirty-two bytes or more, for tests";

fn start(home: &Home, directives: &str) -> Result<Hub, String> {
    home.start("http://127.0.0.1:0", directives, &[])
}

fn with_key(file: &str) -> String {
    format!(
        "anonymous\ntransport memory\nissuer https://keys.example {{\n publisher {{\n jwt {{file.{file}}}\n }}\n}}"
    )
}

fn with_set(file: &str) -> String {
    format!(
        "anonymous\ntransport memory\nissuer https://keys.example {{\n publisher {{\n jwks_uri file://{file}\n }}\n}}"
    )
}

/// A key that is not a file, or too large, is an error at start, which neither waits nor fills the
/// memory.
#[tokio::test]
async fn a_key_is_a_file_of_a_bounded_size() {
    let home = Home::new();
    let path = |name: &str| home.path().join(name).display().to_string();
    fs::write(path("large"), "x".repeat(3 << 20)).expect("a file");
    fs::write(path("binary"), [0xff; 64]).expect("a file");
    let pipe = Command::new("mkfifo").arg(path("pipe")).status();
    assert!(pipe.expect("mkfifo").success());
    symlink("/dev/zero", path("link")).expect("a link");
    for (file, words) in [
        ("/dev/zero".to_owned(), "not a file"),
        ("/dev/urandom".to_owned(), "not a file"),
        (path("link"), "not a file"),
        (path("pipe"), "not a file"),
        (home.path().display().to_string(), "not a file"),
        (path("large"), "more than"),
        (path("missing"), "No such file"),
    ] {
        let port = talaria_conformance::free_port();
        for directives in [with_key(&file), with_set(&file)] {
            let said = start(&home, &directives).map(drop).expect_err(&file);
            assert!(
                said.contains(words) && said.contains(&file),
                "{file}: {said}"
            );
        }
        let text = format!(
            "https://localhost:{port} {{\n tls {file} {file}\n mercure {{\n anonymous\n transport memory\n }}\n}}\n"
        );
        home.configure(text);
        let said = home.start("ignored", "", &[]).map(drop).expect_err(&file);
        fs::remove_file(path("Caddyfile")).expect("it is there");
        assert!(
            said.contains(words) && said.contains(&file),
            "{file}: {said}"
        );
    }
    let said = start(&home, &with_key(&path("binary"))).map(drop);
    assert!(said.expect_err("no text").contains("UTF-8"));
}

/// The hub warns of keys that every user may read, and of folders in which every user may replace
/// files, with the command that helps. It follows links to keys, as containers have them.
#[tokio::test]
async fn permissions_are_warned_of() {
    let home = Home::new();
    let (key, link) = (home.path().join("key"), home.path().join("link"));
    fs::write(&key, SECRET).expect("a file");
    symlink(&key, &link).expect("a link");
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o606, true)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).expect("it is ours");
        for file in [&key, &link] {
            let hub = start(&home, &with_key(&file.display().to_string())).expect("it starts");
            let warning = format!("chmod o= '{}'", file.display());
            let said = hub.log.since(0).join("\n");
            assert_eq!(said.contains(&warning), warned, "{mode:o}: {said}");
            assert!(!said.contains(SECRET), "{said}");
        }
    }
    let folder = home.path().join("data");
    fs::create_dir(&folder).expect("a folder");
    let directives = format!(
        "anonymous\ntransport bolt {{\n path {}\n}}",
        folder.join("mercure.db").display()
    );
    for (mode, warned) in [
        (0o700, false),
        (0o755, false),
        (0o1777, false),
        (0o777, true),
    ] {
        fs::set_permissions(&folder, Permissions::from_mode(mode)).expect("it is ours");
        let hub = home.hub(&directives).expect("it starts");
        let said = hub.log.since(0).join("\n");
        let warning = format!("chmod o-w '{}'", folder.display());
        assert_eq!(said.contains(&warning), warned, "{mode:o}: {said}");
        hub.stop().await;
    }
    let history = folder.join("mercure.db.talaria");
    fs::set_permissions(&history, Permissions::from_mode(0o777)).expect("it is ours");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("it is ours");
    let hub = home.hub(&directives).expect("it starts");
    let warning = format!("chmod o-w '{}'", history.display());
    let said = hub.log.since(0).join("\n");
    assert!(said.contains(&warning), "{said}");
}

/// `max_token_lifetime` refuses tokens of both generations that live longer, and names itself.
#[tokio::test]
async fn tokens_may_be_bound_to_a_lifetime() {
    let bound = |directive: &str| {
        let directives =
            format!("anonymous\ntransport memory\nprotocol_version_compatibility 8\n{directive}");
        Hub::start(&directives)
    };
    for (directive, long) in [
        ("max_token_lifetime 1h", 401),
        ("max_token_lifetime 0", 200),
        ("", 200),
    ] {
        let hub = bound(directive);
        let token = |iat: u64, exp: u64| {
            let token = Token::new(&hub.audience).grant("publish", &[exact("*")]);
            token.claim("iat", json!(iat)).claim("exp", json!(exp))
        };
        let older = Token::older(json!({ "publish": ["*"] }));
        for (token, status) in [
            (token(now(), now() + 3600), 200),
            (token(now(), now() + 3700), long),
            (token(now() - 3600, now() + 60), long),
            (token(now() + 86_400, now() + 86_500), long),
            (token(now(), now() + 3700).without("iat"), long),
            (older.clone(), long),
            (older.claim("exp", json!(now() + 3000)), 200),
        ] {
            let client = hub.client().bearer(&hub.sign_as_publisher(&token));
            let answer = client.publish(&[("topic", "a")]).await;
            assert_eq!(answer.status, status, "{directive}: {}", token.claims);
        }
        let said = hub.log_to_the_end().await.join("\n");
        assert_eq!(said.contains("lives_too_long"), long == 401, "{said}");
        assert_eq!(said.contains("max_token_lifetime;"), long == 401, "{said}");
    }
}

/// A body in a coding that the hub does not decode gets 415, for a publish and a query, whatever
/// the coding; `identity` is not a coding (RFC 9110, section 8.4).
#[tokio::test]
async fn only_identity_is_decoded() {
    let hub = Hub::start("anonymous\ntransport memory");
    for (coding, is_taken) in [
        ("identity", true),
        ("IDENTITY", true),
        ("identity, identity", true),
        ("", true),
        (" , ", true),
        ("gzip", false),
        ("x-gzip", false),
        ("GZIP", false),
        ("deflate", false),
        ("br", false),
        ("zstd", false),
        ("compress", false),
        ("aws-chunked", false),
        ("identity, gzip", false),
        ("gzip, identity", false),
        ("identity;q=1", false),
        ("*", false),
    ] {
        let publisher = hub.publisher().header("content-encoding", coding);
        for client in [publisher.clone(), publisher.http2()] {
            let published = client.publish(&[("topic", "a")]).await;
            assert_eq!(
                published.status,
                if is_taken { 200 } else { 415 },
                "{coding}"
            );
            let accepted = if is_taken { "" } else { "identity" };
            assert_eq!(published.header("accept-encoding"), accepted, "{coding}");
        }
        if !is_taken {
            let reader = hub.client().form().header("content-encoding", coding);
            let answer = reader
                .send("QUERY", "/.well-known/mercure", "match=a")
                .await;
            assert_eq!(answer.status, 415, "{coding}");
            let batch = hub
                .publisher()
                .header("content-type", "application/x-ndjson")
                .header("content-encoding", coding);
            let answer = batch.send("POST", "/.well-known/mercure", "{}").await;
            assert_eq!(answer.status, 415, "{coding}");
        }
    }
    // Twice, one of them good.
    let twice = hub
        .publisher()
        .header("content-encoding", "identity")
        .header("content-encoding", "br");
    assert_eq!(twice.publish(&[("topic", "a")]).await.status, 415);
}
