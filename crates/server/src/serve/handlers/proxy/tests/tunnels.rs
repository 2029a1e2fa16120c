//! WebSocket through the proxy.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::peers::*;
use super::*;

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                   Sec-WebSocket-Key: k\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s\r\n\r\n";

/// A client and an upstream with a tunnel between them, which the token ends.
async fn tunnel() -> (TcpStream, TcpStream, CancellationToken) {
    tunnel_with(Options::default()).await
}

async fn tunnel_with(options: Options) -> (TcpStream, TcpStream, CancellationToken) {
    let (address, mut connections) = server().await;
    let stopping = options.stopping.clone();
    let upstreams = Upstreams::new(vec![upstream(address)], options).unwrap();
    let front = front(upstreams, false).await;
    let mut client = connect(front).await;
    write(&mut client, ASK).await;
    let mut upstream = next(&mut connections).await;
    let head = read_until(&mut upstream, "\r\n\r\n")
        .await
        .to_ascii_lowercase();
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: k",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    write(&mut upstream, SWITCH).await;
    let answer = read_until(&mut client, "\r\n\r\n")
        .await
        .to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-accept: s",
    ] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{answer}");
    }
    (client, upstream, stopping)
}

/// After 101, bytes pass in both directions, and the end of each side reaches the other.
#[tokio::test]
async fn bytes_pass_both_ways() {
    let (mut client, mut upstream, _stopping) = tunnel().await;
    for text in ["one", "GET / HTTP/1.1\r\n\r\n", "\u{0}\u{7f}"] {
        write(&mut client, text).await;
        read_until(&mut upstream, text).await;
        write(&mut upstream, text).await;
        read_until(&mut client, text).await;
    }
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut upstream).await, "");
    write(&mut upstream, "last").await;
    drop(upstream);
    assert_eq!(read_all(&mut client).await, "last");
}

/// A client that does not close after its upstream is cut.
#[tokio::test]
async fn a_tunnel_ends_with_its_upstream() {
    let (mut client, upstream, _stopping) = tunnel().await;
    drop(upstream);
    assert_eq!(read_all(&mut client).await, "");
}

/// A tunnel through which nothing passes ends, so that forgotten ones do not pile up.
#[tokio::test]
async fn an_idle_tunnel_ends() {
    let options = Options {
        idle: Duration::from_millis(200),
        ..Options::default()
    };
    let (mut client, mut upstream, _stopping) = tunnel_with(options).await;
    write(&mut client, "one").await;
    read_until(&mut upstream, "one").await;
    assert_eq!(read_all(&mut client).await, "");
    assert_eq!(read_all(&mut upstream).await, "");
}

#[tokio::test]
async fn a_tunnel_ends_with_the_program() {
    let (mut client, mut upstream, stopping) = tunnel().await;
    stopping.cancel();
    assert_eq!(read_all(&mut client).await, "");
    assert_eq!(read_all(&mut upstream).await, "");
}

/// An upstream that switches without being asked, or to another protocol, is not believed.
#[tokio::test]
async fn only_what_was_asked_for_is_switched_to() {
    let plain = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let other = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    let asking = ASK.replace("keep-alive", "close");
    for (request, answer) in [(plain, SWITCH), (asking.as_str(), other)] {
        let (address, _heads) = answering(answer).await;
        let answer = exchange(front_of(address).await, request).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}

/// An upstream that refuses to switch answers as usual.
#[tokio::test]
async fn an_upstream_may_refuse_to_switch() {
    let (address, _heads) = answering("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno").await;
    let asking = ASK.replace("keep-alive", "close");
    let answer = exchange(front_of(address).await, &asking).await;
    assert!(
        answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("\r\n\r\nno"),
        "{answer}"
    );
}
