//! Which protocol the first bytes of a connection are of.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the first bytes are HTTP/2's; they stay unread.
pub(super) async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(500);
    let mut pause = Duration::from_millis(1);
    let mut first = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        // Peeking does not consume the bytes, so the runtime does not report when more of them come.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
