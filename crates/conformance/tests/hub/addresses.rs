//! Which hosts a hub serves, and where it listens: the site address decides the first, and only
//! `bind` the second (B-061).

use std::net::SocketAddr;

use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, Hub};
use tokio::net::TcpStream;

const DIRECTIVES: &str = "anonymous\ntransport memory";

/// The status of a page that every site has, asked of 127.0.0.1 under this host.
async fn status(hub: &Hub, host: &str) -> u16 {
    let client = Client::new(hub.address, host);
    client.get("/robots.txt").await.status.as_u16()
}

/// Addresses that this machine does not have, as behind NAT and in containers; names; IPv6.
#[tokio::test]
async fn an_address_restricts_the_host_only() {
    for (name, served, others) in [
        (
            "http://192.0.2.10:0",
            &["192.0.2.10", "192.0.2.10:3453"][..],
            &["192.0.2.11", "localhost"][..],
        ),
        (
            "http://[2001:db8:0::7]:0",
            &["[2001:db8::7]:80", "[2001:DB8:0:0:0:0:0:7]"],
            &["[2001:db8::8]", "192.0.2.10"],
        ),
        (
            "http://127.0.0.1:0",
            &["127.0.0.1"],
            &["localhost", "[::1]"],
        ),
        (
            "http://localhost:0",
            &["localhost", "LOCALHOST:80"],
            &["127.0.0.1"],
        ),
        (
            "http://hub.example:0",
            &["hub.example"],
            &["example", "127.0.0.1"],
        ),
        ("http://:0", &["192.0.2.1", "hub.example", "[::1]"], &[]),
        ("http://0.0.0.0:0", &["192.0.2.1", "0.0.0.0"], &[]),
        ("http://[::]:0", &["192.0.2.1", "[::]"], &[]),
        (
            "http://192.0.2.10:0 http://hub.example:0",
            &["192.0.2.10", "hub.example"],
            &["localhost"],
        ),
    ] {
        let hub = Hub::start_on(name, DIRECTIVES);
        for host in served {
            assert_eq!(status(&hub, host).await, 200, "{name} asked as {host}");
        }
        for host in others {
            assert_eq!(status(&hub, host).await, 421, "{name} asked as {host}");
        }
    }
}

/// Over HTTPS the certificate is for the address, and the hub listens on all interfaces.
#[tokio::test]
async fn an_https_address_needs_no_interface() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let name = format!("https://192.0.2.10:{port}");
    let _hub = home
        .start(
            &name,
            DIRECTIVES,
            &[(
                "GLOBAL_OPTIONS",
                "skip_install_trust\nauto_https disable_redirects",
            )],
        )
        .expect("it starts");
    let connect = format!("192.0.2.10:{port}:127.0.0.1:{port}");
    let url = format!("{name}/robots.txt");
    let answer = crate::https::curl(&home, &["--connect-to", &connect, &url]);
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(
        text.contains("User-agent"),
        "{text}{}",
        String::from_utf8_lossy(&answer.stderr)
    );
}

/// Whether a program listens at this address.
async fn listens(ip: [u8; 4], port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((ip, port)))
        .await
        .is_ok()
}

fn file(home: &Home, text: &str) {
    home.configure(text);
}

/// `bind` of the site and `default_bind` of the global options choose the interface, also that of the
/// redirects; the addresses of the log are those that were bound.
#[tokio::test]
async fn bind_restricts_the_interface() {
    let loopback = [127, 0, 0, 1];
    let second = [127, 0, 0, 2];
    let home = Home::new();
    for (global, site) in [
        ("", "bind 127.0.0.2"),
        ("default_bind 127.0.0.2", ""),
        ("default_bind 127.0.0.1", "bind 127.0.0.2"),
    ] {
        let port = talaria_conformance::free_port();
        file(
            &home,
            &format!(
                "{{\n {global}\n}}\nhttp://hub.example:{port} {{\n {site}\n mercure {{\n {DIRECTIVES}\n }}\n}}\n"
            ),
        );
        let hub = home.start("ignored", "", &[]).expect("it starts");
        let listening = format!("127.0.0.2:{port}");
        let said = hub.log.since(0).join("\n");
        assert!(said.contains(&listening), "{said}");
        assert!(
            listens(second, port).await && !listens(loopback, port).await,
            "{global} {site}"
        );
    }
    let (http, https) = (
        talaria_conformance::free_port(),
        talaria_conformance::free_port(),
    );
    let options = format!(
        "http_port {http}\nhttps_port {https}\nskip_install_trust\ndefault_bind 127.0.0.1, 127.0.0.2"
    );
    std::fs::remove_file(home.path().join("Caddyfile")).expect("it is there");
    let _hub = home
        .start("localhost", DIRECTIVES, &[("GLOBAL_OPTIONS", &options)])
        .expect("it starts");
    for port in [http, https] {
        assert!(listens(loopback, port).await && listens(second, port).await);
        assert!(!listens([127, 0, 0, 3], port).await, "port {port}");
    }
}

/// Each mistake is an error at its line, with the remedy.
#[tokio::test]
async fn a_wrong_bind_is_refused() {
    let home = Home::new();
    for (bind, words) in [
        ("bind", "at least one IP address"),
        ("bind 127.0.0.1:80", "leave the port out"),
        ("bind eth0", "is not an IP address"),
        ("bind unix//run/hub.sock", "is not an IP address"),
        ("bind 127.0.0.1 127.0.0.1", "occurs twice"),
        ("bind 127.0.0.1\n bind 127.0.0.2", "occurs twice"),
        ("bind 192.0.2.77", "take addresses of this machine"),
    ] {
        file(
            &home,
            &format!("http://hub.example:0 {{\n {bind}\n mercure {{\n {DIRECTIVES}\n }}\n}}\n"),
        );
        let said = home.start("ignored", "", &[]).err().unwrap_or_default();
        assert!(said.contains(words), "{bind}: {said}");
        let at_start = !bind.contains("192.0.2.77");
        assert!(
            !at_start || said.contains("Caddyfile:2:") || said.contains("Caddyfile:3:"),
            "{bind}: {said}"
        );
    }
}

/// A port that another program has for IPv6 alone is not a reason to listen on IPv4 alone: half of the
/// clients would reach the other program.
#[tokio::test]
async fn a_port_in_use_is_reported() {
    let other = std::net::TcpListener::bind("[::1]:0").expect("IPv6 is there");
    let port = other.local_addr().expect("it is bound").port();
    let home = Home::new();
    let started = home.start(&format!("http://:{port}"), DIRECTIVES, &[]);
    let said = started.err().unwrap_or_default();
    assert!(said.contains("stop what uses it"), "{said}");
}
