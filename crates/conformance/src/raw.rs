//! Requests that no library would send, byte by byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::within;

/// Sends `text` on a new connection and returns the head of the answer, as sent.
pub async fn head(address: SocketAddr, text: &str) -> String {
    let mut stream = within("a connection", TcpStream::connect(address))
        .await
        .expect("the hub accepts");
    stream
        .write_all(text.as_bytes())
        .await
        .expect("the hub reads");
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
    String::from_utf8(answer).expect("heads are ASCII")
}

/// The status code in a head.
#[must_use]
pub fn status(head: &str) -> u16 {
    let code = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status in {head:?}"))
}
