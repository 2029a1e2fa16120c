//! What a cursor tells its driver, and when it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use talaria_transport::{Frame, Position};

use super::chunk::join;

/// What the driver of a cursor does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T = Bytes> {
    /// Send this, then ask again.
    Send(T),
    /// Read a page of the history after `from`, not beyond `up_to`, and [`Cursor::supply`](super::Cursor::supply) it.
    NeedPage {
        /// The cursor's position.
        from: Position,
        /// The newest visible position.
        up_to: Position,
    },
    /// Wait for the bell or the deadline, then ask again.
    Wait,
    /// End the stream; the client may resume.
    End(End),
}

/// What a stream sends.
#[derive(Debug)]
pub(crate) enum Output {
    /// At least one update.
    Updates(Vec<Arc<Frame>>),
    /// Bytes of the event stream that are not an update.
    Text(Bytes),
}

impl Output {
    /// The bytes of the event stream.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Updates(frames) => join(&frames),
            Self::Text(bytes) => bytes,
        }
    }
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection's lifetime is over (`write_timeout`).
    Rotated,
    /// The token's `exp` has come (specification, "Subscribers").
    TokenExpired,
    /// The configuration was changed and no longer permits the stream
    /// ([`Hub::reconfigure`](crate::Hub::reconfigure)).
    Revoked,
    /// The operator has ended the stream ([`Hub::disconnect`](crate::Hub::disconnect)), or revoked its token
    /// ([`Hub::revoke`](crate::Hub::revoke)).
    Disconnected,
    /// The hub is stopping.
    Drained,
    /// The log no longer holds what comes next.
    Passed,
    /// The log cannot be read now; the client resumes where it was.
    Unavailable,
}

impl End {
    /// What a client is told before it comes back, if the operator has done something.
    pub(super) fn told(self) -> Option<&'static str> {
        match self {
            Self::Revoked => Some("the configuration of the hub has changed"),
            Self::Disconnected => Some("the operator of the hub has ended this stream"),
            _ => None,
        }
    }
}

/// The times at which a stream sends a comment or ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deadlines {
    /// A comment after this much silence.
    pub(crate) heartbeat: Option<Duration>,
    /// The end of the connection's lifetime, already jittered.
    pub(crate) rotation: Option<Instant>,
    /// The `exp` of the token, which the end must not exceed.
    pub(crate) expiry: Option<Instant>,
}
