//! The hub's identity (B-420, B-421): which URLs a token may name in `aud`, and that a client does not
//! choose them by what it writes in `Host`.

use serde_json::Value;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, Hub, ORDINARY};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, raw};

const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

fn token(hub: &Hub, audience: &str) -> String {
    hub.sign_as_publisher(&Token::new(audience).grant("publish", &[exact("*")]))
}

/// The status of a publish with a token for `origin`, asked as `client` does.
async fn publish(hub: &Hub, client: &Client, origin: &str) -> u16 {
    let client = client
        .clone()
        .bearer(&token(hub, &format!("{origin}{HUB_PATH}")));
    client.publish(&[("topic", "a")]).await.status.as_u16()
}

/// Publishes as [`publish`] does, with a request line and fields that no library would send.
async fn publish_raw(hub: &Hub, line: &str, fields: &str, origin: &str) -> String {
    let token = token(hub, &format!("{origin}{HUB_PATH}"));
    let request = format!(
        "POST {line}\r\n{fields}Authorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ntopic=a"
    );
    raw::exchange(hub.address, request.as_bytes()).await
}

/// Set-ups that work without a pinned identifier, each with the token that its application has.
#[tokio::test]
async fn honest_set_ups_need_no_more_than_they_did() {
    // A name, on its port, in any case.
    let hub = Hub::start_on("http://localhost:0", ORDINARY);
    let port = hub.address.port();
    for host in ["localhost", "LOCALHOST"] {
        let asked = format!("{host}:{port}");
        let client = hub.client().naming(&asked);
        for client in [client.clone(), client.http2()] {
            assert_eq!(
                publish(&hub, &client, &format!("http://{asked}")).await,
                200
            );
        }
    }
    // Every host: a container whose port is published as another one.
    let hub = Hub::start_on("http://:0", ORDINARY);
    for host in [
        "localhost:8080",
        "127.0.0.1:32768",
        "hub.example",
        "my_container",
        "[::1]:8080",
    ] {
        let client = hub.client().naming(host);
        assert_eq!(
            publish(&hub, &client, &format!("http://{host}")).await,
            200,
            "{host}"
        );
    }
    // A name whose port is published as another one, which the configuration tells.
    for directive in [
        "public_urls http://localhost:8080",
        "resource_identifier http://localhost:8080/.well-known/mercure",
        "accepted_audiences http://localhost:8080/.well-known/mercure",
    ] {
        let hub = Hub::start_on("http://localhost:0", &format!("{ORDINARY}\n{directive}"));
        let client = hub.client().naming("localhost:8080");
        let status = publish(&hub, &client, "http://localhost:8080").await;
        assert_eq!(status, 200, "{directive}");
    }
}

/// Proxies and inner names work without a pinned identifier, each with the token that its application
/// has.
#[tokio::test]
async fn honest_proxies_need_no_pinned_identifier() {
    // A proxy that does TLS and tells so, with and without the host that it was asked by.
    let hub = Hub::start_on(
        "http://localhost:0",
        &format!("{ORDINARY}\ntrusted_proxies 127.0.0.1"),
    );
    let proxied = hub.client().header("x-forwarded-proto", "https");
    let own = format!("localhost:{}", hub.address.port());
    for (host, origin) in [
        ("localhost", "https://localhost".to_owned()),
        (own.as_str(), format!("https://{own}")),
    ] {
        let client = proxied.clone().naming(host);
        assert_eq!(publish(&hub, &client, &origin).await, 200, "{origin}");
    }
    let named = proxied
        .naming("localhost")
        .header("x-forwarded-host", "hub.example:8443");
    let origin = "https://hub.example:8443";
    assert_eq!(publish(&hub, &named, origin).await, 200);
    // A publisher inside the network names the public URL.
    let home = Home::new();
    let (outer, inner) = (
        talaria_conformance::free_port(),
        talaria_conformance::free_port(),
    );
    let names = format!("http://localhost:{outer}, http://php:{inner}");
    let issuer = [("MERCURE_TRUSTED_ISSUERS", "https://localhost")];
    let hub = home.start(&names, ORDINARY, &issuer).expect("it starts");
    let inside = Client::new(([127, 0, 0, 1], inner).into(), &format!("php:{inner}"));
    for origin in [
        format!("http://localhost:{outer}"),
        format!("http://php:{inner}"),
    ] {
        assert_eq!(publish(&hub, &inside, &origin).await, 200, "{origin}");
    }
    // The classic rule, with a container's port that is published as the usual one.
    let hub = Hub::classic(ORDINARY);
    let client = hub.client().naming("127.0.0.1");
    assert_eq!(publish(&hub, &client, "http://127.0.0.1").await, 200);
}

/// If `public_urls` lists the hub's names, a site address that is not among them is not a name of
/// the hub, and a listed one is a name for every client, whatever the URL in its request.
#[tokio::test]
async fn public_urls_are_all_the_names_there_are() {
    let home = Home::new();
    let [outer, inner] = [(); 2].map(|()| talaria_conformance::free_port());
    let names = format!("http://localhost:{outer}, http://mercure:{inner}");
    let issuer = [("MERCURE_TRUSTED_ISSUERS", "https://localhost")];
    let unlisted = "https://localhost http://mercure".to_owned();
    let listed = format!("http://mercure http://localhost:{outer}");
    for (urls, status) in [(unlisted, 401), (listed, 200)] {
        let directives = format!("{ORDINARY}\npublic_urls {urls}");
        let hub = home.start(&names, &directives, &issuer);
        let hub = hub.expect("it starts");
        let address = ([127, 0, 0, 1], inner).into();
        let inside = Client::new(address, "mercure");
        let origin = format!("http://localhost:{outer}");
        assert_eq!(publish(&hub, &inside, &origin).await, status, "{urls}");
        let origin = format!("http://mercure:{inner}");
        assert_eq!(publish(&hub, &inside, &origin).await, 401, "{urls}");
        assert_eq!(publish(&hub, &inside, "http://mercure").await, 200);
        hub.stop().await;
    }
}

/// Configurations write the port of HTTPS and HTTP out, clients do not (RFC 3986, section 6.2.3).
#[tokio::test]
async fn a_default_port_may_be_written_out() {
    let hub = Hub::start_on(
        "http://localhost:0",
        &format!("{ORDINARY}\ntrusted_proxies 127.0.0.1"),
    );
    let https = hub
        .client()
        .naming("localhost")
        .header("x-forwarded-proto", "https");
    assert_eq!(publish(&hub, &https, "https://localhost:443").await, 200);
    assert_eq!(publish(&hub, &https, "https://localhost:80").await, 401);
    let hub = Hub::start_on("http://:0", ORDINARY);
    for (host, origin) in [
        ("hub.example", "http://hub.example:80"),
        ("hub.example:80", "http://hub.example"),
        ("HUB.example:80", "http://hub.example:80"),
    ] {
        let client = hub.client().naming(host);
        assert_eq!(publish(&hub, &client, origin).await, 200, "{origin}");
    }
    let client = hub.client().naming("hub.example");
    assert_eq!(publish(&hub, &client, "http://hub.example:443").await, 401);
}

/// A token for another server on the same host is not one for this hub, whatever its client writes.
#[tokio::test]
async fn a_client_does_not_choose_the_port_of_a_named_site() {
    for start in [Hub::start, Hub::classic] {
        let hub = start(&format!("{ORDINARY}\ntrusted_proxies 192.0.2.1"));
        for host in ["127.0.0.1:9", "127.0.0.1:443", "127.0.0.1:0"] {
            let client = hub.client().naming(host);
            for client in [client.clone(), client.clone().http2()] {
                let status = publish(&hub, &client, &format!("http://{host}")).await;
                assert_eq!(status, 401, "{host}");
                assert_eq!(
                    publish(&hub, &client, &format!("http://{}", hub.host)).await,
                    200
                );
            }
            let document = client.get(METADATA).await.text;
            let document: Value = serde_json::from_str(&document).expect("JSON");
            assert_eq!(document["resource"], hub.audience, "{host}");
        }
        // Not a trusted proxy: its word on host and scheme does not count.
        for (name, value) in [
            ("x-forwarded-host", "other.example"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "host=other.example;proto=https"),
            ("x-forwarded-port", "9"),
        ] {
            let client = hub.client().header(name, value);
            for origin in ["http://other.example", "https://other.example"] {
                assert_eq!(publish(&hub, &client, origin).await, 401, "{name}");
            }
        }
        let own = hub.host.clone();
        for (line, fields, origin) in [
            (
                format!("http://127.0.0.1:9{HUB_PATH} HTTP/1.1"),
                format!("Host: {own}\r\n"),
                "http://127.0.0.1:9",
            ),
            (
                format!("http://127.0.0.1:9{HUB_PATH} HTTP/1.0"),
                String::new(),
                "http://127.0.0.1:9",
            ),
        ] {
            let answer = publish_raw(&hub, &line, &fields, origin).await;
            assert_eq!(raw::status(&answer), 401, "{line} {fields}: {answer}");
        }
    }
    // No port is the usual one, which is another server than that of this port.
    let hub = Hub::start(ORDINARY);
    let client = hub.client().naming("127.0.0.1");
    assert_eq!(publish(&hub, &client, "http://127.0.0.1").await, 401);
    let line = format!("{HUB_PATH} HTTP/1.1");
    let empty = publish_raw(&hub, &line, "Host: 127.0.0.1:\r\n", "http://127.0.0.1:").await;
    assert_eq!(raw::status(&empty), 401, "{empty}");
    // A proxy that forwards only that TLS was used does not let its client choose the port.
    let hub = Hub::start(&format!("{ORDINARY}\ntrusted_proxies 127.0.0.1"));
    let proxied = hub
        .client()
        .naming("127.0.0.1:9")
        .header("x-forwarded-proto", "https");
    assert_eq!(publish(&hub, &proxied, "https://127.0.0.1:9").await, 401);
}

/// A `Host` that is not a host with perhaps a port gets 400 with the reason, on the hub's path,
/// around it and over both protocols (RFC 9110, section 7.2).
#[tokio::test]
async fn a_host_is_parsed_strictly() {
    for name in ["http://127.0.0.1:0", "http://:0"] {
        let hub = Hub::start_on(name, ORDINARY);
        let own = hub.host.clone();
        for (host, words) in [
            (format!("user@{own}"), "user information"),
            (format!("user:secret@{own}"), "user information"),
            (format!("{own}@"), "user information"),
            (String::new(), "without a host"),
            (":80".to_owned(), "without a host"),
            ("127.0.0.1:65536".to_owned(), "65535"),
            ("127.0.0.1:99999999999999999999999".to_owned(), "65535"),
            ("127.0.0.1:80:90".to_owned(), "characters"),
            ("127.0.0.1:+80".to_owned(), "not a number"),
            ("127.0.0.1:x".to_owned(), "not a number"),
            ("127.0.0.1/x".to_owned(), "characters"),
            ("127.0.0.1?x".to_owned(), "characters"),
            ("127.0.0.1\\x".to_owned(), "characters"),
            ("127.0.0.1 127.0.0.1".to_owned(), "characters"),
            ("127%2e0.0.1".to_owned(), "characters"),
            ("[127.0.0.1]".to_owned(), "IPv6"),
            ("[::1".to_owned(), "IPv6"),
            ("[::1]80".to_owned(), "IPv6"),
            ("[::ffff::1]".to_owned(), "IPv6"),
            ("a".repeat(256), "longer"),
        ] {
            for path in [HUB_PATH, "/robots.txt"] {
                let request = format!(
                    "GET {path}?match=a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                );
                let answer = raw::exchange(hub.address, request.as_bytes()).await;
                assert_eq!(raw::status(&answer), 400, "{host} {path}: {answer}");
                assert!(answer.contains(words), "{host}: {answer}");
                assert!(!answer.contains("secret"), "{answer}");
            }
        }
        let request = format!(
            "GET http://user@{own}{HUB_PATH}?match=a HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"
        );
        let answer = raw::exchange(hub.address, request.as_bytes()).await;
        assert_eq!(raw::status(&answer), 400, "{answer}");
    }
}

/// A request without a host has no audience derived from it, and gets no document of the hub's
/// identity.
#[tokio::test]
async fn a_request_without_a_host_has_no_audience() {
    let any = Hub::start_on("http://:0", ORDINARY);
    let line = format!("{HUB_PATH} HTTP/1.0");
    for origin in ["://", "http://", "", "http://localhost"] {
        let answer = publish_raw(&any, &line, "", origin).await;
        assert_eq!(raw::status(&answer), 401, "{origin:?}: {answer}");
    }
    let request = format!("GET {METADATA} HTTP/1.0\r\n\r\n");
    let answer = raw::exchange(any.address, request.as_bytes()).await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    assert!(answer.contains("Host header field is missing"), "{answer}");
    // A cookie's page cannot be compared with it either.
    let token = token(&any, "http://localhost/.well-known/mercure");
    let request = format!(
        "POST {line}\r\nCookie: mercure_access_token={token}\r\nOrigin: http://\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = raw::exchange(any.address, request.as_bytes()).await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    // Anonymous subscribers and health checks need no identity.
    let request = format!("HEAD {HUB_PATH}?match=a HTTP/1.0\r\n\r\n");
    let answer = raw::exchange(any.address, request.as_bytes()).await;
    assert_eq!(raw::status(&answer), 200, "{answer}");
}
