//! What a shared log promises.

use std::fmt;

/// A promise. Its words say that it was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    Positions,
    Order,
    Once,
    Complete,
    Acknowledged,
    Refused,
    Kept,
    Counted,
    Ring,
    Ends,
    Lists,
    Answered,
    GoesOn,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Positions => "a position was used twice",
            Self::Order => "out of order",
            Self::Once => "delivered twice",
            Self::Complete => "stored but not delivered",
            Self::Acknowledged => "acknowledged but not delivered",
            Self::Refused => "refused but stored",
            Self::Kept => "shown but lost",
            Self::Counted => "lost but not counted",
            Self::Ring => "lost but still in the ring",
            Self::Ends => "a subscription did not end exactly once",
            Self::Lists => "nodes list other subscriptions than are open",
            Self::Answered => "not answered in time",
            Self::GoesOn => "a node does not go on",
        })
    }
}

/// A promise that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub law: Law,
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.how)
    }
}

impl Law {
    /// It was broken in this way.
    pub fn broken<T>(self, how: impl Into<String>) -> Result<T, Broken> {
        let how = how.into();
        Err(Broken { law: self, how })
    }
}
