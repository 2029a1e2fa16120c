//! The requests of an HTTP/1.1 connection.

use super::follows::Follows;
use super::head::{Complete, Head, judge};
use super::layer::{Reader, Rest};
use super::{Fault, HEAD_BYTES, TARGET_BYTES};

/// Held bytes up to this many are judged with each read, so that garbage is answered at once.
const SHORT: usize = 1024;
/// In this many bytes the target alone is too long or has ended.
const LONG: usize = TARGET_BYTES + SHORT;

/// Finds the heads of requests, and where their bodies end.
pub struct Http1 {
    follows: Follows,
    /// What is wrong with any request of this connection.
    wrong: Option<Fault>,
    refused: bool,
}

impl Http1 {
    /// From the beginning of a connection, all of whose requests are at fault if it is `wrong`.
    pub fn new(wrong: Option<Fault>) -> Self {
        Self {
            follows: Follows::Head,
            wrong,
            refused: false,
        }
    }

    /// Everything that comes is replaced by a request that stands for the fault. It is the last one:
    /// nobody knows where another begins.
    fn refuse(&mut self, fault: Fault, received: usize) -> Rest {
        self.refused = true;
        let target = fault.target();
        let request =
            format!("GET {target} HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n");
        Rest::Replaced(received, request.into())
    }
}

impl Reader for Http1 {
    fn read(&mut self, bytes: &[u8]) -> (usize, Rest) {
        let mut at = 0;
        while at < bytes.len() {
            let left = &bytes[at..];
            at += match self.follows {
                Follows::Unknown => left.len(),
                Follows::Bytes(_) | Follows::Chunks(_) => self.follows.take(left),
                Follows::Head => {
                    let judged = match self.wrong {
                        Some(fault) => Err(fault),
                        None => judge(left),
                    };
                    match judged {
                        Ok(Head::Complete(Complete {
                            length,
                            encoded,
                            follows,
                        })) => {
                            self.follows = follows;
                            match encoded {
                                None => length,
                                Some(head) => return (at, Rest::Replaced(length, head)),
                            }
                        }
                        Ok(Head::Partial) if left.len() < HEAD_BYTES => break,
                        Ok(Head::Partial) => {
                            return (at, self.refuse(Fault::HeadTooLarge, left.len()));
                        }
                        Err(fault) => return (at, self.refuse(fault, left.len())),
                    }
                }
            };
        }
        (at, Rest::Held)
    }

    fn is_worth_reading(&self, held: &[u8], new: usize) -> bool {
        // An empty line, which may have begun before the new bytes, ends a head.
        let end = &held[new.saturating_sub(2)..];
        held.len() <= SHORT
            || (new < LONG && held.len() >= LONG)
            || held.len() >= HEAD_BYTES
            || end.windows(2).any(|two| two == b"\n\n")
            || end.windows(3).any(|three| three == b"\n\r\n")
    }

    fn has_refused(&self) -> bool {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What hyper reads of these bytes, if they come in pieces.
    fn through(sent: &[u8], piece: usize) -> String {
        let mut reader = Http1::new(None);
        let (mut held, mut read) = (Vec::new(), Vec::new());
        for piece in sent.chunks(piece) {
            let new = held.len();
            held.extend_from_slice(piece);
            let is_worth_it = new == 0 || reader.is_worth_reading(&held, new);
            while is_worth_it && !reader.refused {
                let (passing, rest) = reader.read(&held);
                read.extend(held.drain(..passing));
                let Rest::Replaced(received, by) = rest else {
                    break;
                };
                held.drain(..received);
                read.extend(by);
            }
        }
        read.escape_ascii().to_string()
    }

    fn stands_for(fault: Fault) -> String {
        let target = fault.target();
        let request =
            format!("GET {target} HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n");
        request.escape_default().to_string().replace("\\'", "'")
    }

    /// RFC 9112, section 3.2: the target alone is changed, and only where it must be.
    #[test]
    fn targets_are_encoded() {
        for (sent, read) in [
            ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
            (
                "GET /\" HTTP/1.1\r\nx: \"\r\n\r\n",
                "GET /%22 HTTP/1.1\r\nx: \"\r\n\r\n",
            ),
            (
                "\r\nA /?\u{e9}% HTTP/1.0\n\n",
                "\r\nA /?%C3%A9% HTTP/1.0\n\n",
            ),
            (
                "GET /{|}^\\'[] HTTP/1.1\r\n\r\n",
                "GET /{|}^\\'[] HTTP/1.1\r\n\r\n",
            ),
        ] {
            let read = read.as_bytes().escape_ascii().to_string();
            assert_eq!(through(sent.as_bytes(), sent.len()), read);
        }
    }

    /// RFC 9112, section 2.2: some empty lines before a request are ignored, but not endless ones.
    #[test]
    fn empty_lines_are_bounded() {
        let request = "GET / HTTP/1.1\r\n\r\n";
        for (lines, is_read) in [(1, true), (32, true), (33, false), (1000, false)] {
            let sent = "\r\n".repeat(lines) + request;
            for piece in [1, 50, sent.len()] {
                let read = through(sent.as_bytes(), piece);
                assert_eq!(read == sent.as_bytes().escape_ascii().to_string(), is_read);
                assert_eq!(read == stands_for(Fault::Method), !is_read, "{lines}");
            }
        }
    }

    /// A head that never ends is refused, and costs no more than its bytes.
    #[test]
    fn heads_are_bounded() {
        let target = format!("GET /{}", "a".repeat(LONG));
        let field = format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(HEAD_BYTES));
        for piece in [1000, 8192, HEAD_BYTES * 2] {
            let long = through(target.as_bytes(), piece);
            assert_eq!(long, stands_for(Fault::TargetTooLong));
            let large = through(field.as_bytes(), piece);
            assert_eq!(large, stands_for(Fault::HeadTooLarge));
        }
    }

    const SNIPPETS: [&str; 16] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\"?< HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ",
        "POST /> HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n/\" \r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST /` HTTP/1.1\r\nContent-Length: ",
        "\r\n",
        "\n",
        "0",
        "HTTP/1.1",
        " ",
        "\u{e9}",
        "x: y\r\n",
        "#",
        "PROXY ",
        "\0",
    ];

    proptest! {
        /// What hyper reads does not depend on how the bytes are cut, and nothing panics.
        #[test]
        fn pieces_make_no_difference(
            snippets in proptest::collection::vec(proptest::sample::select(&SNIPPETS[..]), 1..8),
            piece in 1_usize..40,
        ) {
            let sent = snippets.concat();
            prop_assert_eq!(through(sent.as_bytes(), piece), through(sent.as_bytes(), sent.len()));
        }
    }
}
