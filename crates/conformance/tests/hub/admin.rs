//! The admin listener: its endpoints (B-096, B-730 to B-737), and who may ask (B-095, B-097).

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::raw;

use crate::running::{Running, caddyfile};

fn ordinary() -> Running {
    Running::start(&caddyfile("", ""), &[])
}

fn error_of(text: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    json["error"].as_str().unwrap().to_owned()
}

/// Health by GET and HEAD, of all hubs and of each by its name.
#[tokio::test]
async fn health() {
    let hub = ordinary();
    for path in ["ready", "live", "ready/", "default/ready", "default/live/"] {
        let path = format!("/mercure/health/{path}");
        let answer = hub.admin().get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.text, "{\"status\":\"ok\"}\n");
        assert_eq!(answer.header("content-type"), "application/json");
        let head = hub.admin().send("HEAD", &path, "").await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
        let post = hub.admin().send("POST", &path, "").await;
        assert_eq!(post.status, 405);
        error_of(&post.text);
    }
    for path in ["other/ready", "", "x", "default/x"] {
        let answer = hub.admin().get(&format!("/mercure/health/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        error_of(&answer.text);
    }
}

/// The metrics say what the process holds.
#[tokio::test]
async fn metrics() {
    let hub = ordinary();
    let stream = hub.client().subscribe_with(&[("match", "a")]).await;
    let answer = hub.admin().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "\nmercure_subscribers_connected 1\n",
        "\ntalaria_hub_streams{hub=\"default\",protocol=\"HTTP/1.1\",generation=\"1.0\"} 1\n",
        "\ntalaria_hub_healthy{hub=\"default\"} 1\n",
        "\ncaddy_config_last_reload_successful 1\n",
    ] {
        assert!(answer.text.contains(line), "{line} in {}", answer.text);
    }
    drop(stream);
}

/// The configuration is shown as a tree, with parts by their path and without keys; it is not changed in parts.
#[tokio::test]
async fn configuration() {
    let hub = Running::start(&caddyfile("debug", "heartbeat 5s"), &[]);
    let answer = hub.admin().get("/config/").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text.contains(PUBLISHER_KEY), "{}", answer.text);
    let json: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(json["caddyfile"]["global"][0]["name"], "debug");
    let directives = "/config/caddyfile/lines/0/block/0/block";
    let part = hub.admin().get(directives).await;
    let part: serde_json::Value = serde_json::from_str(&part.text).unwrap();
    assert_eq!(part[0]["args"], serde_json::json!(["REDACTED"]));
    assert_eq!(
        part[3],
        serde_json::json!({ "name": "heartbeat", "args": ["5s"] })
    );
    assert_eq!(hub.admin().get("/config/x").await.status, 404);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = hub.admin().send(method, "/config/apps", "{}").await;
        assert_eq!(answer.status, 405);
        assert!(error_of(&answer.text).contains("talaria reload"));
    }
}

/// Text is adapted without being loaded, and what is not a configuration is refused with every error.
#[tokio::test]
async fn adapt_and_load() {
    let hub = ordinary();
    let caddyfile = hub
        .admin()
        .header("content-type", "text/caddyfile; charset=utf-8");
    let answer = caddyfile
        .send("POST", "/adapt", ":80 {\n respond hi\n}")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(json["result"]["caddyfile"]["lines"][0]["name"], ":80");

    let wrong = ":80 {\n mercure {\n anonymous\n heartbeet 5s\n wrte_timeout 5s\n}\n}";
    let answer = caddyfile.send("POST", "/load", wrong).await;
    assert_eq!(answer.status, 400);
    let error = error_of(&answer.text);
    assert!(
        error.contains("Caddyfile:4:2") && error.contains("Caddyfile:5:2"),
        "{error}"
    );

    for (kind, body, status, says) in [
        ("text/caddyfile", "a {".to_owned(), 400, "never closed"),
        (
            "text/caddyfile",
            "#".repeat((1 << 20) + 1),
            413,
            "1048576 bytes",
        ),
        (
            "application/json",
            "{\"apps\":{}}".to_owned(),
            400,
            "text/caddyfile",
        ),
        ("application/json", "{".to_owned(), 400, "not JSON"),
        ("text/plain", String::new(), 415, "text/caddyfile"),
    ] {
        let answer = hub
            .admin()
            .header("content-type", kind)
            .send("POST", "/load", body)
            .await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.text);
        assert!(error_of(&answer.text).contains(says), "{}", answer.text);
    }
    assert_eq!(hub.admin().get("/load").await.status, 405);
    assert_eq!(hub.client().get("/healthz").await.status, 200);
}

/// What the existing server has beside this says what to use instead.
#[tokio::test]
async fn other_endpoints() {
    let hub = ordinary();
    for (path, says) in [
        ("/id/x", "/config/"),
        ("/debug/pprof/", "/metrics"),
        ("/pki/ca/other", "/pki/ca/local"),
        ("/reverse_proxy/upstreams", "log"),
        ("/other", "/mercure/health/ready"),
    ] {
        let answer = hub.admin().get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            error_of(&answer.text).contains(says),
            "{path}: {}",
            answer.text
        );
    }
    // Without a site of the local authority there is none.
    assert_eq!(hub.admin().get("/pki/ca/local").await.status, 404);
}

/// A hub with an internal certificate shows the authority, never its keys.
#[tokio::test]
async fn local_authority() {
    let text =
        caddyfile("skip_install_trust", "").replace("http://127.0.0.1:0", "https://localhost:0");
    let hub = Running::start(&text, &[]);
    let answer = hub.admin().get("/pki/ca/local").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(json["id"], "local");
    assert!(json["root_common_name"].as_str().unwrap().contains("Root"));
    let chain = hub.admin().get("/pki/ca/local/certificates").await;
    assert_eq!(
        chain.header("content-type"),
        "application/pem-certificate-chain"
    );
    assert_eq!(chain.text.matches("BEGIN CERTIFICATE").count(), 2);
    for text in [answer.text, chain.text] {
        assert!(!text.contains("PRIVATE KEY"));
    }
}

/// Pages of the web are kept away, by host, origin and kind of request.
#[tokio::test]
async fn guard() {
    let hub = ordinary();
    let port = hub.admin.port();
    let path = "/mercure/health/ready";
    for host in [format!("localhost:{port}"), format!("[::1]:{port}")] {
        assert_eq!(
            hub.admin().naming(&host).get(path).await.status,
            200,
            "{host}"
        );
    }
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "localhost:1".to_owned(),
    ] {
        let answer = hub.admin().naming(&host).get(path).await;
        assert_eq!(answer.status, 403, "{host}");
        error_of(&answer.text);
    }
    for (name, value, status) in [
        ("origin", "null", 400),
        ("upgrade", "websocket", 400),
        ("sec-fetch-mode", "no-cors", 400),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", "https://evil.example", 403),
    ] {
        let answer = hub
            .admin()
            .header(name, value)
            .send("POST", "/stop", "")
            .await;
        assert_eq!(answer.status, status, "{name}: {value}");
        error_of(&answer.text);
    }
    let own = format!("http://localhost:{port}");
    let answer = hub.admin().header("origin", &own).get(path).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.header("access-control-allow-origin")
        ),
        (200, own.as_str())
    );
    let preflight = hub
        .admin()
        .header("origin", &own)
        .send("OPTIONS", "/load", "")
        .await;
    assert_eq!(preflight.status, 204);
    // The hub serves: nothing above stopped it.
    assert_eq!(hub.client().get("/healthz").await.status, 200);
}

/// `localhost` is both loopback addresses, where there are both.
#[tokio::test]
async fn both_families() {
    let hub = ordinary();
    let port = hub.admin.port();
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    for address in ["127.0.0.1", "[::1]"] {
        let address = format!("{address}:{port}");
        let request = format!("GET /mercure/health/live HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let head = raw::head(address.parse().unwrap(), request).await;
        assert_eq!(raw::status(&head), 200, "{address}");
    }
}

/// A head that is too long, a body that is, and connections beyond the bound cost a refusal, not the hub.
#[tokio::test]
async fn bounds() {
    let hub = ordinary();
    let long = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nA: {}\r\n\r\n",
        hub.admin,
        "a".repeat(20_000)
    );
    let answer = raw::exchange(hub.admin, long.as_bytes()).await;
    assert_eq!(raw::status(&answer), 431);
    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(tokio::net::TcpStream::connect(hub.admin).await.unwrap());
    }
    assert_eq!(hub.client().get("/healthz").await.status, 200);
    drop(idle);
    talaria_conformance::within("room for a connection", async {
        while hub.admin().try_send("GET", "/metrics", "").await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// A port that is taken is a warning, and the hub serves.
#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let hub = Home::new()
        .start(
            "http://127.0.0.1:0",
            "anonymous\ntransport memory",
            &[("CADDY_ADMIN", &address)],
        )
        .unwrap();
    assert_eq!(hub.client().get("/healthz").await.status, 200);
    let lines = hub.log_to_the_end().await;
    assert!(
        lines
            .iter()
            .any(|line| line.contains("WARN") && line.contains("admin listener is off")),
        "{lines:?}"
    );
}

/// `admin off` is off, and so is `CADDY_ADMIN=off`; the option takes precedence over the variable.
#[tokio::test]
async fn off() {
    let free = talaria_conformance::free_port().to_string();
    let on = format!("127.0.0.1:{free}");
    for (options, variable) in [("admin off", on.as_str()), ("", "off")] {
        let variables = [("GLOBAL_OPTIONS", options), ("CADDY_ADMIN", variable)];
        let hub = Home::new().start(
            "http://127.0.0.1:0",
            "anonymous\ntransport memory",
            &variables,
        );
        let hub: Hub = hub.unwrap();
        assert_eq!(hub.client().get("/healthz").await.status, 200);
        assert!(tokio::net::TcpStream::connect(&on).await.is_err());
        let lines = hub.log_to_the_end().await;
        assert!(
            !lines.iter().any(|line| line.contains("admin endpoints")),
            "{lines:?}"
        );
    }
}

/// A socket in the file system has mode 0600, needs no name of a host, and is removed at the end.
#[tokio::test]
async fn unix_socket() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let path = home.path().join("admin.sock");
    // A socket that was left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("unix/{}", path.display());
    let variables = [("CADDY_ADMIN", address.as_str())];
    let mut hub = home
        .start(
            "http://127.0.0.1:0",
            "anonymous\ntransport memory",
            &variables,
        )
        .unwrap();
    hub.log
        .find(0, talaria_conformance::PATIENCE, |line| {
            line.contains("admin endpoints are served").then_some(())
        })
        .unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut socket = UnixStream::connect(&path).unwrap();
    socket
        .write_all(b"GET /mercure/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stopped = home
        .program()
        .args(["stop", "--address", &address])
        .output()
        .unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(hub.exit(talaria_conformance::PATIENCE).await.success());
    assert!(!path.exists());
}
