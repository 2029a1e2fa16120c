//! Authorities that are down, slow, or answer anything but ACME.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use talaria_conformance::free_port;
use talaria_conformance::hub::Home;

use super::pebble::{Pebble, Ways, curl};
use super::{NAME, page, said, start, start_and_stop};

/// An authority that is down, slow or answers garbage: the hub starts and serves, shows what it has, and says why a
/// handshake is refused.
#[tokio::test]
async fn an_authority_at_fault_does_not_stop_the_hub() {
    let home = Home::new();
    let mut pebble = Pebble::start(Ways::default());
    start_and_stop(&home, &pebble).await;
    let root = pebble.issuing_root();
    let files = home.path().join("data/caddy/certificates");
    let options = pebble.options();
    pebble.end();
    let hub = start(&home, NAME, &options, "");
    assert!(page(&root, NAME, pebble.https).is_some());
    hub.stop().await;
    std::fs::remove_dir_all(files).expect("the certificates");

    let (slow, garbage) = (silent(), babbling());
    for (port, why) in [
        (free_port(), "no certificate: "),
        (garbage, "no certificate: "),
        (slow, "ordering a certificate"),
    ] {
        let ca = format!("acme_ca https://localhost:{port}/dir");
        let options = options.replace(&format!("acme_ca {}", pebble.directory()), &ca);
        let plain = free_port();
        let names = format!("{NAME}, http://127.0.0.1:{plain}");
        let hub = start(&home, &names, &options, "");
        said(&hub, 0, why);
        let healthz = format!("http://127.0.0.1:{plain}/healthz");
        assert!(curl(&root, &["-f", &healthz]).status.success(), "{why}");
        assert!(page(&root, NAME, pebble.https).is_none());
        said(
            &hub,
            0,
            "TLS handshake refused, because there is no certificate yet",
        );
        hub.stop().await;
    }
}

/// An answer that is HTTPS and no ACME.
#[tokio::test]
async fn an_answer_that_is_not_acme_is_refused() {
    let home = Home::new();
    crate::https::certify(home.path(), "localhost", ["site.pem", "site.key"]);
    for (number, answer) in [
        "HTTP/1.0 200 OK\r\n\r\n[]".to_owned(),
        "HTTP/1.0 500 Oops\r\n\r\n\u{1b}[31mred".to_owned(),
        format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(1 << 20)),
        "HTTP/1.0 302 Found\r\nLocation: https://example.com/\r\n\r\n".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        std::fs::write(home.path().join("dir"), answer).expect("a file");
        let port = free_port();
        let mut server = Command::new("openssl")
            .args(["s_server", "-quiet", "-HTTP", "-accept", &port.to_string()])
            .args(["-cert", "site.pem", "-key", "site.key"])
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let options = format!(
            "http_port {}\nhttps_port {}\nskip_install_trust\nacme_ca https://localhost:{port}/dir\nacme_ca_root site.pem",
            free_port(),
            free_port()
        );
        let hub = start(&home, NAME, &options, "");
        said(&hub, 0, "no certificate: ");
        let lines = hub.log_to_the_end().await;
        assert!(
            lines
                .iter()
                .all(|line| line.len() < 1_000 && !line.contains('\u{1b}')),
            "{number}"
        );
        server.kill().expect("it runs");
        server.wait().expect("it ends");
    }
}

/// A server that accepts connections and says nothing; it ends with the test.
fn silent() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        held.extend(listener.incoming());
    });
    port
}

/// A server that answers everything with bytes of no protocol.
fn babbling() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(&[0xa5; 4096]);
        }
    });
    port
}
