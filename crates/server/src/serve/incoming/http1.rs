//! The requests of an HTTP/1.1 connection.

use std::sync::Arc;

use talaria_config::settings::HeadSettings;

use super::fault::Fault;
use super::follows::Follows;
use super::head::{Complete, Head, judge};
use super::reader::{Reader, Rest};
use super::target::TARGET_BYTES;
use crate::serve::direct::Exit;

/// Up to this many held bytes are judged with each read, so that garbage is answered at once.
const SHORT: usize = 1024;
/// A head of this many bytes contains its whole target, or the target is too long.
const LONG: usize = TARGET_BYTES + SHORT;

/// Finds the heads of requests, and where their bodies end.
pub(crate) struct Http1 {
    follows: Follows,
    bounds: HeadSettings,
    /// What is wrong with every request of this connection.
    wrong: Option<Fault>,
    refused: bool,
    /// Told of the heads that hyper can read.
    exit: Option<Arc<Exit>>,
}

impl Http1 {
    /// A reader for the beginning of a connection. If it is `wrong`, all of its requests are refused.
    pub(crate) fn new(bounds: HeadSettings, wrong: Option<Fault>) -> Self {
        Self {
            follows: Follows::Head,
            bounds,
            wrong,
            refused: false,
            exit: None,
        }
    }

    /// Tells of each head that hyper can read.
    pub(crate) fn telling(mut self, exit: Option<Arc<Exit>>) -> Self {
        self.exit = exit;
        self
    }

    fn passes_head(&self) {
        if let Some(exit) = &self.exit {
            exit.head();
        }
    }

    fn holds(&self, is_held: bool) {
        if let Some(exit) = &self.exit {
            exit.holds(is_held);
        }
    }

    /// Replaces everything that was received by a request that stands for the fault. It is the last request,
    /// because the next head could begin anywhere.
    fn refuse(&mut self, fault: Fault, received: &[u8]) -> Rest {
        Rest::Replaced(received.len(), self.give_up(fault, received))
    }
}

/// The request that stands for a received one. A `HEAD` request stays one, because its answer has no body.
fn replacement(fault: Fault, received: &[u8]) -> String {
    let start = received.iter().position(|byte| !b"\r\n".contains(byte));
    let line = received.get(start.unwrap_or_default()..);
    let is_head = line.is_some_and(|line| line.starts_with(b"HEAD "));
    let method = if is_head { "HEAD" } else { "GET" };
    let target = fault.target();
    let is_get = line.is_some_and(|line| line.starts_with(b"GET "));
    let fields = match fault.is_passing() && is_get {
        true => kept_fields(received),
        false => String::new(),
    };
    format!("{method} {target} HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n{fields}\r\n")
}

/// The complete fields of a head that decide how a browser is asked to come back.
fn kept_fields(received: &[u8]) -> String {
    let mut kept = String::new();
    for line in received.split_inclusive(|byte| *byte == b'\n') {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let Some((name, value)) = text
            .strip_suffix('\n')
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let name = name.to_ascii_lowercase();
        let value = value.trim();
        let is_plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if is_plain && ["accept", "origin"].contains(&name.as_str()) {
            kept.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    kept
}

impl Reader for Http1 {
    const ENDS_BETWEEN_REQUESTS: bool = true;

    fn read(&mut self, bytes: &[u8]) -> (usize, Rest) {
        let mut at = 0;
        while at < bytes.len() {
            let left = &bytes[at..];
            at += match self.follows {
                Follows::Nothing => break,
                Follows::Bytes(_) | Follows::Chunks(_) => self.follows.take(left),
                Follows::Head => {
                    let judged = match self.wrong {
                        Some(fault) => Err(fault),
                        None => judge(left, &self.bounds),
                    };
                    match judged {
                        Ok(Head::Complete(Complete {
                            length,
                            encoded,
                            follows,
                        })) => {
                            self.follows = follows;
                            self.passes_head();
                            match encoded {
                                None => length,
                                Some(head) => {
                                    self.holds(at + length < bytes.len());
                                    return (at, Rest::Replaced(length, head));
                                }
                            }
                        }
                        Ok(Head::Partial) if left.len() < self.bounds.bytes => break,
                        Ok(Head::Partial) => {
                            return (at, self.refuse(Fault::HeadTooLarge, left));
                        }
                        Err(fault) => return (at, self.refuse(fault, left)),
                    }
                }
            };
        }
        self.holds(at < bytes.len());
        (at, Rest::Held)
    }

    fn is_worth_reading(&self, held: &[u8], new: usize) -> bool {
        // An empty line, which may have begun before the new bytes, ends a head.
        let end = &held[new.saturating_sub(2)..];
        held.len() <= SHORT
            || (new < LONG && held.len() >= LONG)
            || held.len() >= self.bounds.bytes
            || end.windows(2).any(|two| two == b"\n\n")
            || end.windows(3).any(|three| three == b"\n\r\n")
    }

    fn is_within_body(&self) -> bool {
        matches!(self.follows, Follows::Bytes(_) | Follows::Chunks(_))
    }

    fn give_up(&mut self, fault: Fault, received: &[u8]) -> Vec<u8> {
        self.refused = true;
        replacement(fault, received).into()
    }

    fn has_ended(&self) -> bool {
        self.refused || self.follows == Follows::Nothing
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::through;
    use super::*;

    /// What hyper reads of these bytes, if they come in pieces.
    fn through(sent: &[u8], piece: usize) -> String {
        let read = through::through(Http1::new(HeadSettings::default(), None), sent, piece);
        read.escape_ascii().to_string()
    }

    fn stands_for(fault: Fault) -> String {
        replacement(fault, b"")
            .as_bytes()
            .escape_ascii()
            .to_string()
    }

    /// Only the target is changed, and only if it must be (RFC 9112, section 3.2).
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

    /// Some empty lines before a request are ignored, but not endless ones (RFC 9112, section 2.2).
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
        let bytes = HeadSettings::default().bytes;
        let target = format!("GET /{}", "a".repeat(LONG));
        let field = format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(bytes));
        for piece in [1000, 8192, bytes * 2] {
            let long = through(target.as_bytes(), piece);
            assert_eq!(long, stands_for(Fault::TargetTooLong));
            let large = through(field.as_bytes(), piece);
            assert_eq!(large, stands_for(Fault::HeadTooLarge));
        }
    }

    /// No head passes unread after a body, whatever field says where the body ends.
    #[test]
    fn nothing_passes_unread_after_a_body() {
        let end = "Transfer-Encoding: chunked\r\n";
        let cases = [
            (end, "1 \r\na\r\n0\r\n\r\n", true),
            (end, "1\t;x\r\na\r\n0\r\n\r\n", true),
            (end, "0000000000000001\r\na\r\n0\r\n\r\n", true),
            ("transfer-encoding:\t ChunKed \r\n", "0\r\n\r\n", true),
            ("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n", true),
            (
                "Transfer-Encoding: , ,chunked\r\nContent-Length: 1\r\n",
                "0\r\n\r\n",
                true,
            ),
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
                true,
            ),
            (end, "1 1\r\na\r\n0\r\n\r\n", false),
            (end, "10000000000000000\r\n", false),
            (end, "1;\n", false),
        ];
        for (fields, body, follows) in cases {
            let first = format!("POST / HTTP/1.1\r\n{fields}\r\n{body}");
            let sent = format!("{first}GET /#a HTTP/1.1\r\n\r\n");
            for piece in [1, 7, sent.len()] {
                let read = through(sent.as_bytes(), piece);
                if follows {
                    let first = first.as_bytes().escape_ascii().to_string();
                    assert_eq!(read, first + &stands_for(Fault::Fragment), "{body:?}");
                } else {
                    assert!(!read.contains("GET"), "{body:?}: {read}");
                }
            }
        }
        let tunnel = through(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nGET /\"0", 9);
        assert_eq!(tunnel, stands_for(Fault::Connect));
    }

    /// A coding that is not understood gets 501, chunks within chunks are forbidden, and HTTP/1.0 has no such
    /// field (RFC 9112, section 6.1).
    #[test]
    fn no_coding_but_chunked_is_taken() {
        for (fields, fault) in [
            ("gzip", Fault::Coding),
            ("gzip, chunked", Fault::Coding),
            ("deflate,chunked", Fault::Coding),
            ("identity, chunked", Fault::Coding),
            ("chunked, gzip", Fault::Coding),
            ("gzip\r\nTransfer-Encoding: chunked", Fault::Coding),
            ("chunked\r\nTransfer-Encoding: gzip", Fault::Coding),
            ("chunked;q=1", Fault::Coding),
            ("\"chunked\"", Fault::Coding),
            ("\u{e9}, chunked", Fault::Coding),
            ("chunked\u{e9}", Fault::Coding),
            ("chunked, chunked", Fault::Length),
            ("chunked\r\nTransfer-Encoding: chunked", Fault::Length),
            ("chunked,", Fault::Length),
            (",", Fault::Length),
            ("", Fault::Length),
        ] {
            let sent = format!("POST / HTTP/1.1\r\nTransfer-Encoding: {fields}\r\n\r\n");
            let read = through(sent.as_bytes(), sent.len());
            assert_eq!(read, stands_for(fault), "{fields}");
        }
        let sent = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(through(sent.as_bytes(), 9), stands_for(Fault::Length));
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
