//! The client that is charged for what a request holds.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::LazyLock;

use super::address::ClientAddress;
use crate::access::{Access, Presented};

/// The key by which clients are hashed, so that a client cannot choose a name with the hash of another.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The client of a request, by everything that a budget may count it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    /// The address of the client; `None` if the listener does not tell it.
    pub(crate) address: Option<ClientAddress>,
    /// A keyed hash of the subject of its token; `None` without a token.
    pub(crate) subject: Option<u64>,
    /// The number of its connection; `None` if the listener does not number them.
    pub(crate) connection: Option<u64>,
}

impl Client {
    /// The client of a request that came over a connection with this number; its token, if it has
    /// one, was verified.
    pub(crate) fn new(
        address: Option<ClientAddress>,
        connection: Option<u64>,
        token: Option<(&Presented, &Access)>,
    ) -> Self {
        Self {
            address,
            subject: token.map(|(presented, access)| subject(presented, access)),
            connection,
        }
    }

    /// A number that stands for the client where clients take turns. Clients that differ in address or token
    /// subject have different numbers, and a client cannot choose its number. The connection does not count,
    /// because a client can open as many as it likes.
    pub(crate) fn number(&self) -> u64 {
        hash(&(self.address, self.subject))
    }
}

/// A keyed hash, the same for equal values until the process ends.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    KEY.hash_one(value)
}

/// The subject of a token: its issuer and `sub`. A token without `sub` is its own subject, without the
/// signature, because ECDSA has several valid ones. If all such tokens of an issuer were one subject, one
/// of their holders could take the share of the others.
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
