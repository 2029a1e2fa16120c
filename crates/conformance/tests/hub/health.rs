//! `/healthz` (B-083, B-656) as orchestrators ask for it: by a pod's address, by `localhost`, by HTTP/1.0
//! without a host, and without verifying a certificate.

use std::process::Command;

use talaria_conformance::client::target;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::raw;

const DIRECTIVES: &str = "anonymous\ntransport memory";
const HOSTS: [&str; 8] = [
    "localhost",
    "127.0.0.1:1",
    "[::1]:80",
    "10.244.3.7:3000",
    "hub-0.hub.default.svc.cluster.local",
    "hub-7d9f6c:8080",
    "",
    "HUB.EXAMPLE.",
];

/// On a site that names its host `/healthz` answers whatever host, method and version; 421 stays
/// for the hub itself.
#[tokio::test]
async fn health_answers_any_host() {
    let hub = Hub::start_on("http://hub.example:0", DIRECTIVES);
    for host in HOSTS {
        for method in ["GET", "HEAD", "POST"] {
            for version in ["1.0", "1.1"] {
                let request = format!(
                    "{method} /healthz HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                );
                let answer = raw::exchange(hub.address, request.as_bytes()).await;
                assert_eq!(raw::status(&answer), 200, "{request}{answer}");
                assert!(answer.to_ascii_lowercase().contains("no-store"), "{answer}");
            }
        }
        let elsewhere = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
            target(&[("match", "a")])
        );
        let answer = raw::exchange(hub.address, elsewhere.as_bytes()).await;
        // An empty name is not one (RFC 9110, section 4.2.1).
        let status = if host.is_empty() { 400 } else { 421 };
        assert_eq!(raw::status(&answer), status, "{elsewhere}{answer}");
    }
    let nameless = raw::exchange(hub.address, b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(raw::status(&nameless), 200, "{nameless}");
    let absolute = b"GET http://10.0.0.1/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let absolute = raw::exchange(hub.address, absolute).await;
    assert_eq!(raw::status(&absolute), 200, "{absolute}");
    let asking = hub.client().naming("10.244.3.7:3000").http2();
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        assert_eq!(asking.send(method, "/healthz", "").await.status, 200);
    }
    assert_eq!(asking.get(&target(&[("match", "a")])).await.status, 421);
    // For the hub itself these are 400 (RFC 9112, section 3.2).
    for hosts in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a@b\r\n",
        "Host: \u{e9}\r\n",
        "Host: a:b\r\n",
    ] {
        for (path, status) in [("/healthz", 200), ("/healthzz", 400)] {
            let request = format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
            let answer = raw::exchange(hub.address, request.as_bytes()).await;
            assert_eq!(raw::status(&answer), status, "{request}{answer}");
        }
    }
}

/// What curl, which verifies nothing, is answered.
fn unverified(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args([
            "-sSk",
            "--max-time",
            "20",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ])
        .args(arguments)
        .output()
        .expect("curl is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// Over HTTPS by address (no name in the handshake) and by a pod's name, and on the port whose requests
/// are redirected.
#[tokio::test]
async fn health_answers_over_https_and_before_the_redirect() {
    let home = Home::new();
    let (http, https) = (
        talaria_conformance::free_port(),
        talaria_conformance::free_port(),
    );
    let options = format!("http_port {http}\nhttps_port {https}\nskip_install_trust");
    let _hub = home
        .start("localhost", DIRECTIVES, &[("GLOBAL_OPTIONS", &options)])
        .expect("it starts");
    let by_address = format!("https://127.0.0.1:{https}");
    let pod = "hub-0.hub.default.svc";
    let resolve = format!("{pod}:{https}:127.0.0.1");
    let by_name = format!("https://{pod}:{https}");
    for version in ["--http1.1", "--http2"] {
        let ask = |url: &str| unverified(&[version, "--resolve", &resolve, url]);
        for site in [&by_address, &by_name] {
            assert_eq!(ask(&format!("{site}/healthz")), "200", "{site}");
            let hub = format!("{site}/.well-known/mercure?match=a");
            assert_eq!(ask(&hub), "421", "{site}");
        }
    }
    for (host, version) in [
        ("localhost", "--http1.1"),
        ("10.0.0.1", "--http1.1"),
        ("", "--http1.0"),
    ] {
        let field = format!("Host: {host}");
        let asked = format!("http://127.0.0.1:{http}/healthz");
        assert_eq!(
            unverified(&[version, "-H", &field, &asked]),
            "200",
            "{host}"
        );
        assert_eq!(
            unverified(&[version, "-H", &field, "-I", &asked]),
            "200",
            "{host}"
        );
    }
    let other = format!("http://127.0.0.1:{http}/healthzz");
    assert_eq!(unverified(&[&other]), "308");
    let request = "GET /healthzz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let redirect = raw::head(([127, 0, 0, 1], http).into(), request).await;
    let redirect = redirect.to_ascii_lowercase();
    assert!(redirect.contains("no-store"), "{redirect}");
}
