//! `talaria token`: tokens of both generations, judged by hubs, and what `token check` says of them.

use std::process::Output;

use serde_json::Value;
use talaria_conformance::hub::{Home, PUBLISHER_KEY};

/// A hub that names an issuer, and so accepts tokens of 1.0 alone.
const TRUSTED: [(&str, &str); 1] = [("MERCURE_TRUSTED_ISSUERS", "https://issuer.example")];

/// The arguments of a line; `KEY` stands for the key.
fn words(line: &str) -> Vec<&str> {
    let words = line.split(' ').filter(|word| !word.is_empty());
    words
        .map(|word| if word == "KEY" { PUBLISHER_KEY } else { word })
        .collect()
}

fn run(home: &Home, line: &str) -> Output {
    home.run(&words(line))
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// A token of 0.x is accepted by a hub of the classic rule, for what it grants and no more.
#[tokio::test]
async fn a_token_of_0_x_is_used() {
    let home = Home::new();
    let variables = [("MERCURE_SUBSCRIBER_JWT_KEY", PUBLISHER_KEY)];
    let hub = home
        .start("http://:0", "transport memory\nsubscriptions", &variables)
        .expect("it starts");
    let url = format!("http://{}", hub.address);
    let minted = run(
        &home,
        r#"token --generation 0.x --key KEY --publish https://example.com/books/{id} --subscribe * --payload {"user":"ann"} --ttl 10m"#,
    );
    let token = stdout(&minted);
    let publish = |topic: &str| home.run(&["publish", &url, "--topic", topic, "--token", &token]);
    assert!(publish("https://example.com/books/1").status.success());
    assert!(!publish("https://example.com/users/1").status.success());
    let reader = hub.client().bearer(&token);
    let _stream = reader.subscribe_with(&[("topic", "a")]).await;
    let listed = reader.get("/.well-known/mercure/subscriptions").await;
    assert!(listed.text.contains("ann"), "{}", listed.text);
}

/// What `token check` says for a hub of these variables in a time zone, and its exit code.
fn check(
    home: &Home,
    token: &str,
    variables: &[(&str, &str)],
    zone: &str,
) -> (String, Option<i32>) {
    let mut command = home.program();
    command
        .args(["token", "check", token, "--url", "https://hub.example"])
        .env("TZ", zone)
        .env("SERVER_NAME", ":80")
        .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
        .env("MERCURE_SUBSCRIBER_JWT_KEY", PUBLISHER_KEY)
        .envs(variables.iter().copied());
    let output = command.output().expect("it runs");
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code(),
    )
}

/// `token check` shows expiry, audience and topics with their types, before the verdict of the hub.
#[test]
fn a_token_is_described() {
    let home = Home::new();
    let modern = stdout(&run(
        &home,
        "token --iss https://issuer.example --aud https://hub.example/.well-known/mercure --key KEY --publish https://example.com/books/1 --subscribe-urlpattern https://example.com/:id --subscribe a --sub ann --ttl 50h",
    ));
    let (text, code) = check(&home, &modern, &TRUSTED, "<XYZ>-3");
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "token: Mercure 1.0, alg HS256, typ at+jwt\n",
        "issuer: https://issuer.example\n",
        "audience: https://hub.example/.well-known/mercure\n",
        "subject: ann\n",
        " XYZ, in 2 days 1 h\n",
        "may publish to:\n  exact        https://example.com/books/1\n",
        "  exact        a\n",
        "  urlpattern   https://example.com/:id\n",
        "publisher: accepted, issuer https://issuer.example, topics granted: 1\n",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    // The zone of this machine is three hours ahead.
    let expires = text
        .lines()
        .find(|line| line.starts_with("expires: "))
        .expect("it expires");
    let hour = |from: usize| {
        expires
            .get(from..from + 2)
            .and_then(|it| it.parse::<u32>().ok())
    };
    let (utc, here) = (
        hour("expires: 2026-11-30T".len()),
        hour("expires: 2026-11-30T00:00:00Z, here 2026-11-30 ".len()),
    );
    assert_eq!(utc.map(|it| (it + 3) % 24), here, "{expires}");
}

/// A token of 0.x is described, too; a hub of 1.0 alone says what it would refuse, and why.
#[test]
fn a_token_of_0_x_is_described() {
    let home = Home::new();
    let older = stdout(&run(
        &home,
        "token --generation 0.x --key KEY --publish https://example.com/{id} --publish b",
    ));
    let (text, code) = check(&home, &older, &[], "UTC");
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "token: Mercure 0.x, alg HS256, typ JWT\n",
        "audience: none\n",
        "  exact        b\n",
        "  URI Template https://example.com/{id}\n",
        "may receive private updates of: nothing\n",
        ", in 59 min\n",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    // A hub of 1.0 alone says what it would refuse, and why.
    let (text, code) = check(&home, &older, &TRUSTED, "UTC");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("publisher: refused (older_token)"), "{text}");
    assert!(
        text.contains("docs/tokens.md#why-a-token-is-refused"),
        "{text}"
    );
}

/// The claims of a 0.x token are those that hubs of 0.x read, and no others.
#[test]
fn claims_of_0_x() {
    let home = Home::new();
    let output = run(
        &home,
        "token --generation 0.x --key KEY --subscribe * --pretty --kid k",
    );
    stdout(&output);
    let pretty = String::from_utf8_lossy(&output.stderr).into_owned();
    let (header, claims) = pretty.split_once("}\n{").expect("header and claims");
    let header: Value = serde_json::from_str(&format!("{header}}}")).expect("JSON");
    let claims: Value = serde_json::from_str(&format!("{{{claims}")).expect("JSON");
    assert_eq!(
        header,
        serde_json::json!({ "alg": "HS256", "typ": "JWT", "kid": "k" })
    );
    assert_eq!(claims["mercure"], serde_json::json!({ "subscribe": ["*"] }));
    let names: Vec<&String> = claims.as_object().expect("claims").keys().collect();
    assert_eq!(names, ["exp", "iat", "mercure"]);
}

/// Options that would have no effect beside others are refused by their names.
#[test]
fn combinations_that_would_be_ignored() {
    let home = Home::new();
    let older = "token --generation 0.x --key KEY --publish a";
    let modern = "token --iss i --aud http://h/hub --key KEY --publish a --ttl 1m";
    let (dev, bare) = ("token --dev", "token");
    for (base, more, part) in [
        (older, "--aud http://h/hub", "--aud is of Mercure 1.0"),
        (older, "--client-id c", "--client-id is of Mercure 1.0"),
        (
            older,
            "--publish-urlpattern /:id",
            "--publish-urlpattern is of Mercure 1.0",
        ),
        (
            older,
            "--subscribe-urlpattern /:id",
            "--subscribe-urlpattern is of Mercure 1.0",
        ),
        (older, "--payload 1", "--payload describes a subscriber"),
        (older, "--ttl 1h --dev", "--dev would change nothing"),
        (modern, "--dev", "--dev would change nothing"),
        (modern, "--payload 1", "--payload describes a subscriber"),
        (modern, "--alg RS256", "--key with --alg RS256"),
        (modern, "--alg none", "--alg"),
        (dev, "--alg ES256", "--dev with --alg ES256"),
        (bare, "--generation 2", "--generation"),
        (dev, "--key @/nothing", "--key @/nothing"),
    ] {
        let output = run(&home, &format!("{base} {more}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{more}: {said}");
        assert!(
            said.contains(part) && !said.contains(PUBLISHER_KEY),
            "{more}: {said}"
        );
    }
    // What a URI Template means in 0.x is compared as it is in 1.0.
    let output = run(&home, "token --dev --publish /{id}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("--publish-urlpattern"),
        "{said}"
    );
}
