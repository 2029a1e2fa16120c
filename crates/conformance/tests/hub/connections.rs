//! How many connections there may be, in all and from one address, and what happens at the limit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, raw, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A client at another address than 127.0.0.1.
pub(crate) const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
pub(crate) const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// Subscribes until the hub has no room; the streams, and the answer to the one that was refused.
pub(crate) async fn fill(
    hub: &Hub,
    from: IpAddr,
) -> (Vec<EventStream>, talaria_conformance::client::Answer) {
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

pub(crate) async fn silent(address: SocketAddr, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    within("a connection", socket.connect(address))
        .await
        .unwrap()
}

/// Waits until the hub has closed a connection.
pub(crate) async fn closed(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    // It may be reset, because not everything was read.
    let _ = within("the end of a connection", stream.read_to_end(&mut answer)).await;
}

/// At the limit the hub serves the clients that it has, tells the others that there is no room, answers
/// `/healthz` to all, leaves room for other addresses, and accepts clients again when there is room.
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

/// Peers that wait for a place and send nothing delay no health check.
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

/// Idle connections make room: those that never sent a request, and those that were answered, over
/// both versions. The streams stay.
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
    for number in 0..24 {
        let client = match number % 2 {
            0 => hub.publisher(),
            _ => hub.publisher().http2(),
        };
        // Those that were active a moment ago stay.
        let publisher = within("room", async {
            loop {
                let mut publisher = client.keep().await;
                let fields = [("topic", "a"), ("data", "1")];
                if publisher.try_publish(&fields).await.is_some() {
                    break publisher;
                }
            }
        })
        .await;
        assert_eq!(stream.data().await, "1");
        kept.push(publisher);
    }
    for peer in &mut idle[..10] {
        closed(peer).await;
    }
}

pub(crate) const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// Opens connections that are answered and kept, until `until` ends: each needs the place of an idle one.
async fn crowd(hub: &Hub, from: IpAddr, until: impl Future<Output = ()>) {
    let mut kept = Vec::new();
    let arrivals = async {
        loop {
            let mut stream = silent(hub.address, from).await;
            let mut answer = [0; 1024];
            if stream.write_all(HEALTH).await.is_ok() && stream.read(&mut answer).await.is_ok() {
                kept.push(stream);
            }
        }
    };
    tokio::select! {
        () = within("a connection that makes room", until) => {}
        () = arrivals => {}
    }
}

/// A connection on which an answer is still being sent is not idle: a client that reads slowly gets all of it.
#[tokio::test]
async fn an_answer_that_is_being_sent_is_not_cut() {
    const UPDATES: usize = 10_000;
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 20\ndispatch_timeout 60s");
    let token = hub.publisher_token(&[exact("*")]);
    let body = "{\"topic\":\"a\",\"data\":\"b\"}\n".repeat(UPDATES);
    let request = format!(
        "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        hub.host,
        body.len(),
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(OTHER, 0)).unwrap();
    socket.set_recv_buffer_size(8192).unwrap();
    let mut slow = socket.connect(hub.address).await.unwrap();
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let count = within("an answer", slow.read(&mut answer)).await.unwrap();
    answer.truncate(count);
    // These are idle, and close.
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut stream = silent(hub.address, OTHER).await;
        raw::begin(&mut stream, HEALTH).await;
        idle.push(stream);
    }
    crowd(&hub, OTHER, async {
        for stream in &mut idle {
            closed(stream).await;
        }
    })
    .await;
    let read = within("the rest", slow.read_to_end(&mut answer)).await;
    read.expect("no reset");
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(answer.matches("\"status\":200").count(), UPDATES);
}

/// A kept connection that closes to make room ends cleanly: a request that was sent meanwhile is not answered
/// by a reset, so that clients repeat it on another connection (RFC 9112, section 9.6).
#[tokio::test]
async fn connections_that_make_room_are_not_reset() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 20");
    let mut kept = silent(hub.address, OTHER).await;
    raw::begin(&mut kept, HEALTH).await;
    let mut end = [0; 16];
    crowd(&hub, OTHER, async {
        let count = kept.read(&mut end).await.expect("no reset");
        assert_eq!(count, 0, "an end");
    })
    .await;
    for _ in 0..2 {
        kept.write_all(HEALTH).await.expect("no reset");
    }
    assert_eq!(kept.read(&mut end).await.expect("no reset"), 0);
}

/// Over HTTP/2 a connection that makes room tells its client which requests were not read (RFC
/// 9113, section 6.8).
#[tokio::test]
async fn http2_connections_that_make_room_say_goodbye() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 20");
    let mut kept = Frames::connect(hub.address, 65_535).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", "/healthz"),
    ];
    kept.output.request(1, &fields).await;
    crowd(&hub, IpAddr::V4(Ipv4Addr::LOCALHOST), async {
        loop {
            let frame = kept.input.next().await.expect("no reset");
            let frame = frame.expect("GOAWAY before the end");
            assert!(!frame.is_failure(), "{frame:?}");
            if frame.kind == kind::GOAWAY {
                return;
            }
        }
    })
    .await;
}

/// A connection that has just been opened is not idle yet: its client had no time for a request.
#[tokio::test]
async fn new_connections_have_time_for_a_request() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 20");
    let mut idle = Vec::new();
    for _ in 0..14 {
        let mut stream = silent(hub.address, OTHER).await;
        raw::begin(&mut stream, HEALTH).await;
        idle.push(stream);
    }
    let mut new = silent(hub.address, OTHER).await;
    for _ in 0..4 {
        let mut stream = silent(hub.address, OTHER).await;
        raw::begin(&mut stream, HEALTH).await;
        idle.push(stream);
    }
    let answer = raw::begin(&mut new, HEALTH).await;
    assert_eq!(raw::status(&answer), 200);
}

/// A browser's `EventSource` gives up for good at 503, so it is answered a stream that ends, which its scripts
/// may read from another origin (HTML, section 9.2.3).
#[tokio::test]
async fn browsers_come_back_when_there_is_room() {
    let hub = Hub::start(
        "anonymous\ntransport memory\nmax_connections 20\ncors_origins https://app.example",
    );
    let (_streams, refused) = fill(&hub, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    assert_eq!(refused.status, 503);
    let target = format!("{HUB_PATH}?match=a");
    for client in [hub.client(), hub.client().http2()] {
        let browser = client
            .header("accept", "text/event-stream")
            .header("origin", "https://app.example");
        let answer = browser.get(&target).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "text/event-stream");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "https://app.example"
        );
        assert!(answer.text.contains("\nretry: "), "{}", answer.text);
        assert!(answer.text.contains("max_connections"), "{}", answer.text);
        let post = browser.send("POST", HUB_PATH, "").await;
        assert_eq!(post.status, 503, "{}", post.text);
    }
}

/// More clients at once than may wait are told that there is no room.
#[tokio::test]
async fn clients_that_come_at_once_are_told() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connections 20");
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (_streams, _) = fill(&hub, home).await;
    let mut clients = Vec::new();
    for _ in 0..24 {
        let mut stream = silent(hub.address, home).await;
        let request = b"GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        clients.push(stream);
    }
    for client in &mut clients {
        let mut answer = Vec::new();
        let read = within("an answer", client.read_to_end(&mut answer)).await;
        read.expect("no reset");
        assert_eq!(raw::status(&String::from_utf8_lossy(&answer)), 503);
    }
}

/// A client that has sent its request may shut down its side, and still gets the answer (RFC 9112, section 9.6).
/// A stream ends then, because its reader is probably gone.
#[tokio::test]
async fn half_closed_connections_are_answered() {
    // The answer takes a moment, because the update goes to the disk.
    let hub = Hub::start("anonymous\ntransport bolt");
    let token = hub.publisher_token(&[exact("*")]);
    let publish = format!(
        "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ntopic=a",
        hub.host
    );
    let subscribe = format!(
        "GET {HUB_PATH}?match=a HTTP/1.1\r\nHost: {}\r\n\r\n",
        hub.host
    );
    for (request, has_answer) in [(&publish, true), (&subscribe, false)] {
        let mut stream = silent(hub.address, OTHER).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = within("the end", stream.read_to_end(&mut answer)).await;
        read.expect("no reset");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!has_answer || answer.contains("HTTP/1.1 200"), "{answer}");
    }
    // An open stream, too.
    let mut stream = silent(hub.address, OTHER).await;
    let head = raw::begin(&mut stream, subscribe.as_bytes()).await;
    assert_eq!(raw::status(&head), 200);
    stream.shutdown().await.unwrap();
    closed(&mut stream).await;
}
