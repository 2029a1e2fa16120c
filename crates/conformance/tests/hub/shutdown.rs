//! How the program stops: SIGTERM, the drain window (B-1022), the exit code (B-021).

use std::time::{Duration, Instant};

use talaria_conformance::hub::{Hub, ORDINARY};
use talaria_conformance::token::exact;
use talaria_conformance::{count, within, within_time};
use tokio::net::TcpStream;

/// Waits until nobody listens any more.
async fn refused(hub: &Hub) {
    within("the listener to close", async {
        while TcpStream::connect(hub.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// An idle hub is gone within a second, whatever the window, also with an idle connection open.
#[tokio::test]
async fn an_idle_hub_exits_at_once() {
    let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 60s"));
    let mut kept = hub.publisher().keep().await;
    kept.publish(&[("topic", "a")]).await;
    let start = Instant::now();
    hub.terminate();
    let status = hub.exit(Duration::from_secs(10)).await;
    let took = start.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "an idle hub took {took:?}");
}

/// The listener closes first; open streams end with their terminating chunk, at moments spread
/// over `drain_timeout`; the code is 0. With 1,000 streams
/// under `./test --full`.
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

/// B-050: a second signal exits at once with code 2.
#[tokio::test]
async fn a_second_signal_exits_at_once() {
    let mut hub = Hub::start(&format!("{ORDINARY}\ndrain_timeout 600s"));
    let _stream = hub.client().subscribe(&[exact("a")]).await;
    hub.terminate();
    refused(&hub).await;
    hub.terminate();
    let start = Instant::now();
    assert_eq!(hub.exit(Duration::from_secs(10)).await.code(), Some(2));
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
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
