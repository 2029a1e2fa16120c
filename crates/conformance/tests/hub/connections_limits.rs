//! Limits of connections beside `max_connections`: of one address, of handshakes, of descriptors, and on
//! a port of HTTPS.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

use talaria_conformance::client::form;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, count, raw, within};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::https::curl;

use crate::connections::{OTHER, THIRD, closed, fill, silent};

/// `max_connections_per_address` bounds one address, but no trusted proxy.
#[tokio::test]
async fn an_address_may_have_a_bound() {
    let hub = Hub::start(
        "anonymous\ntransport memory\nmax_connections_per_address 3\ntrusted_proxies 127.0.0.3",
    );
    let (streams, refused) = fill(&hub, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    assert_eq!(streams.len(), 3);
    assert!(refused.text.contains("max_connections"), "{}", refused.text);
    let (others, _) = fill(&hub, OTHER).await;
    assert_eq!(others.len(), 3);
    let proxy = hub.client().from(THIRD);
    let mut proxied = Vec::new();
    for _ in 0..10 {
        proxied.push(proxy.subscribe(&[exact("a")]).await);
    }
}

/// An address with too many TLS handshakes under way has its further ones closed.
#[tokio::test]
async fn handshakes_are_bounded() {
    let (home, hub) = secure("max_handshakes 10\nmax_connections 100\nheader_timeout 60s");
    let mut begun = JoinSet::new();
    for _ in 0..20 {
        let mut stream = silent(hub.address, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        let _ = stream.write_all(b"\x16").await;
        begun.spawn(async move { closed(&mut stream).await });
    }
    for _ in 0..12 {
        within("a refusal", begun.join_next())
            .await
            .unwrap()
            .unwrap();
    }
    let healthy = ask(&home, &hub, "127.0.0.2", "/healthz");
    assert_eq!(healthy, "200");
}

/// A listener of HTTPS at its limit answers as one of HTTP does.
#[tokio::test]
async fn https_at_the_limit_serves_on() {
    let (home, hub) = secure("max_connections 10\nmax_handshakes 100");
    let root = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    let stream = format!("https://localhost:{}{HUB_PATH}?match=a", hub.address.port());
    let mut subscribers = Vec::new();
    within("the limit", async {
        while ask(&home, &hub, "127.0.0.1", "/robots.txt") != "503" {
            let subscriber = Command::new("curl")
                .args(["-4sN", "--cacert"])
                .arg(&root)
                .arg(&stream)
                .stdout(Stdio::null())
                .spawn();
            subscribers.push(Killed(subscriber.expect("curl is installed")));
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(ask(&home, &hub, "127.0.0.1", "/healthz"), "200");
    assert_eq!(ask(&home, &hub, "127.0.0.2", "/robots.txt"), "200");
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hub on a port of HTTPS alone.
fn secure(directives: &str) -> (Home, Hub) {
    let home = Home::new();
    let name = format!("https://localhost:{}", talaria_conformance::free_port());
    let directives = format!("anonymous\ntransport memory\n{directives}");
    let options = [(
        "GLOBAL_OPTIONS",
        "skip_install_trust\nauto_https disable_redirects",
    )];
    let hub = home.start(&name, &directives, &options);
    (home, hub.expect("it starts"))
}

/// The status of an answer over HTTPS to a client of this address.
fn ask(home: &Home, hub: &Hub, from: &str, path: &str) -> String {
    let url = format!("https://localhost:{}{path}", hub.address.port());
    let status = [
        "-4",
        "--interface",
        from,
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
    ];
    let answer = curl(home, &[&status[..], &[url.as_str()]].concat());
    String::from_utf8(answer.stdout).expect("text")
}

/// With 256 descriptors and 400 peers, of which half send nothing and half subscribe, the hub
/// stores updates, also while it begins segments, and reports that it is healthy.
#[tokio::test]
async fn descriptors_are_left_for_the_history() {
    let home = Home::new();
    let directives = "anonymous\ntransport bolt {\nmax_bytes 2MiB\n}";
    let hub = home.hub_with_files(256, directives).expect("it starts");
    let mut kept = hub.publisher().from(OTHER).keep().await;
    let subscribe = format!(
        "GET {HUB_PATH}?match=b HTTP/1.1\r\nHost: {}\r\n\r\n",
        hub.host
    );
    let mut peers = Vec::new();
    for number in 0..400 {
        let mut stream = silent(hub.address, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        if number % 2 == 0 {
            let _ = stream.write_all(subscribe.as_bytes()).await;
        }
        peers.push(stream);
    }
    let data = "x".repeat(30_000);
    for number in 0..count(400, 200) {
        let fields = [("topic", "a"), ("data", data.as_str())];
        let stored = match number % 2 {
            // One that waited for a second makes room itself, and its client opens another.
            0 => {
                within("room", async {
                    while kept.try_publish(&fields).await.is_none() {
                        kept = hub.publisher().from(OTHER).keep().await;
                    }
                    true
                })
                .await
            }
            // The silent ones make room once they had time for a request.
            _ => {
                within("room", async {
                    while hub
                        .publisher()
                        .from(OTHER)
                        .form()
                        .try_send("POST", HUB_PATH, form(&fields))
                        .await
                        .is_none_or(|answer| answer.status != 200)
                    {}
                    true
                })
                .await
            }
        };
        assert!(stored, "publish {number}");
        if number % 50 == 0 {
            // While many come at once some are closed, and ask again.
            within("health", async {
                let ask = || async { hub.client().try_send("GET", "/healthz", "").await };
                while ask().await.is_none_or(|answer| answer.status != 200) {}
            })
            .await;
        }
    }
    drop(peers);
}

/// With 256 descriptors and 1,000 clients, of which half send nothing and half subscribe, the streams that were there
/// and a publisher go on; after the clients have left, others are served as before.
#[tokio::test]
async fn a_thousand_clients_stop_no_other() {
    let home = Home::new();
    let directives = "anonymous\ntransport bolt {\nmax_bytes 16MiB\n}";
    let hub = home.hub_with_files(256, directives).expect("it starts");
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(hub.client().from(OTHER).subscribe(&[exact("a")]).await);
    }
    let subscribe = format!(
        "GET {HUB_PATH}?match=a HTTP/1.1\r\nHost: {}\r\n\r\n",
        hub.host
    );
    let mut kept = hub.publisher().from(THIRD).keep().await;
    let mut published = 0;
    let mut clients = Vec::new();
    for number in 0..1_000 {
        let mut stream = silent(hub.address, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        if number % 2 == 0 {
            let _ = stream.write_all(subscribe.as_bytes()).await;
        }
        clients.push(stream);
        if number % 20 == 0 {
            let data = published.to_string();
            let fields = [("topic", "a"), ("data", data.as_str())];
            within("the publisher", async {
                // A connection that was idle for a second makes room, and its client opens another.
                while kept.try_publish(&fields).await.is_none() {
                    kept = hub.publisher().from(THIRD).keep().await;
                }
            })
            .await;
            published += 1;
        }
    }
    for stream in &mut streams {
        for number in 0..published {
            assert_eq!(stream.data().await, number.to_string());
        }
    }
    drop(clients);
    let mut more = Vec::new();
    within("room for all", async {
        while more.len() < 60 {
            let client = hub.client().from(Ipv4Addr::LOCALHOST);
            let target = format!("{HUB_PATH}?match=a");
            let (answer, local) = client.open("GET", &target, "".into()).await;
            if answer.status() == 200 {
                more.push(EventStream::new(answer, local));
            }
        }
    })
    .await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "all")])
        .await;
    for stream in streams.iter_mut().chain(&mut more) {
        assert_eq!(stream.data().await, "all");
    }
}

/// The log warns at start of a `max_connections` that the descriptors do not allow.
#[tokio::test]
async fn a_limit_beyond_the_descriptors_is_warned_of() {
    let home = Home::new();
    let directives = "anonymous\ntransport memory\nmax_connections 5000";
    let hub = home.hub_with_files(256, directives).expect("it starts");
    let said = hub.log.since(0).join("\n");
    assert!(said.contains("LimitNOFILE"), "{said}");
    let head = raw::head(hub.address, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(raw::status(&head), 200);
}
