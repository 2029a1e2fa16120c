//! Certificates by ACME (B-064, B-070), from `pebble`.

mod faults;
mod pebble;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::log::Log;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{PATIENCE, free_port};

use self::pebble::{Pebble, Ways, curl};

const NAME: &str = "hub.example.com";
const DIRECTIVES: &str = "anonymous\ntransport memory";
/// An order has several requests and waits; a renewal waits for the age of its certificate.
const ORDER: Duration = Duration::from_secs(60);

fn start(home: &Home, server_name: &str, options: &str, site: &str) -> Hub {
    let variables = [
        ("GLOBAL_OPTIONS", options),
        ("CADDY_SERVER_EXTRA_DIRECTIVES", site),
    ];
    home.start(server_name, DIRECTIVES, &variables)
        .unwrap_or_else(|said| panic!("it does not start:\n{said}"))
}

/// Waits for a line of the log from number `from` on, and gives the number of lines up to then.
fn said(hub: &Hub, from: usize, text: &str) -> usize {
    let found = hub
        .log
        .find(from, ORDER, |line| line.contains(text).then_some(()));
    if found.is_err() {
        panic!("{text:?} is not in:\n{}", hub.log.since(0).join("\n"));
    }
    let lines = hub.log.since(0);
    let at = lines.iter().skip(from).position(|line| line.contains(text));
    from + at.expect("it was found") + 1
}

/// Asks the site over HTTPS; `None` if the handshake fails.
fn page(root: &Path, name: &str, port: u16) -> Option<String> {
    let resolve = format!("{name}:{port}:127.0.0.1");
    let url = format!("https://{name}:{port}/robots.txt");
    let answer = curl(root, &["--resolve", &resolve, &url]);
    let text = String::from_utf8(answer.stdout).expect("text");
    answer.status.success().then_some(text)
}

/// The serial number of the certificate that is shown.
fn serial(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername {NAME} </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    let output = Command::new("sh").args(["-c", &script]).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

/// Each challenge is enough. The files are where the existing hub has them, and for their owner alone. After a
/// restart the stored certificate is shown, and nothing is ordered.
#[tokio::test]
async fn a_certificate_is_issued_over_each_challenge() {
    for disabled in ["disable_tlsalpn_challenge", "disable_http_challenge"] {
        let home = Home::new();
        let pebble = Pebble::start(Ways::default());
        let site = format!(
            "tls {{\n issuer acme {{\n dir {}\n trusted_roots {}\n email a@example.com\n {disabled}\n }}\n}}",
            pebble.directory(),
            pebble.root().display()
        );
        let hub = start(&home, NAME, &pebble.options(), &site);
        said(&hub, 0, "got a certificate");
        let root = pebble.issuing_root();
        assert!(
            page(&root, NAME, pebble.https)
                .expect("HTTPS")
                .contains("Disallow")
        );
        let caddy = home.path().join("data/caddy");
        let folder = caddy.join("certificates").join(pebble.files()).join(NAME);
        let users = caddy
            .join("acme")
            .join(pebble.files())
            .join("users/a@example.com");
        for file in [
            folder.join(format!("{NAME}.crt")),
            folder.join(format!("{NAME}.key")),
            folder.join(format!("{NAME}.json")),
            users.join("a.json"),
            users.join("a.key"),
        ] {
            let mode = |path: &Path| {
                std::fs::metadata(path)
                    .expect("a file")
                    .permissions()
                    .mode()
                    & 0o777
            };
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            assert_eq!(mode(file.parent().expect("a folder")), 0o700);
        }
        let first = serial(pebble.https);
        assert_eq!(pebble.orders(), 1, "{disabled}");
        hub.stop().await;

        let hub = start(&home, NAME, &pebble.options(), &site);
        assert!(page(&root, NAME, pebble.https).is_some());
        assert_eq!(serial(pebble.https), first);
        let lines = hub.log_to_the_end().await;
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("ordering a certificate"))
        );
        assert_eq!(pebble.orders(), 1, "{disabled}");
    }
}

/// Where one challenge fails, the other is tried. A name of this machine has the local certificate beside it, and one
/// that is not served none; the log says what to write.
#[tokio::test]
async fn the_other_challenge_is_tried() {
    let home = Home::new();
    let pebble = Pebble::start(Ways {
        finds_http: false,
        ..Ways::default()
    });
    let names = format!("localhost, {NAME}");
    let hub = start(&home, &names, &pebble.options(), "");
    said(&hub, 0, "got a certificate");
    assert_eq!(pebble.orders(), 2);
    let issued = pebble.issuing_root();
    let local = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    assert!(page(&issued, NAME, pebble.https).is_some());
    assert!(page(&local, NAME, pebble.https).is_none());
    assert!(page(&local, "localhost", pebble.https).is_some());
    assert!(page(&issued, "other.example.com", pebble.https).is_none());
    said(
        &hub,
        0,
        &format!("SERVER_NAME=\"localhost, {NAME}, other.example.com\""),
    );
    // No connection of that protocol reaches HTTP, and without a question it has no certificate.
    let alpn = [
        "s_client",
        "-alpn",
        "acme-tls/1",
        "-servername",
        NAME,
        "-connect",
    ];
    let refused = Command::new("openssl")
        .args(alpn)
        .arg(format!("127.0.0.1:{}", pebble.https))
        .stdin(Stdio::null())
        .output();
    let refused = refused.expect("openssl is installed");
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("BEGIN CERTIFICATE"));
}

/// A hub that runs renews in time; a stream that is open meanwhile gets what is published afterwards.
#[tokio::test]
async fn a_renewal_ends_no_stream() {
    let home = Home::new();
    let pebble = Pebble::start(Ways {
        validity: 24,
        ..Ways::default()
    });
    let hub = start(&home, NAME, &pebble.options(), "");
    let issued = said(&hub, 0, "got a certificate");
    let first = serial(pebble.https);
    let root = pebble.issuing_root();
    let port = pebble.https;
    let resolve = format!("{NAME}:{port}:127.0.0.1");
    let url = format!("https://{NAME}:{port}/.well-known/mercure");
    let mut stream = Command::new("curl")
        .args([
            "-sSN",
            "--max-time",
            "120",
            "--resolve",
            &resolve,
            "--cacert",
        ])
        .arg(&root)
        .arg(format!("{url}?match=a"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is installed");
    let lines = Log::collect(stream.stdout.take().expect("its output is ours"));
    lines
        .find(0, PATIENCE, |line| line.starts_with(':').then_some(()))
        .expect("an open stream");

    said(&hub, issued, "got a certificate");
    assert_ne!(serial(port), first);
    assert!(page(&root, NAME, port).is_some());
    let token = hub.sign_as_publisher(&Token::new(&url).grant("publish", &[exact("*")]));
    let bearer = format!("Authorization: Bearer {token}");
    let publish = [
        "--resolve",
        &resolve,
        "-H",
        &bearer,
        "-d",
        "topic=a",
        "-d",
        "data=renewed",
        &url,
    ];
    assert!(curl(&root, &publish).status.success());
    let got = lines.find(0, PATIENCE, |line| (line == "data: renewed").then_some(()));
    got.expect("the stream is still open");
    stream.kill().expect("it runs");
    stream.wait().expect("it ends");
    assert!(pebble.orders() >= 2);
}

/// Two hubs on one data folder have one certificate between them, even if the second starts during the order.
#[tokio::test]
async fn a_second_hub_orders_nothing() {
    let home = Home::new();
    let pebble = Pebble::start(Ways::default());
    let first = start(&home, NAME, &pebble.options(), "");
    said(&first, 0, "ordering a certificate");
    let other = [free_port(), free_port()];
    let options = pebble
        .options()
        .replace(&pebble.http.to_string(), &other[0].to_string())
        .replace(&pebble.https.to_string(), &other[1].to_string());
    let second = start(&home, NAME, &options, "");
    said(&first, 0, "got a certificate");
    let root = pebble.issuing_root();
    let deadline = std::time::Instant::now() + ORDER;
    while page(&root, NAME, other[1]).is_none() {
        assert!(
            std::time::Instant::now() < deadline,
            "the second hub has no certificate"
        );
    }
    assert_eq!(serial(other[1]), serial(pebble.https));
    assert_eq!(pebble.orders(), 1);
    let lines = second.log_to_the_end().await;
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("ordering a certificate"))
    );
}

/// The authorities are asked in their order; a binding to an external account is sent, and its key is in no line.
#[tokio::test]
async fn a_second_authority_and_an_external_account() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let home = Home::new();
    let pebble = Pebble::start(Ways {
        external: Some(("kid-1", KEY)),
        ..Ways::default()
    });
    let options = format!(
        "http_port {}\nhttps_port {}\nskip_install_trust\ncert_issuer acme https://localhost:{}/dir\n\
         cert_issuer acme {{\n dir {}\n trusted_roots {}\n eab kid-1 {KEY}\n }}\n",
        pebble.http,
        pebble.https,
        free_port(),
        pebble.directory(),
        pebble.root().display()
    );
    let hub = start(&home, NAME, &options, "");
    said(&hub, 0, "got a certificate");
    assert!(page(&pebble.issuing_root(), NAME, pebble.https).is_some());
    let lines = hub.log_to_the_end().await;
    assert!(!lines.iter().any(|line| line.contains(KEY)));
}

/// What the existing hub left in the volume is shown, and nothing is ordered (B-070).
#[tokio::test]
async fn a_certificate_of_the_existing_hub_goes_on() {
    let home = Home::new();
    let folder = format!("data/caddy/certificates/acme-v02.api.letsencrypt.org-directory/{NAME}");
    let folder = home.path().join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let files = [format!("{NAME}.crt"), format!("{NAME}.key")];
    crate::https::certify(&folder, NAME, [&files[0], &files[1]]);
    let port = free_port();
    let options = format!(
        "http_port {}\nhttps_port {port}\nskip_install_trust",
        free_port()
    );
    let hub = start(&home, NAME, &options, "");
    assert!(page(&folder.join(&files[0]), NAME, port).is_some());
    let lines = hub.log_to_the_end().await;
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("ordering a certificate"))
    );
}

/// An authority that has lost its accounts gets a new one.
#[tokio::test]
async fn a_lost_account_is_made_anew() {
    let home = Home::new();
    let pebble = Pebble::start(Ways::default());
    start_and_stop(&home, &pebble).await;
    std::fs::remove_dir_all(home.path().join("data/caddy/certificates")).expect("certificates");
    let pebble = pebble.forgetful();
    let hub = start(&home, NAME, &pebble.options(), "");
    said(&hub, 0, "got a certificate");
    assert!(page(&pebble.issuing_root(), NAME, pebble.https).is_some());
}

/// Runs a hub until it has its certificate.
async fn start_and_stop(home: &Home, pebble: &Pebble) {
    let hub = start(home, NAME, &pebble.options(), "");
    said(&hub, 0, "got a certificate");
    hub.stop().await;
}
