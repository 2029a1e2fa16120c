//! Who a client is, for what it may hold.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::LazyLock;

use http::request::Parts;

use super::ClientAddress;
use crate::Connection;
use crate::access::{Access, Presented};

/// The key under which names of clients are hashed, so that a client cannot choose two that are equal.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Who makes a request, by everything that a budget may count it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// Where it comes from; `None` if the listener does not say.
    pub address: Option<ClientAddress>,
    /// A keyed hash of whom its token is about; `None` without a token.
    pub subject: Option<u64>,
    /// The number of its connection; `None` if the listener does not number them.
    pub connection: Option<u64>,
}

impl Client {
    /// The client of a request whose token, if it has one, was verified.
    pub(crate) fn new(parts: &Parts, token: Option<(&Presented, &Access)>) -> Self {
        let connection = parts.extensions.get::<Connection>();
        Self {
            address: connection.and_then(Connection::client_address),
            subject: token.map(|(presented, access)| subject(presented, access)),
            connection: connection.and_then(|connection| connection.number),
        }
    }

    /// A number that stands for the client where clients take turns: those that differ in address or
    /// token subject have different ones, and a client cannot choose its own. The connection does not
    /// count, since a client has as many as it likes.
    pub fn number(&self) -> u64 {
        hash(&(self.address, self.subject))
    }
}

/// A keyed hash, the same for equal values until the process ends.
pub(super) fn hash(value: &impl Hash) -> u64 {
    KEY.hash_one(value)
}

/// Whom a token is about: issuer and `sub`. Without a `sub` it is the token itself, without its
/// signature, of which ECDSA has several that are valid. All such tokens of an issuer together
/// would let one of their holders take the share of the others.
fn subject(presented: &Presented, access: &Access) -> u64 {
    match access
        .subject
        .as_deref()
        .filter(|subject| !subject.is_empty())
    {
        Some(subject) => hash(&(&access.issuer, subject)),
        None => {
            let token = presented.token.as_str();
            hash(&token.rsplit_once('.').map_or(token, |(signed, _)| signed))
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn clients_of_another_address_or_subject_have_another_number() {
        let client = |address: [u8; 4], subject, connection| Client {
            address: Some(IpAddr::from(address).into()),
            subject,
            connection,
        };
        let one = client([192, 0, 2, 1], None, Some(1));
        assert_eq!(one.number(), client([192, 0, 2, 1], None, Some(2)).number());
        let others = [
            client([192, 0, 2, 2], None, Some(1)),
            client([192, 0, 2, 1], Some(1), Some(1)),
            client([192, 0, 2, 1], Some(2), Some(1)),
            Client {
                address: None,
                ..one
            },
        ];
        for (number, other) in others.iter().enumerate() {
            assert_ne!(one.number(), other.number(), "{other:?}");
            for another in &others[..number] {
                assert_ne!(another.number(), other.number(), "{other:?}");
            }
        }
    }
}
