//! The two generations of the protocol that clients speak (design §6).

/// A generation of the protocol. One request may mix them: each parameter and the token is of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Mercure 0.x: `topic` parameters, the `mercure` claim.
    V0,
    /// Mercure 1.0: `match` parameters, authorization details.
    V1,
}
