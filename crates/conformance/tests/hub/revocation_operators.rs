//! What operators do with revocations: the verb, the file, and keys that are removed (ADR 0021).

use std::path::PathBuf;

use serde_json::{Value, json};
use talaria_conformance::hub::{Home, PUBLISHER_KEY, SUBSCRIBER_KEY};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, free_port, within};

use crate::revocation::{
    HISTORY, HeaderOf as _, MEMORY, Person, ends, goes_on, post, restarted, text,
};
use crate::running::{Running, caddyfile};

/// The verb says what happened; a leaked token names itself and its end.
#[tokio::test]
async fn by_verb() {
    let hub = Running::start(&text(MEMORY), &[]);
    let audience = format!("http://{}{HUB_PATH}", hub.address);
    let leaked = Token::new(&audience).grant("subscribe", &[exact("*")]);
    let token = leaked.sign(SUBSCRIBER_KEY);
    let client = hub.client().bearer(&token);
    let mut stream = client.subscribe_with(&[("match", "a")]).await;
    let file = hub.home.path().join("leaked.jwt");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let file = file.to_str().unwrap();
    let (code, said) = hub.verb(&["revoke", "--token-file", file, "--reason", "leak"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("streams ended: 1\nhub default: refused until "),
        "{said}"
    );
    ends(&mut stream).await;
    assert_eq!(client.header_of("HEAD").await.status, 401);
    let list = hub.verb(&["revoke", "--list", "--json"]).1;
    let list: Value = serde_json::from_str(&list).unwrap();
    let entry = &list["hubs"][0]["revocations"][0];
    assert_eq!(entry["jti"], leaked.claims["jti"]);
    assert_eq!(entry["until"].as_f64(), leaked.claims["exp"].as_f64());
    let (code, said) = hub.verb(&["revoke", "--remove", "--token-file", file]);
    assert_eq!((code, said.as_str()), (Some(0), "revocations removed: 1\n"));
    assert_eq!(client.header_of("HEAD").await.status, 200);
    for (arguments, says) in [
        (&["revoke"][..], "required"),
        (&["revoke", "--list", "--subject", "a"], "cannot be used"),
        (&["revoke", "--subject", "a", "--for", "soon"], "duration"),
        (
            &["revoke", "--hub", "x", "--subject", "a"],
            "no hub has this name",
        ),
        (&["revoke", "--token-file", "/dev/null"], "/dev/null"),
    ] {
        let (code, said) = hub.verb(arguments);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(
        hub.verb(&["revoke", "--list"]).1,
        "no revocation is in force\n"
    );
}

/// A hub whose list is damaged does not start, because it would accept revoked tokens. If a list
/// cannot be stored, the answer says so, and it is in force until the end.
#[tokio::test]
async fn a_damaged_list_refuses_the_start() {
    let hub = Running::start(&text(MEMORY), &[]);
    let ann = Person::named(&hub, "ann");
    let list: PathBuf = hub
        .home
        .path()
        .join("data/caddy/talaria-revoked-default.json");
    std::fs::create_dir_all(&list).unwrap();
    let answer = post(&hub, "/mercure/revoke", &json!({ "subject": "ann" })).await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(
        answer.text.contains("only until the hub is restarted"),
        "{}",
        answer.text
    );
    assert_eq!(ann.statuses().await, [401, 401]);
    std::fs::remove_dir(&list).unwrap();
    std::fs::write(&list, "{").unwrap();
    let refused = hub.home.run(&["run"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("talaria-revoked-default.json"), "{said}");
    assert!(said.contains("restore it from a backup"), "{said}");
}

/// Two hubs, `a` and `b`, and the files of their revocations.
fn two(home: &Home) -> (String, [PathBuf; 2]) {
    let site = |port: u16, name: &str| {
        format!(
            "http://127.0.0.1:{port} {{\nmercure {{\nname {name}\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\ntransport memory\n}}\n}}\n"
        )
    };
    let folder = home.path().join("data/caddy");
    std::fs::create_dir_all(&folder).unwrap();
    let files = ["a", "b"].map(|name| folder.join(format!("talaria-revoked-{name}.json")));
    let text = format!("{}{}", site(0, "a"), site(free_port(), "b"));
    (text, files)
}

/// A hub that cannot store an entry, or has no room for it, leaves no other untried or unstored, and the answer tells
/// of each.
#[tokio::test]
async fn each_hub_has_its_outcome() {
    for is_full in [false, true] {
        let home = Home::new();
        let (text, [broken, whole]) = two(&home);
        home.configure(text);
        if is_full {
            let entry = |id: u32| json!({ "jti": id.to_string(), "since": 1, "until": 1e11 });
            let entries: Vec<Value> = (0..10_000).map(entry).collect();
            let list = json!({ "version": 1, "revocations": entries });
            std::fs::write(&broken, list.to_string()).unwrap();
            let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&broken, own).unwrap();
        }
        let hub = Running::start_in(home, &[]);
        if !is_full {
            std::fs::create_dir(&broken).unwrap();
        }
        let answer = post(&hub, "/mercure/revoke", &json!({ "subject": "ann" })).await;
        let status = if is_full { 507 } else { 500 };
        assert_eq!(answer.status, status, "{}", answer.text);
        let value: Value = serde_json::from_str(&answer.text).unwrap();
        let error = value["error"].as_str().unwrap();
        assert!(error.starts_with("hub a: "), "{error}");
        let hubs = value["hubs"].as_array().unwrap();
        for name in ["a", "b"] {
            let outcome = hubs.iter().find(|hub| hub["name"] == name).unwrap();
            assert_eq!(outcome["error"].is_string(), name == "a", "{outcome}");
            let is_revoked = outcome["until"].is_number();
            assert_eq!(is_revoked, !is_full || name == "b", "{outcome}");
        }
        let stored = std::fs::read_to_string(&whole).unwrap();
        assert!(stored.contains("ann"), "{stored}");
        let list = hub.admin().get("/mercure/b/revoke").await;
        assert!(list.text.contains("ann"), "{}", list.text);
    }
}

/// A hub that a reload moves to another transport refuses what it refused, also after a restart.
#[tokio::test]
async fn another_transport_keeps_the_list() {
    let hub = Running::start(&text(MEMORY), &[]);
    let answer = post(&hub, "/mercure/revoke", &json!({ "subject": "ann" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    hub.home.configure(text(HISTORY));
    assert_eq!(hub.verb(&["reload"]).0, Some(0));
    assert_eq!(Person::named(&hub, "ann").statuses().await, [401, 401]);
    assert_eq!(Person::named(&hub, "bob").statuses().await, [200, 200]);
    let hub = restarted(hub).await;
    assert!(hub.home.path().join("history").exists());
    assert_eq!(Person::named(&hub, "ann").statuses().await, [401, 401]);
}

/// A key that is removed from the configuration ends the streams of its tokens, and no other.
#[tokio::test]
async fn a_removed_key_ends_its_streams() {
    let key = |secret: &str| format!("subscriber_jwt \"{secret}\"\ntransport memory");
    let hub = Running::start(&caddyfile("", &key(SUBSCRIBER_KEY)), &[]);
    let ann = Person::named(&hub, "ann");
    let mut stream = ann.subscribe().await;
    let mut anyone = hub.client().subscribe_with(&[("match", "a")]).await;
    let other = "another secret of more than thirty-two bytes";
    hub.home.configure(caddyfile("", &key(other)));
    assert_eq!(hub.verb(&["reload"]).0, Some(0));
    assert_eq!(within("the end", stream.end()).await, [""; 0]);
    goes_on(&hub, &mut anyone).await;
    assert_eq!(ann.statuses().await[0], 401);
}

/// A revocation that names no end outlasts `max_token_lifetime`, for all hubs of the request: it means tokens that are
/// accepted later, such as those without `iat` that do not expire for long.
#[tokio::test]
async fn without_an_end_a_revocation_outlasts_the_lifetime_of_tokens() {
    let hub = Running::start(&text(&format!("{MEMORY}\nmax_token_lifetime 1h")), &[]);
    let answer = post(&hub, "/mercure/revoke", &json!({ "subject": "ann" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = hub.verb(&["revoke", "--list", "--json"]).1;
    let list: Value = serde_json::from_str(&list).unwrap();
    let entry = &list["hubs"][0]["revocations"][0];
    let time = |name: &str| entry[name].as_f64().unwrap();
    let days = (time("until") - time("since")) / 86_400.0;
    assert!((days - 366.0).abs() < 0.001, "{days}");
}

/// A publish whose body comes after its token was revoked is refused, one update or several (specification, "Token
/// Validation").
#[tokio::test]
async fn a_publish_under_way_is_refused() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let hub = Running::start(&text(MEMORY), &[]);
    let audience = format!("http://{}{HUB_PATH}", hub.address);
    for (subject, media_type, body) in [
        ("ann", "application/x-www-form-urlencoded", "topic=a&data=1"),
        ("bob", "application/x-ndjson", "{\"topic\":\"a\"}\n"),
    ] {
        let token = Token::new(&audience).grant("publish", &[exact("*")]);
        let token = token.claim("sub", subject.into()).sign(PUBLISHER_KEY);
        let head = format!(
            "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
            hub.address,
            body.len()
        );
        let mut socket = tokio::net::TcpStream::connect(hub.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        // The hub asks for the body once it has accepted the token.
        let mut said = [0; 25];
        within("100 Continue", socket.read_exact(&mut said))
            .await
            .unwrap();
        assert!(
            said.starts_with(b"HTTP/1.1 100"),
            "{}",
            String::from_utf8_lossy(&said)
        );
        let answer = post(&hub, "/mercure/revoke", &json!({ "subject": subject })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        socket.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("the answer", socket.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.contains("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("invalid_token"), "{answer}");
    }
}
