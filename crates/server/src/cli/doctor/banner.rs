//! What a service that does not answer as asked says of itself.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// What answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// TLS: it complains of a request in plain text.
    Tls,
    /// Plain HTTP.
    Http,
    /// Something else, with the first line that it sent.
    Other(String),
}

/// The most bytes of a first line.
const MOST_BYTES: usize = 512;
/// How much of it is shown.
const SHOWN: usize = 80;

/// Connects, and asks as a client of HTTP/1.0 if the service does not speak first.
pub(super) async fn read(url: &Url, patience: Duration) -> Option<Service> {
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    let connecting = TcpStream::connect((host.as_str(), port));
    let mut stream = timeout(patience, connecting).await.ok()?.ok()?;
    let mut heard = [0; MOST_BYTES];
    let mut length = 0;
    // Services such as SSH and SMTP greet; HTTP and Redis wait.
    if let Ok(Ok(count)) = timeout(patience / 4, stream.read(&mut heard)).await {
        length = count;
    } else {
        let question = format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
        let asked = timeout(patience, stream.write_all(question.as_bytes())).await;
        asked.ok()?.ok()?;
        if let Ok(Ok(count)) = timeout(patience, stream.read(&mut heard)).await {
            length = count;
        }
    }
    judge(heard.get(..length)?)
}

fn judge(heard: &[u8]) -> Option<Service> {
    /// The content type of a TLS record that is an alert.
    const ALERT: u8 = 21;
    match heard {
        [] => None,
        [ALERT, 3, ..] => Some(Service::Tls),
        heard if heard.starts_with(b"HTTP/") => {
            let text = String::from_utf8_lossy(heard);
            // Ours, nginx and Go say so in an answer of plain HTTP.
            let is_tls = text.contains("speaks HTTPS")
                || text.contains("sent to HTTPS port")
                || text.contains("HTTP request to an HTTPS server");
            Some(if is_tls { Service::Tls } else { Service::Http })
        }
        heard => {
            let text = String::from_utf8_lossy(heard);
            let line = text.lines().next().unwrap_or_default();
            let shown = line.chars().filter(|c| !c.is_control()).take(SHOWN);
            Some(Service::Other(shown.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_apart() {
        assert_eq!(judge(b""), None);
        assert_eq!(judge(&[21, 3, 1, 0, 2]), Some(Service::Tls));
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n"), Some(Service::Http));
        let nginx = b"HTTP/1.1 400\r\n\r\nThe plain HTTP request was sent to HTTPS port";
        assert_eq!(judge(nginx), Some(Service::Tls));
        let ssh = judge(b"SSH-2.0-OpenSSH_10\r\nmore");
        assert_eq!(ssh, Some(Service::Other("SSH-2.0-OpenSSH_10".to_owned())));
    }
}
