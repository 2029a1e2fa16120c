//! The two generations of the protocol, and which of them a hub accepts.

/// A generation of the protocol. One request may mix them, because each parameter and the token has
/// its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Mercure 0.x: `topic` parameters, the `mercure` claim.
    V0,
    /// Mercure 1.0: `match` parameters, authorization details.
    V1,
}

/// Which generations a hub accepts, and by whose checks it judges them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// Mercure 1.0 alone.
    #[default]
    Modern,
    /// Both generations; checks and answers are those of Mercure 1.0 (B-601 to B-621).
    Compatible,
    /// Both generations; parameters and tokens of 0.x are checked and answered as 0.x does (B-630
    /// to B-657).
    Classic,
}

impl Rule {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Compatible => "compatible",
            Self::Classic => "classic",
        }
    }

    /// The oldest generation that is accepted.
    pub fn oldest(self) -> Generation {
        match self {
            Self::Modern => Generation::V1,
            Self::Compatible | Self::Classic => Generation::V0,
        }
    }

    /// The generation by whose checks a token or parameter of the generation `of` is judged.
    pub fn checks(self, of: Generation) -> Generation {
        match self {
            Self::Modern | Self::Compatible => Generation::V1,
            Self::Classic => of,
        }
    }
}
