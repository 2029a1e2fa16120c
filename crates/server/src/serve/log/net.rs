//! Lines for a server: `output net <address>`. What cannot be sent waits in the queue, whose bound holds here too.

use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use talaria_config::settings::{LogNetSettings, LogNetwork};

use super::queue::Queue;

/// How long one write may take before the thread looks whether the process ends.
const PATIENCE: Duration = Duration::from_millis(250);

/// Starts the thread that sends lines to a server.
///
/// # Errors
/// The system refuses a thread.
pub(super) fn start(
    settings: LogNetSettings,
    notice: impl Fn(u64) -> String + Send + 'static,
) -> io::Result<Arc<Queue>> {
    let mut sender = Sender {
        settings,
        peer: None,
        is_told: false,
    };
    Queue::start_with(move |queue, lines| sender.send(queue, lines), notice)
}

struct Sender {
    settings: LogNetSettings,
    peer: Option<Peer>,
    /// Whether the log says already that the server cannot be reached.
    is_told: bool,
}

enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
    Udp(UdpSocket),
    Datagram(UnixDatagram),
}

impl Sender {
    /// Sends lines, however long that takes; gives up when the process ends.
    fn send(&mut self, queue: &Queue, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            let sent = self.connected().and_then(|peer| peer.write(rest));
            match sent {
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.is_told = false;
                }
                // The server reads slowly, or this was interrupted.
                Err(error) if is_passing(&error) => {
                    if queue.is_ending() {
                        return;
                    }
                }
                Err(error) => {
                    self.peer = None;
                    // A line that was sent in part is sent again, so that every line arrives whole.
                    rest = from_line(lines, lines.len() - rest.len());
                    if !std::mem::replace(&mut self.is_told, true) {
                        tracing::warn!(
                            name: "log_server_unreachable",
                            server = %self.settings,
                            %error,
                            "the server for the log cannot be reached; lines wait, and are dropped if there are too many"
                        );
                    }
                    if !queue.pause() {
                        return;
                    }
                }
            }
        }
    }

    fn connected(&mut self) -> io::Result<&mut Peer> {
        let peer = match self.peer.take().filter(|peer| !peer.is_gone()) {
            Some(peer) => peer,
            None => Peer::connect(&self.settings)?,
        };
        Ok(self.peer.insert(peer))
    }
}

impl Peer {
    fn connect(settings: &LogNetSettings) -> io::Result<Self> {
        let LogNetSettings {
            address,
            dial_timeout,
            ..
        } = settings;
        match settings.network {
            LogNetwork::Tcp => {
                let mut last = io::Error::from(ErrorKind::NotFound);
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, *dial_timeout) {
                        Ok(stream) => {
                            stream.set_write_timeout(Some(PATIENCE))?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            LogNetwork::Unix => {
                let stream = UnixStream::connect(address)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Unix(stream))
            }
            LogNetwork::Udp => {
                let address = address.to_socket_addrs()?.next();
                let address = address.ok_or(ErrorKind::NotFound)?;
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                    SocketAddr::V6(_) => ([0; 16], 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Udp(socket))
            }
            LogNetwork::UnixDatagram => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(address)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Datagram(socket))
            }
        }
    }

    /// Whether the server has closed the connection. A write would only notice the second time.
    fn is_gone(&self) -> bool {
        match self {
            Self::Tcp(stream) => has_ended(stream),
            Self::Unix(stream) => has_ended(stream),
            Self::Udp(_) | Self::Datagram(_) => false,
        }
    }

    /// Writes some bytes, or one line as a datagram.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let end = lines.iter().position(|byte| *byte == b'\n');
        let line = lines.get(..end.map_or(lines.len(), |end| end + 1));
        let line = line.unwrap_or_default();
        let written = match self {
            Self::Tcp(stream) => return nonzero(stream.write(lines)?),
            Self::Unix(stream) => return nonzero(stream.write(lines)?),
            Self::Udp(socket) => socket.send(line),
            Self::Datagram(socket) => socket.send(line),
        };
        match written {
            // Sent, or longer than a datagram may be: there is no use in trying that again.
            Err(error) if error.kind() != ErrorKind::InvalidInput && !is_too_long(&error) => {
                Err(error)
            }
            _ => Ok(line.len()),
        }
    }
}

fn nonzero(written: usize) -> io::Result<usize> {
    match written {
        0 => Err(ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Whether a peer has closed its side, or reset the connection.
fn has_ended(stream: &impl AsFd) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match recv(stream, &mut [0_u8; 1], flags) {
        Ok((_, read)) => read == 0,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
        Err(_) => true,
    }
}

/// What is left from the beginning of the line on in which `place` is.
fn from_line(lines: &[u8], place: usize) -> &[u8] {
    let before = lines.get(..place).unwrap_or_default();
    let begin = before.iter().rposition(|byte| *byte == b'\n');
    lines
        .get(begin.map_or(0, |newline| newline + 1)..)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    fn settings(network: LogNetwork, address: String) -> LogNetSettings {
        LogNetSettings {
            network,
            address,
            dial_timeout: Duration::from_secs(5),
        }
    }

    fn started(network: LogNetwork, address: String) -> Arc<Queue> {
        start(settings(network, address), |dropped| {
            format!("dropped={dropped}\n")
        })
        .unwrap()
    }

    fn line(reader: &mut impl io::BufRead) -> String {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    }

    /// Lines arrive over a connection, and over the next one when the server has closed it.
    #[test]
    fn lines_are_sent_over_one_connection_and_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let queue = started(LogNetwork::Tcp, address.to_string());
        queue.push(b"one\n");
        let (stream, _) = listener.accept().unwrap();
        assert_eq!(line(&mut BufReader::new(&stream)), "one\n");
        drop(stream);
        queue.push(b"two\n");
        queue.push(b"three\n");
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        assert_eq!(line(&mut reader), "two\n");
        assert_eq!(line(&mut reader), "three\n");
        queue.close();
    }

    /// Without a server lines wait, and a bounded number of them.
    #[test]
    fn lines_wait_for_the_server() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        drop(taken);
        let queue = started(LogNetwork::Tcp, address.to_string());
        for number in 0..40_000 {
            queue.push(format!("{number:099}\n").as_bytes());
        }
        let listener = TcpListener::bind(address).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(lines.next().unwrap().unwrap().ends_with("0000"));
        let (mut received, mut dropped) = (1, 0);
        // The count of what was dropped comes as soon as there is room, maybe several times.
        while received + dropped < 40_000 {
            let line = lines.next().unwrap().unwrap();
            match line.strip_prefix("dropped=") {
                Some(count) => dropped += count.parse::<u64>().unwrap(),
                None => received += 1,
            }
        }
        assert!(dropped > 10_000);
        queue.close();
    }

    /// Each line is one datagram.
    #[test]
    fn each_line_is_one_datagram() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let queue = started(LogNetwork::Udp, socket.local_addr().unwrap().to_string());
        queue.push(b"one\ntwo\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let local = UnixDatagram::bind(&path).unwrap();
        let to_local = started(LogNetwork::UnixDatagram, path.display().to_string());
        to_local.push(b"one\ntwo\n");
        for expected in [b"one\n", b"two\n"] {
            let mut buffer = [0; 64];
            let read = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..read], expected);
            let read = local.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..read], expected);
        }
        queue.close();
        to_local.close();
    }
}
