//! The access log: one line for each request, with the fields of the existing server and a few more (B-711).

use serde_json::{Value, json};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact, pattern};
use talaria_conformance::{HUB_PATH, free_port, raw, within};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::{JSON, is_for, lines, parsed, record, request, started};
use crate::http3::client::Secure;

/// A publish and a plain answer have every field.
#[tokio::test]
async fn a_request_has_every_field() {
    let home = Home::new();
    let hub = started(
        &home,
        "",
        "log\n respond /a \"some text\" 418 {\n close\n }\n error /fail 503",
    );
    hub.client()
        .header("user-agent", "tests")
        .get("/a?b=c")
        .await;
    let line = request(&hub, "/a?b=c");
    assert_eq!(
        (&line["level"], &line["logger"]),
        (&json!("info"), &json!("http.log.access"))
    );
    assert_eq!(
        (&line["msg"], &line["status"]),
        (&json!("handled request"), &json!(418))
    );
    assert_eq!((&line["size"], &line["bytes_read"]), (&json!(9), &json!(0)));
    assert!(
        line["duration"]
            .as_f64()
            .is_some_and(|seconds| seconds < 10.0),
        "{line}"
    );
    assert_eq!(line["user_id"], "");
    let asked = &line["request"];
    assert_eq!(
        (&asked["remote_ip"], &asked["client_ip"]),
        (&json!("127.0.0.1"), &json!("127.0.0.1"))
    );
    assert!(
        asked["remote_port"]
            .as_str()
            .is_some_and(|port| port.parse::<u16>().is_ok())
    );
    assert_eq!(
        (&asked["proto"], &asked["method"]),
        (&json!("HTTP/1.1"), &json!("GET"))
    );
    assert_eq!(asked["host"], "127.0.0.1");
    assert_eq!(asked["headers"]["User-Agent"], json!(["tests"]));
    assert_eq!(asked["tls"], Value::Null);
    assert!(
        line["resp_headers"]["Content-Type"][0].is_string(),
        "{line}"
    );
    assert!(
        line["request_id"].as_str().is_some_and(|id| id.len() == 36),
        "{line}"
    );
    hub.client().get("/fail").await;
    let failed = request(&hub, "/fail");
    assert_eq!(
        (&failed["level"], &failed["status"]),
        (&json!("error"), &json!(503))
    );
}

/// Whose token it was, and for which topics; both bounded.
#[tokio::test]
async fn a_publish_has_subject_and_topics() {
    let home = Home::new();
    let hub = started(&home, "", "log");
    let token = Token::older(json!({ "publish": ["*"] })).claim("sub", json!("alice"));
    let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
    let long = "x".repeat(900);
    let mut fields = vec![("topic", "https://example.com/1"), ("topic", long.as_str())];
    fields.extend((0..20).map(|_| ("topic", "a")));
    fields.push(("data", "payload"));
    assert_eq!(publisher.publish(&fields).await.status, 200);
    let line = record(&hub, |record| record["request"]["method"] == "POST");
    assert_eq!(line["subject"], "alice");
    let topics = line["topics"].as_array().expect("topics");
    assert_eq!(topics[0], "https://example.com/1");
    assert!(
        topics[1].as_str().is_some_and(|topic| topic.len() < 300),
        "{line}"
    );
    assert_eq!(topics.len(), 9, "{line}");
    assert_eq!(topics[8], "… 14 more");
    assert!(
        line["bytes_read"].as_u64().is_some_and(|bytes| bytes > 900),
        "{line}"
    );
    assert!(!line.to_string().contains("payload"), "{line}");
}

/// A stream has no line while it is open, and one when it ends, with its bytes; over HTTP/2 too.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_logged_when_it_ends() {
    for http2 in [false, true] {
        let home = Home::new();
        let hub = started(&home, "", "log\n respond /mark 200");
        let client = match http2 {
            true => hub.client().http2(),
            false => hub.client(),
        };
        let mut stream = client.subscribe(&[exact("a"), pattern("/b/*")]).await;
        let token = Token::older(json!({ "publish": ["*"] }));
        let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
        assert_eq!(
            publisher
                .publish(&[("topic", "a"), ("data", "hello")])
                .await
                .status,
            200
        );
        assert_eq!(stream.data().await, "hello");
        hub.client().get("/mark").await;
        request(&hub, "/mark");
        let is_stream =
            |record: &Value| is_for(record, HUB_PATH) && record["request"]["method"] == "GET";
        let early = hub.log.since(0);
        assert!(
            !early
                .iter()
                .filter_map(|line| parsed(line))
                .any(|record| is_stream(&record))
        );
        drop(stream);
        let line = record(&hub, is_stream);
        assert_eq!(line["status"], 200);
        assert_eq!(line["topics"], json!(["exact:a", "urlpattern:/b/*"]));
        assert!(
            line["size"].as_u64().is_some_and(|size| size > 10),
            "{line}"
        );
        let proto = if http2 { "HTTP/2.0" } else { "HTTP/1.1" };
        assert_eq!(line["request"]["proto"], proto);
    }
}

/// Over HTTPS the session is there; over HTTP/3 as well.
#[tokio::test(flavor = "multi_thread")]
async fn https_and_http3_are_logged() {
    let (home, port) = (Home::new(), free_port());
    let name = format!("https://localhost:{port}");
    let variables = [JSON, ("CADDY_SERVER_EXTRA_DIRECTIVES", "log")];
    let hub = home.start(&name, "anonymous\ntransport memory", &variables);
    let secure = Secure {
        hub: hub.expect("it starts"),
        home,
        port,
    };
    let url = secure.url("/over-two");
    let output = crate::https::curl(&secure.home, &["--http2", &url]);
    assert!(output.status.success(), "{output:?}");
    let line = request(&secure.hub, "/over-two");
    let tls = &line["request"]["tls"];
    assert_eq!(
        (&tls["proto"], &tls["version"]),
        (&json!("h2"), &json!(772))
    );
    assert_eq!(
        (&tls["server_name"], &tls["resumed"]),
        (&json!("localhost"), &json!(false))
    );
    assert!(
        tls["cipher_suite"]
            .as_u64()
            .is_some_and(|suite| suite > 0x1300),
        "{line}"
    );
    let mut client = secure.connect().await;
    client
        .ask(
            "GET",
            "/over-three",
            &[("authorization", "Bearer canary")],
            "",
        )
        .await;
    let line = request(&secure.hub, "/over-three");
    assert_eq!(line["request"]["proto"], "HTTP/3.0");
    assert_eq!(line["request"]["tls"]["proto"], "h3");
    assert_eq!(
        line["request"]["headers"]["Authorization"],
        json!(["REDACTED"])
    );
    let stream = client.subscribe("a", &[]).await;
    drop(stream);
    drop(client);
    let line = request(&secure.hub, HUB_PATH);
    assert_eq!(
        (&line["status"], &line["topics"]),
        (&json!(200), &json!(["exact:a"]))
    );
}

/// Behind a trusted proxy the client is who the proxy says, and the request has the proxy's id; others cannot choose
/// either.
#[tokio::test]
async fn the_client_is_resolved() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (global, client, is_known) in [
        (
            "servers {\n trusted_proxies static 127.0.0.1\n}",
            "203.0.113.9",
            true,
        ),
        ("", "127.0.0.1", false),
    ] {
        let home = Home::new();
        let hub = started(&home, global, "log\n respond /a 200");
        let proxied = hub.client().header("x-forwarded-for", "203.0.113.9");
        proxied.header("x-request-id", id).get("/a").await;
        let line = request(&hub, "/a");
        assert_eq!(line["request"]["client_ip"], client);
        assert_eq!(line["request"]["remote_ip"], "127.0.0.1");
        assert_eq!(line["request_id"] == id, is_known, "{line}");
    }
}

/// `log_skip`, `log_append` and `log_name` act on the requests that they are for.
#[tokio::test]
async fn single_requests_are_logged_otherwise() {
    let home = Home::new();
    let site = "log\n log other {\n no_hostname\n output file other.log\n }\n log_skip /quiet\n log_append /more region {header.X-Region}\n log_append /more <token {query.t}\n log_name /elsewhere other\n respond 204";
    let hub = started(&home, "", site);
    hub.client().get("/quiet").await;
    hub.client().get("/elsewhere").await;
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJtZXJjdXJlIjp7fX0.c2ln";
    let more = hub.client().header("x-region", "eu");
    more.get(&format!("/more?t={token}")).await;
    let line = request(&hub, "/more");
    assert_eq!(
        (&line["region"], &line["token"]),
        (&json!("eu"), &json!("REDACTED"))
    );
    let other = lines(&home.path().join("other.log"), 1);
    assert!(is_for(&other[0], "/elsewhere"), "{other:?}");
    assert_eq!(other[0]["logger"], "http.log.access.other");
    for line in hub.log_to_the_end().await {
        assert!(
            !line.contains("/quiet") && !line.contains("/elsewhere"),
            "{line}"
        );
    }
}

/// What the routes want is done as well if the client leaves before it is answered.
#[tokio::test]
async fn requests_that_are_given_up_are_logged_otherwise() {
    let home = Home::new();
    let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = upstream.local_addr().expect("an address");
    let site = format!(
        "log\n log other {{\n no_hostname\n output file other.log\n }}\n log_skip /quiet\n log_append /elsewhere region {{header.X-Region}}\n log_name /elsewhere other\n reverse_proxy {address}"
    );
    let hub = started(&home, "", &site);
    for path in ["/quiet", "/elsewhere"] {
        let client = hub.client().http2().header("x-region", "eu");
        let mut passed_on = tokio::select! {
            answer = client.get(path) => panic!("an answer: {}", answer.status),
            accepted = within("the request", upstream.accept()) => accepted.expect("a connection").0,
        };
        // Its client has left, so the hub leaves, too.
        _ = within("the end", passed_on.read_to_end(&mut Vec::new())).await;
    }
    let other = lines(&home.path().join("other.log"), 1);
    assert!(is_for(&other[0], "/elsewhere"), "{other:?}");
    assert_eq!(
        (&other[0]["status"], &other[0]["region"]),
        (&json!(0), &json!("eu"))
    );
    for line in hub.log_to_the_end().await {
        let is_shown = line.contains("/quiet") || line.contains("/elsewhere");
        assert!(!is_shown, "{line}");
    }
}

/// Each site has its logs, and `hostnames` divide the requests of one.
#[tokio::test]
async fn sites_have_logs() {
    let home = Home::new();
    let text = format!(
        "{{\n admin off\n}}\nhttp://127.0.0.1:0 {{\n log\n respond /a one\n {}\n}}\nhttp://b.test:0 {{\n log {{\n output file b.log\n }}\n respond two\n}}\nhttp://c.test:0 {{\n respond three\n}}\nhttp://*.d.test:0 {{\n log x {{\n hostnames x.d.test\n output file x.log\n }}\n log y {{\n hostnames y.d.test\n output file y.log\n }}\n respond four\n}}\n",
        super::BLOCK
    );
    home.configure(text);
    let hub = home.start("ignored", "", &[JSON]).expect("it starts");
    for host in ["b.test", "c.test", "x.d.test", "y.d.test", "z.d.test"] {
        assert_eq!(
            hub.client().naming(host).get("/a").await.status,
            200,
            "{host}"
        );
    }
    hub.client().get("/a").await;
    assert_eq!(request(&hub, "/a")["request"]["host"], "127.0.0.1");
    for (file, host) in [
        ("b.log", "b.test"),
        ("x.log", "x.d.test"),
        ("y.log", "y.d.test"),
    ] {
        let lines = lines(&home.path().join(file), 1);
        assert_eq!(lines.len(), 1, "{file}: {lines:?}");
        assert_eq!(lines[0]["request"]["host"], host);
    }
    let of_requests = hub
        .log_to_the_end()
        .await
        .into_iter()
        .filter_map(|line| parsed(&line));
    let of_requests = of_requests.filter(|record| record["msg"] == "handled request");
    assert_eq!(of_requests.count(), 1);
}

/// A client that leaves before it has an answer, a connection that `abort` ends, and a user of `basic_auth`.
#[tokio::test(flavor = "multi_thread")]
async fn endings_and_users_are_logged() {
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let upstream = slow.local_addr().expect("an address");
    let home = Home::new();
    let hash = "$2b$04$jx1YFxmxmYHbLShBUo9/Z.Jb4YCkZF7icZKpy3X20oU9paZ8Uqqmi";
    let site = format!(
        "log\n abort /abort\n reverse_proxy /slow {upstream}\n basic_auth /in {{\n ann {hash}\n }}\n respond /in 200"
    );
    let hub = started(&home, "", &site);
    let request_of = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            hub.host
        )
    };
    raw::exchange(hub.address, request_of("/abort").as_bytes()).await;
    assert_eq!(request(&hub, "/abort")["status"], 444);
    let client = hub.client().http2();
    let leaving = tokio::spawn(async move { client.get("/slow").await });
    // The hub waits for the other server.
    let _asked = within("the hub to ask", slow.accept())
        .await
        .expect("it asks");
    leaving.abort();
    assert_eq!(request(&hub, "/slow")["status"], 0);
    // `ann:a password`, and another one.
    for (credentials, status, user) in [
        ("YW5uOmEgcGFzc3dvcmQ=", 200, "ann"),
        ("YW5uOndyb25n", 401, ""),
    ] {
        let field = format!("Basic {credentials}");
        let target = format!("/in?status={status}");
        let answer = hub
            .client()
            .header("authorization", &field)
            .get(&target)
            .await;
        assert_eq!(answer.status, status);
        let line = request(&hub, &target);
        assert_eq!(
            (&line["status"], &line["user_id"]),
            (&json!(status), &json!(user))
        );
        assert!(!line.to_string().contains(credentials), "{line}");
    }
}

/// At the end of the program streams have their lines before the last one.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_logs_open_streams() {
    let home = Home::new();
    let hub: Hub = started(&home, "", "log");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let (_, lines) = tokio::join!(stream.end(), hub.log_to_the_end());
    let place = |fits: &dyn Fn(&Value) -> bool| {
        let mut records = lines.iter().map(|line| parsed(line));
        records.position(|record| record.is_some_and(|record| fits(&record)))
    };
    let stream = place(&|record| is_for(record, HUB_PATH)).expect("the stream");
    let stopped = place(&|record| record["event"] == "stopped").expect("the end");
    assert!(stream < stopped, "{lines:?}");
}
