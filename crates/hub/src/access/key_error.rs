//! Why key material is unusable.

use super::algorithm::{Algorithm, UnknownAlgorithm};

/// Why key material is unusable. The text never quotes the material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No material at all.
    #[error("the key is empty; give a secret, or a key in PEM form")]
    Empty,
    /// The name of the algorithm is unknown.
    #[error(transparent)]
    UnknownAlgorithm(#[from] UnknownAlgorithm),
    /// A key in PEM form without an algorithm. The PEM text says what the key is, but not with which
    /// algorithm it is used (B-224).
    #[error(
        "the key is in PEM form, but no algorithm is given; name it after the key, such as \
         RS256, ES256 or EdDSA"
    )]
    PemWithoutAlgorithm,
    /// A key in PEM form as a shared secret. If the key is public, so would be the secret (B-224).
    #[error(
        "the key is in PEM form, but {0} takes a shared secret; name the algorithm of the key, \
         such as RS256, ES256 or EdDSA"
    )]
    PemWithHmac(Algorithm),
    /// A key in PEM form that the program reads as a shared secret.
    #[error("the key is in PEM form, and {0} takes no shared secret; read the key with `from_pem`")]
    PemAsSecret(Algorithm),
    /// A shared secret with a public-key algorithm.
    #[error(
        "{algorithm} takes {} key in PEM form, but the key does not begin with -----BEGIN; give \
         the PEM text, or use HS256 with a shared secret",
        article(.algorithm.key_kind())
    )]
    SecretWithAsymmetric {
        /// The algorithm named.
        algorithm: Algorithm,
    },
    /// PEM text that cannot be read.
    #[error("the PEM key cannot be read: {0}")]
    UnreadablePem(&'static str),
    /// A key of another kind than the algorithm takes.
    #[error(
        "the PEM key is not {} key, which {algorithm} takes; name the algorithm of the key, or \
         give another key",
        article(.algorithm.key_kind())
    )]
    OtherKind {
        /// The algorithm named.
        algorithm: Algorithm,
    },
    /// A public key that has no private key.
    #[error(
        "the PEM key is not one of a private key, so that any attacker can sign for it; make a new pair, \
         such as with `openssl genpkey -algorithm ed25519`"
    )]
    Weak,
    /// The cryptographic library could not sign.
    #[error("signing with {0} failed; make a new key")]
    Signing(Algorithm),
}

fn article(noun: &str) -> String {
    let article = if noun.starts_with(['E', 'R', 'a', 'e', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}
