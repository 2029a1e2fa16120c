//! Where HTTP/3 is offered, and the global option `protocols` (B-060, B-296).

use std::net::UdpSocket;
use std::process::Command;

use quinn::TransportConfig;
use talaria_conformance::hub::Home;
use talaria_conformance::{PATIENCE, free_port, within};

use super::client::{Connected, Secure, connect};
use crate::https::curl;
use crate::running::{Running, caddyfile};

/// The head of a page that curl gets with these options.
fn head(home: &Home, port: u16, options: &[&str]) -> Option<String> {
    let url = format!("https://localhost:{port}/robots.txt");
    let output = curl(
        home,
        &[&["-D", "-", "-o", "/dev/null", url.as_str()], options].concat(),
    );
    let head = String::from_utf8(output.stdout)
        .expect("text")
        .to_ascii_lowercase();
    Some(head).filter(|head| !head.is_empty())
}

/// Whether a socket of the machine has this port of UDP.
fn has_udp(port: u16) -> bool {
    let wanted = format!(":{port:04X} ");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        table.contains(&wanted)
    })
}

/// Answers over HTTP/1.1 and HTTP/2 name the port of HTTP/3; those over HTTP/3 and plain HTTP do not.
#[tokio::test]
async fn https_says_where_http3_is() {
    let secure = Secure::start("");
    for version in ["--http1.1", "--http2"] {
        let head = head(&secure.home, secure.port, &[version]).unwrap();
        let expected = format!("alt-svc: h3=\":{}\"; ma=2592000\r\n", secure.port);
        assert!(head.contains(&expected), "{head}");
    }
    assert!(has_udp(secure.port));
    let answer = secure
        .connect()
        .await
        .ask("GET", "/robots.txt", &[], "")
        .await;
    assert!(!answer.headers.contains_key("alt-svc"));
    let plain = talaria_conformance::hub::Hub::ordinary();
    let answer = plain.client().send("GET", "/robots.txt", "").await;
    assert_eq!(answer.header("alt-svc"), "");
    assert!(!has_udp(plain.address.port()));
}

/// `protocols` without `h3`: no socket of UDP, and nothing says that there is one.
#[tokio::test]
async fn http3_can_be_switched_off() {
    let secure = Secure::with_options("", "servers {\n protocols h1 h2\n}");
    let head = head(&secure.home, secure.port, &["--http2"]).unwrap();
    assert!(
        head.starts_with("http/2 200") && !head.contains("alt-svc"),
        "{head}"
    );
    assert!(!has_udp(secure.port));
}

/// `protocols` without `h2`: clients that could speak it speak HTTP/1.1.
#[tokio::test]
async fn http2_can_be_switched_off() {
    let secure = Secure::with_options("", "servers {\n protocols h1 h3\n}");
    let page = head(&secure.home, secure.port, &["--http2"]).unwrap();
    assert!(
        page.starts_with("http/1.1 200") && page.contains("alt-svc"),
        "{page}"
    );
    let home = Home::new();
    let options = [("GLOBAL_OPTIONS", "servers {\n protocols h1\n}")];
    let hub = home.start(
        "http://127.0.0.1:0",
        "anonymous\ntransport memory",
        &options,
    );
    let hub = hub.expect("it starts");
    let url = format!("http://{}/robots.txt", hub.host);
    let prior = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--http2-prior-knowledge", &url])
        .output()
        .expect("curl is installed");
    assert!(!prior.status.success());
    let refused = hub.log.find(0, PATIENCE, |line| {
        line.contains("http_version").then_some(())
    });
    refused.expect("a line about it");
}

/// A hub whose UDP port another program has serves HTTPS, and says why there is no HTTP/3.
#[tokio::test]
async fn a_taken_port_costs_http3_only() {
    let (home, port) = (Home::new(), free_port());
    let _taken = UdpSocket::bind(("::", port)).expect("a free port");
    let name = format!("https://localhost:{port}");
    let hub = home
        .start(&name, "anonymous\ntransport memory", &[])
        .expect("it starts");
    let told = hub.log.find(0, PATIENCE, |line| {
        (line.contains("no HTTP/3") && line.contains("protocols h1 h2")).then_some(())
    });
    told.expect("a line about it");
    let head = head(&home, port, &["--http2"]).unwrap();
    assert!(
        head.starts_with("http/2 200") && !head.contains("alt-svc"),
        "{head}"
    );
}

/// Whether the hub answers a request on an open connection.
async fn is_answered(client: &mut Connected) -> bool {
    match client.open("GET", "/robots.txt", &[], "").await {
        Ok(mut stream) => stream.recv_response().await.is_ok(),
        Err(_) => false,
    }
}

/// A reload without `h3` ends requests on open connections and has browsers forget HTTP/3, although a stream is
/// open; one with it has it back on the same port.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_switches_http3_off_and_on() {
    let port = free_port();
    let text = |protocols: &str| {
        let options = format!("skip_install_trust\nservers {{\nprotocols {protocols}\n}}");
        caddyfile(&options, "").replace("http://127.0.0.1:0", &format!("https://localhost:{port}"))
    };
    let hub = Running::start(&text("h1 h2 h3"), &[]);
    let reload = |protocols: &str| {
        hub.home.configure(text(protocols));
        let (code, said) = hub.verb(&["reload"]);
        assert_eq!(code, Some(0), "{said}");
    };
    let offer = || head(&hub.home, port, &["--http2"]).unwrap();
    let mut client = connect(&hub.home, port, TransportConfig::default()).await;
    let _stream = client.subscribe("a", &[]).await;
    assert!(is_answered(&mut client).await);
    for _ in 0..2 {
        reload("h1 h2");
        within("the end of requests", async {
            while is_answered(&mut client).await {}
        })
        .await;
        let head = offer();
        assert!(head.contains("alt-svc: clear\r\n"), "{head}");
        reload("h1 h2 h3");
        let head = offer();
        assert!(head.contains("alt-svc: h3="), "{head}");
        client = connect(&hub.home, port, TransportConfig::default()).await;
        assert!(is_answered(&mut client).await);
    }
}
