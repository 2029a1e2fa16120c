//! Why streams end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Why a stream has ended. Logs and metrics have one [code](Self::code) for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Departure {
    /// The client has closed its connection.
    ClientGone,
    /// The client has ended the stream and kept its connection: it reset an HTTP/2 stream, or asked to stop an
    /// HTTP/3 one.
    ResetByClient,
    /// The connection broke off.
    ConnectionError,
    /// The client took nothing for `dispatch_timeout`.
    Slow,
    /// The connection had to be cut because of another stream on it.
    ConnectionCut,
    /// The connection's lifetime was over (`write_timeout`).
    Rotated,
    /// The token has expired.
    TokenExpired,
    /// A new configuration did not permit the stream.
    Revoked,
    /// An operator ended the stream, or revoked its token.
    Disconnected,
    /// The hub stopped.
    Drained,
    /// The log no longer held what came next.
    LogPassed,
    /// The log could not be read.
    LogUnreadable,
}

impl Departure {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::ClientGone,
        Self::ResetByClient,
        Self::ConnectionError,
        Self::Slow,
        Self::ConnectionCut,
        Self::Rotated,
        Self::TokenExpired,
        Self::Revoked,
        Self::Disconnected,
        Self::Drained,
        Self::LogPassed,
        Self::LogUnreadable,
    ];

    /// Its stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::ResetByClient => "reset_by_client",
            Self::ConnectionError => "connection_error",
            Self::Slow => "slow",
            Self::ConnectionCut => "connection_cut",
            Self::Rotated => "rotated",
            Self::TokenExpired => "token_expired",
            Self::Revoked => "revoked",
            Self::Disconnected => "disconnected",
            Self::Drained => "drained",
            Self::LogPassed => "log_passed",
            Self::LogUnreadable => "log_unreadable",
        }
    }
}

/// What a listener tells the hub about the end of a stream that the hub did not end. Put one into the extensions of a
/// request for its stream alone; that of an [`Outflow`](crate::Outflow) is for all streams of a connection. Cloning
/// shares it.
#[derive(Debug, Clone, Default)]
pub struct Parting(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    /// The number of the departure after 0.
    departure: AtomicU8,
    otherwise: AtomicU8,
}

impl Parting {
    /// One for a stream that ended for this reason if nothing else is told.
    pub fn otherwise(departure: Departure) -> Self {
        let told = Told {
            departure: AtomicU8::new(0),
            otherwise: AtomicU8::new(number(departure)),
        };
        Self(Arc::new(told))
    }

    /// Tells why. The first reason counts.
    pub fn because(&self, departure: Departure) {
        let told = &self.0.departure;
        // If it fails, another reason came first.
        _ = told.compare_exchange(0, number(departure), Ordering::AcqRel, Ordering::Acquire);
    }

    /// What was told.
    pub(crate) fn told(&self) -> Option<Departure> {
        departure(self.0.departure.load(Ordering::Acquire))
    }

    /// What counts if nothing was told.
    pub(crate) fn if_untold(&self) -> Option<Departure> {
        departure(self.0.otherwise.load(Ordering::Relaxed))
    }
}

fn number(departure: Departure) -> u8 {
    departure as u8 + 1
}

fn departure(number: u8) -> Option<Departure> {
    let place = usize::from(number).checked_sub(1)?;
    Departure::ALL.get(place).copied()
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        for (place, each) in Departure::ALL.into_iter().enumerate() {
            assert_eq!(each as usize, place);
            let parting = Parting::otherwise(each);
            assert_eq!((parting.told(), parting.if_untold()), (None, Some(each)));
            parting.because(each);
            parting.because(Departure::Slow);
            assert_eq!(parting.told(), Some(each));
        }
    }
}
