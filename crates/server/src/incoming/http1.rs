//! The requests of an HTTP/1.1 connection.

use super::follows::Follows;
use super::head::{Complete, Head, judge};
use super::layer::{Reader, Rest};
use super::{Fault, HEAD_BYTES};

/// Held bytes up to this many are judged with each read, so that garbage is answered at once.
const SHORT: usize = 1024;

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
            || held.len() >= HEAD_BYTES
            || end.windows(2).any(|two| two == b"\n\n")
            || end.windows(3).any(|three| three == b"\n\r\n")
    }

    fn has_refused(&self) -> bool {
        self.refused
    }
}
