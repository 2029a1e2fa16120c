//! `talaria publish` and `subscribe`: what they say to do when a hub refuses or cannot be reached.

use std::process::Output;

use talaria_conformance::hub::{Home, PUBLISHER_KEY};
use talaria_conformance::token::{Token, exact};

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

/// A missing, refused or insufficient token: status, body and the options that help.
#[tokio::test]
async fn tokens() {
    let home = Home::new();
    let hub = home.hub("transport memory").expect("it starts");
    let url = format!("http://{}", hub.address);
    let options = [
        "--token-file",
        "--token",
        "TALARIA_TOKEN",
        "docs/tokens.md#mint",
    ];
    let missing = said(&home.run(&["publish", &url, "--topic", "a"]));
    says(
        &missing,
        &[
            "error: the hub answered 401",
            "carries no token",
            "talaria token --publish",
        ],
    );
    says(&missing, &options);
    let missing = said(&home.run(&["subscribe", &url, "--match", "a"]));
    says(
        &missing,
        &["error: the hub answered 401", "talaria token --subscribe"],
    );
    says(&missing, &options);

    let wrong = hub.sign_as_publisher(&Token::new("http://elsewhere.example/.well-known/mercure"));
    let mut command = home.program();
    command
        .args(["publish", &url, "--topic", "a"])
        .env("TALARIA_TOKEN", &wrong);
    let refused = said(&command.output().expect("it runs"));
    says(
        &refused,
        &[
            "401",
            "that of TALARIA_TOKEN",
            "talaria token check",
            "docs/tokens.md#why-a-token-is-refused",
        ],
    );
    assert!(!refused.contains(&wrong), "{refused}");

    let other = hub.publisher_token(&[exact("b")]);
    std::fs::write(home.path().join("token.jwt"), &other).expect("a file");
    let arguments = ["publish", &url, "--topic", "a", "--token-file", "token.jwt"];
    let insufficient = said(&home.run(&arguments));
    says(
        &insufficient,
        &["403", "that of --token-file token.jwt", "--publish TOPIC"],
    );
}

/// A field that the hub refuses is named by its option, with what the hub said of it.
#[tokio::test]
async fn fields() {
    let home = Home::new();
    let hub = home.hub("anonymous\ntransport memory").expect("it starts");
    let url = format!("http://{}", hub.address);
    let token = hub.publisher_token(&[exact("*")]);
    for (more, option) in [
        (["--topic", "*", "--data", "x"], "change --topic"),
        (["--topic", "a", "--id", "#1"], "change --id"),
        (["--topic", "a", "--type", "mercure"], "change --type"),
    ] {
        let arguments = [&["publish", &url, "--token", &token][..], &more].concat();
        says(
            &said(&home.run(&arguments)),
            &["400", option, "docs/http.md#publish"],
        );
    }
    let refused = said(&home.run(&["subscribe", &url, "--match-urlpattern", "/("]));
    says(
        &refused,
        &["400", "change --match-urlpattern", "docs/http.md#subscribe"],
    );
    let path = format!("{url}/nothing");
    says(
        &said(&home.run(&["publish", &path, "--topic", "a", "--token", &token])),
        &["404", "/.well-known/mercure"],
    );
}

/// A certificate that no authority of this machine signed: `--cacert` and `talaria trust`.
#[tokio::test]
async fn certificates() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let url = format!("https://localhost:{port}");
    let _hub = home
        .start(&url, "anonymous\ntransport memory", &[])
        .expect("it starts");
    let audience = format!("{url}/.well-known/mercure");
    let token = Token::new(&audience)
        .grant("publish", &[exact("*")])
        .sign(PUBLISHER_KEY);
    let publish = ["publish", &url, "--topic", "a", "--token", &token];
    // Another user, who has no local authority.
    let stranger = Home::new();
    let refused = said(&stranger.run(&publish));
    says(
        &refused,
        &[
            "--cacert FILE",
            "talaria trust",
            "docs/https.md#who-trusts-it",
        ],
    );
    says(
        &said(&stranger.run(&["subscribe", &url, "--match", "a"])),
        &["--cacert FILE"],
    );
    let root = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    let root = root.to_str().expect("UTF-8");
    let published = stranger.run(&[&publish[..], &["--cacert", root]].concat());
    assert!(published.status.success(), "{published:?}");
    let wrong = said(&stranger.run(&[&publish[..], &["--cacert", "/dev/null"]].concat()));
    says(
        &wrong,
        &["error: --cacert /dev/null: there is no certificate"],
    );
}

/// What cannot be reached, and what is not a hub.
#[tokio::test]
async fn other_addresses() {
    let home = Home::new();
    let unused = format!("http://127.0.0.1:{}", talaria_conformance::free_port());
    let refused = said(&home.run(&["publish", &unused, "--topic", "a"]));
    says(
        &refused,
        &[
            "Connection refused",
            "start the hub",
            "docs/troubleshooting.md",
        ],
    );
    let page = crate::nginx::Nginx::serve("location / { return 200 '<h1>Shop</h1>'; }");
    let url = page.url();
    for verb in [
        ["publish", &url, "--topic", "a"],
        ["subscribe", &url, "--match", "a"],
    ] {
        says(
            &said(&home.run(&verb)),
            &["text/html", "something else than a hub answers"],
        );
    }
    let url = format!("http://localhost:{}", page.port);
    let moved = crate::nginx::Nginx::serve(&format!("return 301 {url}/hub;"));
    let refused = said(&home.run(&["publish", &moved.url(), "--topic", "a"]));
    says(
        &refused,
        &["301", &format!("give this URL instead: {url}/hub")],
    );
}
