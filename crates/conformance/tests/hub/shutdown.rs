//! How the program stops: SIGTERM, the drain window (B-1022), the exit code (B-021).

use std::time::{Duration, Instant};

use talaria_conformance::frames::Frames;
use talaria_conformance::hub::{Hub, ORDINARY};
use talaria_conformance::kernel::connections;
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, count, within, within_time};
use tokio::net::TcpStream;

/// Waits until the hub no longer listens.
async fn refused(hub: &Hub) {
    within("the listener to close", async {
        while TcpStream::connect(hub.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// How long a hub may take to exit that has nothing to finish: a second, where the machine is
/// known.
fn at_once() -> Duration {
    count(Duration::from_secs(1), Duration::from_secs(5))
}

/// A hub that would wait long, if it waited for anything.
fn patient_hub() -> Hub {
    Hub::start(&format!("{ORDINARY}\ndrain_timeout 60s"))
}

/// The hub ends by itself, soon, whatever `_open` holds open.
async fn ends_at_once<T>(mut hub: Hub, _open: T) {
    let start = Instant::now();
    hub.terminate();
    let status = hub.exit(Duration::from_secs(30)).await;
    let took = start.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(took < at_once(), "an idle hub took {took:?}");
}

/// A socket on which `text` was sent and read by the hub.
async fn half_sent(hub: &Hub, mut socket: TcpStream, text: &str) -> TcpStream {
    use tokio::io::AsyncWriteExt as _;
    socket.write_all(text.as_bytes()).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    within("the hub to read", async {
        while connections(hub.address)
            .get(&port)
            .is_none_or(|queues| queues.asked > 0)
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    socket
}

/// A hub without connections exits within a second, whatever the window (B-1022).
#[tokio::test]
async fn an_idle_hub_exits_at_once() {
    ends_at_once(patient_hub(), ()).await;
}

/// A connection that is kept after its response does not delay the exit.
#[tokio::test]
async fn a_kept_connection_does_not_delay_the_exit() {
    let hub = patient_hub();
    let mut kept = hub.publisher().keep().await;
    kept.publish(&[("topic", "a")]).await;
    ends_at_once(hub, kept).await;
}

/// A client that connected and sent nothing does not delay the exit.
#[tokio::test]
async fn a_silent_connection_does_not_delay_the_exit() {
    let hub = patient_hub();
    let socket = TcpStream::connect(hub.address).await.unwrap();
    ends_at_once(hub, socket).await;
}

/// Half a head is not a request, whether it is the first of its connection …
#[tokio::test]
async fn half_a_head_does_not_delay_the_exit() {
    let hub = patient_hub();
    let socket = TcpStream::connect(hub.address).await.unwrap();
    let text = format!("GET {HUB_PATH}?match=a HTTP/1.1\r\nHost: ");
    let socket = half_sent(&hub, socket, &text).await;
    ends_at_once(hub, socket).await;
}

/// … or the second.
#[tokio::test]
async fn half_a_second_head_does_not_delay_the_exit() {
    use tokio::io::AsyncReadExt as _;
    let hub = patient_hub();
    let socket = TcpStream::connect(hub.address).await.unwrap();
    let whole = format!("HEAD /robots.txt HTTP/1.1\r\nHost: {}\r\n\r\n", hub.host);
    let mut socket = half_sent(&hub, socket, &whole).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let read = within("the head of an answer", socket.read_buf(&mut answer)).await;
        assert_ne!(read.unwrap(), 0, "the connection is kept");
    }
    let socket = half_sent(&hub, socket, "GET /robots.txt HTTP/1.1\r\nHost: ").await;
    ends_at_once(hub, socket).await;
}

/// An HTTP/2 client without a stream does not delay the exit, even if it answers neither SETTINGS
/// nor pings: a server may send GOAWAY and close (RFC 9113).
#[tokio::test]
async fn an_idle_http2_connection_does_not_delay_the_exit() {
    let hub = patient_hub();
    let connection = Frames::connect(hub.address, 65_535).await;
    ends_at_once(hub, connection).await;
}

/// SIGINT, which a terminal sends, drains the streams as SIGTERM does.
#[tokio::test]
async fn an_interrupt_drains_too() {
    let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 1s"));
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    hub.interrupt();
    assert_eq!(stream.end().await, ["1"], "the end is clean");
    assert_eq!(hub.exit(Duration::from_secs(10)).await.code(), Some(0));
}

/// The listener closes first; open streams end with their terminating chunk, at moments spread
/// over `drain_timeout`; the code is 0. With 1,000 streams under `./test --full`.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_drained() {
    let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 2s"));
    let client = hub.client();
    let mut streams = Vec::new();
    for _ in 0..count(1000, 200) {
        streams.push(client.subscribe(&[exact("a")]).await);
    }
    hub.publisher()
        .published(&[("topic", "a"), ("data", "last")])
        .await;
    for stream in &mut streams {
        assert_eq!(stream.data().await, "last");
    }
    let start = Instant::now();
    hub.terminate();
    let mut ends = tokio::task::JoinSet::new();
    for mut stream in streams {
        ends.spawn(async move { (stream.end().await, start.elapsed()) });
    }
    refused(&hub).await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "the listener closes before the streams"
    );
    let mut moments = Vec::new();
    while let Some(end) =
        within_time(Duration::from_secs(20), "the end of all", ends.join_next()).await
    {
        let (seen, moment) = end.expect("each stream ends cleanly");
        assert_eq!(seen, [""; 0]);
        moments.push(moment);
    }
    moments.sort();
    let half = moments[moments.len() / 2];
    assert!(
        moments.last().unwrap() < &Duration::from_secs(4),
        "the last ended after {:?}",
        moments.last()
    );
    assert!(
        half > Duration::from_millis(500) && half < Duration::from_secs(2),
        "half had ended after {half:?}"
    );
    assert_eq!(hub.exit(Duration::from_secs(5)).await.code(), Some(0));
}

/// `drain_timeout 0` ends all at once.
#[tokio::test]
async fn no_window_ends_all_at_once() {
    let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 0s"));
    let mut streams = [
        hub.client().subscribe(&[exact("a")]).await,
        hub.client().subscribe(&[exact("b")]).await,
        hub.client().http2().subscribe(&[exact("b")]).await,
    ];
    let start = Instant::now();
    hub.terminate();
    for stream in &mut streams {
        assert_eq!(stream.end().await, [""; 0]);
    }
    assert_eq!(hub.exit(Duration::from_secs(10)).await.code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

/// A second signal exits at once with code 2, whichever the two are (B-050).
#[tokio::test]
async fn a_second_signal_exits_at_once() {
    let [terminate, interrupt] = [Hub::terminate, Hub::interrupt];
    let pairs = [
        (terminate, terminate),
        (interrupt, interrupt),
        (terminate, interrupt),
    ];
    for (first, second) in pairs {
        let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 600s"));
        let _stream = hub.client().subscribe(&[exact("a")]).await;
        first(&hub);
        refused(&hub).await;
        let start = Instant::now();
        second(&hub);
        assert_eq!(hub.exit(Duration::from_secs(30)).await.code(), Some(2));
        let took = start.elapsed();
        assert!(took < at_once(), "the second signal took {took:?}");
    }
}

/// A publish that is under way when the signal comes is answered.
#[tokio::test]
async fn a_publish_in_flight_is_answered() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 5s"));
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let mut socket = TcpStream::connect(hub.address).await.unwrap();
    let head = format!(
        "POST /.well-known/mercure HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n",
        hub.host,
        hub.publisher_token(&[exact("*")])
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 25];
    within("100 Continue", socket.read_exact(&mut said))
        .await
        .unwrap();
    assert!(
        said.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    hub.terminate();
    refused(&hub).await;
    socket.write_all(b"topic=a&data=1").await.unwrap();
    let mut answer = String::new();
    within("the answer and its end", socket.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    assert_eq!(stream.end().await, ["1"]);
    assert_eq!(hub.exit(Duration::from_secs(10)).await.code(), Some(0));
}
