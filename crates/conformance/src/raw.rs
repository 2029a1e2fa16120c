//! Sends requests byte by byte that no library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::within;

/// Sends `request` on a new connection and returns the head of the answer, as sent.
pub async fn head(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = within("a connection", TcpStream::connect(address))
        .await
        .expect("the hub accepts");
    begin(&mut stream, request.as_ref()).await
}

/// Sends `request` on a connection and returns the head of the answer, as sent.
pub async fn begin(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.expect("the hub reads");
    let mut answer = Vec::new();
    let end = loop {
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        let read = within("the head of an answer", stream.read_buf(&mut answer)).await;
        let read = read.unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        assert_ne!(
            read,
            0,
            "the hub hung up after {:?}",
            String::from_utf8_lossy(&answer)
        );
    };
    answer.truncate(end);
    String::from_utf8(answer).expect("heads are UTF-8")
}

/// Sends `request` on a new connection and returns everything that comes until the hub closes it.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    exchange_in_pieces(address, request, request.len().max(1)).await
}

/// Sends `request` in pieces of `piece` bytes on a new connection, and returns everything that comes
/// until the hub closes it.
pub async fn exchange_in_pieces(address: SocketAddr, request: &[u8], piece: usize) -> String {
    let stream = within("a connection", TcpStream::connect(address)).await;
    let (mut input, mut output) = stream.expect("the hub accepts").into_split();
    let send = async {
        output.as_ref().set_nodelay(true).expect("a TCP option");
        for piece in request.chunks(piece) {
            // A hub may answer, and close, before all of a request has come.
            let _ = output.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        read = within("the end of an answer", input.read_to_end(&mut answer)) => {
            read.unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        }
        () = send => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads on until `text` has come.
pub async fn until(stream: &mut TcpStream, text: &str) {
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains(text) {
        let read = within(text, stream.read_buf(&mut received)).await;
        assert_ne!(read.expect("no reset"), 0, "the hub hung up");
    }
}

/// The status code in a head.
#[must_use]
pub fn status(head: &str) -> u16 {
    let code = head
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| head.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status in {head:?}"))
}
