//! What reads a connection before hyper does.

use super::fault::Fault;

/// Finds the heads in what is received.
pub(crate) trait Reader: Unpin {
    /// Whether a connection may end whenever no answer is under way, because hyper reads its end (HTTP/1.1).
    const ENDS_BETWEEN_REQUESTS: bool = false;

    /// Returns how many of these bytes hyper may read as they are, and what becomes of the others.
    fn read(&mut self, bytes: &[u8]) -> (usize, Rest);

    /// Whether reading the held bytes again can lead further, now that those from `new` on have come.
    fn is_worth_reading(&self, held: &[u8], new: usize) -> bool;

    /// Whether the reader waits for the rest of a head although no byte is held.
    fn is_within_head(&self) -> bool {
        false
    }

    /// Whether the reader waits for the rest of a body.
    fn is_within_body(&self) -> bool {
        false
    }

    /// Gives up waiting for the rest of a head. Returns what hyper reads instead of everything that follows.
    fn give_up(&mut self, fault: Fault, held: &[u8]) -> Vec<u8>;

    /// Notes that bytes were sent to the client.
    fn sent(&mut self, _bytes: usize) {}

    /// Whether hyper has got the last request of the connection, because that request is at fault.
    fn has_ended(&self) -> bool {
        false
    }
}

/// What becomes of bytes that hyper may not read as they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They are held back until more have come.
    Held,
    /// This many of them are replaced by other bytes.
    Replaced(usize, Vec<u8>),
}
