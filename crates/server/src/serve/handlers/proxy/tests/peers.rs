//! The client, the proxy's server and its upstreams, for tests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::uri::Scheme;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::*;

/// How long a test waits for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn upstream(address: SocketAddr) -> Upstream {
    Upstream {
        scheme: Scheme::HTTP,
        host: address.ip().to_string(),
        port: address.port(),
    }
}

/// A proxy that asks these servers in turn.
pub(super) fn upstreams(addresses: &[SocketAddr]) -> Upstreams {
    let each = addresses.iter().copied().map(upstream).collect();
    let options = Options {
        policy: Policy::RoundRobin,
        ..Options::default()
    };
    Upstreams::new(each, options).unwrap()
}

/// A server that answers by the proxy.
pub(super) async fn front(upstreams: Upstreams, is_trusted: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let upstreams = upstreams.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let upstreams = upstreams.clone();
                let forwarded = Forwarded {
                    peer: Some(peer.ip()),
                    is_trusted,
                    scheme: "http",
                    host: "front.example".to_owned(),
                };
                async move {
                    let request = request.map(Body::new);
                    Ok::<_, Infallible>(upstreams.proxy(request, forwarded, |_| {}).await)
                }
            });
            let builder = http1::Builder::new();
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

/// A proxy in front of one server.
pub(super) async fn front_of(address: SocketAddr) -> SocketAddr {
    front(upstreams(&[address]), false).await
}

/// A server that hands out its connections.
pub(super) async fn server() -> (SocketAddr, UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, connections) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    (address, connections)
}

/// A server that reads a head on each connection, answers always the same, and closes. It hands out the heads.
pub(super) async fn answering(answer: &'static str) -> (SocketAddr, UnboundedReceiver<String>) {
    let (address, mut connections) = server().await;
    let (sender, heads) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(mut stream) = connections.recv().await {
            let head = read_until(&mut stream, "\r\n\r\n").await;
            let _ = sender.send(head);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, heads)
}

/// An address where no server listens.
pub(super) async fn nothing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Reads until `end` has come, or the peer closes.
pub(super) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        let mut some = [0; 1024];
        while !String::from_utf8_lossy(&read).contains(end) {
            match stream.read(&mut some).await {
                Ok(count) if count > 0 => read.extend_from_slice(&some[..count]),
                _ => return,
            }
        }
    };
    if timeout(PATIENCE, reading).await.is_err() {
        panic!("{end:?} does not come: {}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

/// Reads what comes within `time`, or until the peer closes.
pub(super) async fn read_for(stream: &mut TcpStream, time: Duration) -> String {
    let mut read = Vec::new();
    let _ = timeout(time, stream.read_to_end(&mut read)).await;
    String::from_utf8(read).unwrap()
}

/// Reads until the peer closes.
pub(super) async fn read_all(stream: &mut TcpStream) -> String {
    read_until(stream, "\u{1}never").await
}

pub(super) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

pub(super) async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Sends a request, and reads until the server closes.
pub(super) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address).await;
    write(&mut stream, request).await;
    read_all(&mut stream).await
}

pub(super) async fn next<T>(receiver: &mut UnboundedReceiver<T>) -> T {
    timeout(PATIENCE, receiver.recv()).await.unwrap().unwrap()
}
