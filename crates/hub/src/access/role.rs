//! What a token is presented for.

/// What a token is presented for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Publishing.
    Publisher,
    /// Subscribing, and reading the subscription API.
    Subscriber,
}

impl Role {
    /// The name as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
        }
    }
}
