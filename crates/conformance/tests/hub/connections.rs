//! How many connections there may be, in all and of one address, and what happens at the limit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, count, raw, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::https::curl;

/// Another client than that of 127.0.0.1.
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// Subscribes until the hub has no room; the streams, and the answer to the one that was refused.
async fn fill(hub: &Hub, from: IpAddr) -> (Vec<EventStream>, talaria_conformance::client::Answer) {
    let client = hub.client().from(from);
    let mut streams = Vec::new();
    loop {
        let target = format!("{HUB_PATH}?match=a");
        let (answer, local) = client.open("GET", &target, "".into()).await;
        if answer.status() != 200 {
            return (streams, talaria_conformance::client::finish(answer).await);
        }
        streams.push(EventStream::new(answer, local));
    }
}

async fn silent(address: SocketAddr, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    within("a connection", socket.connect(address))
        .await
        .unwrap()
}

/// Waits until the hub has closed a connection.
async fn closed(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    // It may be reset, because not everything was read.
    let _ = within("the end of a connection", stream.read_to_end(&mut answer)).await;
}

/// At the limit the hub goes on for those who are there, says to the others what is the matter, answers
/// `/healthz` to everybody, leaves room for other addresses, and lets in who comes when there is room.
#[tokio::test]
async fn at_the_limit_the_hub_serves_on() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 400");
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut publisher = hub.publisher().from(OTHER).keep().await;
    let (mut streams, refused) = fill(&hub, home).await;
    assert!((300..=320).contains(&streams.len()), "{}", streams.len());
    assert_eq!(refused.status, 503);
    assert!(refused.text.contains("max_connections"), "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
    for client in [hub.client(), hub.client().http2()] {
        for from in [home, OTHER] {
            let healthy = client.clone().from(from).get("/healthz").await;
            assert_eq!(healthy.status, 200, "{}", healthy.text);
        }
        let refused = client.get("/robots.txt").await;
        assert_eq!(refused.status, 503, "{}", refused.text);
    }
    let other = hub.client().from(OTHER).get("/robots.txt").await;
    assert_eq!(other.status, 200, "another address");
    publisher.publish(&[("topic", "a"), ("data", "1")]).await;
    for stream in &mut streams {
        assert_eq!(stream.data().await, "1");
    }
    streams.truncate(5);
    within("room", async {
        while hub.client().get("/robots.txt").await.status != 200 {}
    })
    .await;
}

/// Peers that stand before the hub and say nothing keep no health check waiting.
#[tokio::test]
async fn silent_peers_keep_no_health_check_waiting() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 400");
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (_streams, _) = fill(&hub, home).await;
    let mut peers = Vec::new();
    for _ in 0..5 {
        for _ in 0..10 {
            peers.push(silent(hub.address, home).await);
        }
        assert_eq!(hub.client().get("/healthz").await.status, 200);
    }
    for peer in &mut peers {
        closed(peer).await;
    }
}

/// Connections on which nothing is asked make room: those that never asked anything, and those that were
/// answered, over both versions. The streams stay.
#[tokio::test]
async fn idle_connections_make_room() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 20");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let mut idle = Vec::new();
    let mut kept = Vec::new();
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for _ in 0..30 {
        idle.push(silent(hub.address, home).await);
    }
    for number in 0..30 {
        let client = match number % 2 {
            0 => hub.publisher(),
            _ => hub.publisher().http2(),
        };
        let mut publisher = client.keep().await;
        publisher.publish(&[("topic", "a"), ("data", "1")]).await;
        assert_eq!(stream.data().await, "1");
        kept.push(publisher);
    }
    for peer in &mut idle[..10] {
        closed(peer).await;
    }
}

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

/// One that has too many TLS handshakes under way closes further ones of the same address.
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

/// A process with 256 descriptors and 400 peers, of which half ask nothing and half subscribe: the hub
/// stores, also while segments are begun, and says that it is well.
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
            0 => kept.try_publish(&fields).await.is_some(),
            _ => hub.publisher().from(OTHER).publish(&fields).await.status == 200,
        };
        assert!(stored, "publish {number}");
        if number % 50 == 0 {
            assert_eq!(hub.client().get("/healthz").await.status, 200);
        }
    }
    drop(peers);
}

/// `max_connections` that the descriptors do not allow is said at start.
#[tokio::test]
async fn too_high_a_limit_is_said() {
    let home = Home::new();
    let directives = "anonymous\ntransport memory\nmax_connections 5000";
    let hub = home.hub_with_files(256, directives).expect("it starts");
    let said = hub.log.since(0).join("\n");
    assert!(said.contains("LimitNOFILE"), "{said}");
    let head = raw::head(hub.address, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(raw::status(&head), 200);
}
