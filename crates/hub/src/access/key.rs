//! Verification keys, each bound to the one algorithm it may be used with.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::ParsedPublicKey;
use talaria_protocol::error::Shown;

use super::algorithm::{Algorithm, Family};
use super::{edwards, pem};

/// Secrets that documentation and example files of Mercure hubs print.
const WELL_KNOWN: [&str; 2] = ["!ChangeThisMercureHubJWTSecretKey!", "!ChangeMe!"];

/// Why key material is unusable. Never carries any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No material at all.
    #[error("the key is empty; give a secret, or a key in PEM form")]
    Empty,
    /// A name that is no algorithm (B-225).
    #[error("algorithm {} is unknown; use one of {}", ShortName(.0), algorithm_names())]
    UnknownAlgorithm(String),
    /// A PEM key says what it is, but not with which algorithm it is used (B-224).
    #[error(
        "the key is in PEM form, but no algorithm is given; name it after the key, such as \
         RS256, ES256 or EdDSA"
    )]
    PemWithoutAlgorithm,
    /// A public key used as a shared secret is a secret that everybody knows (B-224).
    #[error(
        "the key is in PEM form, but {0} takes a shared secret; name the algorithm of the key, \
         such as RS256, ES256 or EdDSA"
    )]
    PemWithHmac(Algorithm),
    /// A raw secret with a public-key algorithm.
    #[error(
        "{algorithm} takes {} key in PEM form, but the key does not begin with -----BEGIN; give \
         the PEM text, or use HS256 with a shared secret",
        article(.algorithm.key_kind())
    )]
    SecretWithAsymmetric {
        /// The algorithm named.
        algorithm: Algorithm,
    },
    /// The PEM text cannot be read.
    #[error("the PEM key cannot be read: {0}")]
    UnreadablePem(&'static str),
    /// The PEM key is of another kind than the algorithm takes.
    #[error(
        "the PEM key is not {} key, which {algorithm} takes; name the algorithm of the key, or \
         give another key",
        article(.algorithm.key_kind())
    )]
    OtherKind {
        /// The algorithm named.
        algorithm: Algorithm,
    },
    /// A key without a private key.
    #[error(
        "the PEM key is not one of a private key, so that anybody can sign for it; make a new pair, \
         such as with `openssl genpkey -algorithm ed25519`"
    )]
    Weak,
    /// The cryptographic library could not sign.
    #[error("signing with {0} failed; make a new key")]
    Signing(Algorithm),
}

fn algorithm_names() -> String {
    Algorithm::ALL.map(Algorithm::name).join(", ")
}

fn article(noun: &str) -> String {
    let article = if noun.starts_with(['E', 'R', 'a', 'e', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

/// Picks the algorithm of key material: the one named, or HS256 for a raw secret (B-224, B-235).
pub(super) fn choose_algorithm(
    material: &str,
    algorithm: Option<&str>,
) -> Result<Algorithm, KeyError> {
    let in_pem = pem::is_pem(material);
    let algorithm = match algorithm {
        Some(name) => {
            Algorithm::from_name(name).ok_or_else(|| KeyError::UnknownAlgorithm(name.to_owned()))?
        }
        None if in_pem => return Err(KeyError::PemWithoutAlgorithm),
        None => Algorithm::HS256,
    };
    match (algorithm.family(), in_pem) {
        _ if material.is_empty() => Err(KeyError::Empty),
        (Family::Hmac, true) => Err(KeyError::PemWithHmac(algorithm)),
        (Family::Hmac, false) | (_, true) => Ok(algorithm),
        (_, false) => Err(KeyError::SecretWithAsymmetric { algorithm }),
    }
}

/// A key that verifies tokens of one issuer and role. Its one algorithm is the allow list (B-235).
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    material: Material,
    weakness: Option<String>,
}

#[derive(Clone)]
enum Material {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl VerificationKey {
    /// A key from a raw secret, whose bytes are taken as they are (B-123), or from PEM text: a
    /// public key (PKIX, or PKCS#1 for RSA) or an X.509 certificate (B-225), whose validity
    /// period and issuer do not matter.
    ///
    /// Without an algorithm a raw secret is used with HS256; a PEM key needs one.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn new(material: &str, algorithm: Option<&str>) -> Result<Self, KeyError> {
        let algorithm = choose_algorithm(material, algorithm)?;
        if let Some(hmac) = algorithm.hmac() {
            return Ok(Self {
                algorithm,
                material: Material::Secret(Box::new(hmac::Key::new(hmac, material.as_bytes()))),
                weakness: weakness_of(material, algorithm, hmac.digest_algorithm().output_len()),
            });
        }
        let der = pem::public_key(material)?;
        let key = algorithm
            .verification()
            .and_then(|verification| ParsedPublicKey::new(verification, &der).ok())
            .ok_or(KeyError::OtherKind { algorithm })?;
        if algorithm == Algorithm::EdDSA && is_weak_point(&key) {
            return Err(KeyError::Weak);
        }
        Self::of_public(algorithm, key).ok_or(KeyError::OtherKind { algorithm })
    }

    /// A key of this algorithm; `None` if it is not to be used: RSA of another size or with a bad
    /// exponent, an Ed25519 point that anybody can sign for.
    pub(super) fn of_public(algorithm: Algorithm, key: ParsedPublicKey) -> Option<Self> {
        let usable = match algorithm.family() {
            Family::Rsa => has_usable_size(&key),
            _ => algorithm != Algorithm::EdDSA || !is_weak_point(&key),
        };
        usable.then_some(Self {
            algorithm,
            material: Material::Public(key),
            weakness: None,
        })
    }

    /// A shared secret of a key set; `None` if the algorithm takes none, or the secret is empty.
    pub(super) fn of_secret(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        let hmac = algorithm.hmac().filter(|_| !secret.is_empty())?;
        Some(Self {
            algorithm,
            material: Material::Secret(Box::new(hmac::Key::new(hmac, secret))),
            weakness: None,
        })
    }

    /// The one algorithm that tokens of this key may use.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A sentence for the log if the key is a secret that is printed in documentation or shorter
    /// than its hash (B-1023).
    pub fn weakness(&self) -> Option<String> {
        self.weakness.clone()
    }

    /// Whether the signature of the message is this key's.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// Whether an RSA key has 2048 to 8192 bits. The parser takes any size, and verification would
/// refuse every signature of a smaller one; the type for encryption checks it at once.
fn has_usable_size(key: &ParsedPublicKey) -> bool {
    key.as_der()
        .is_ok_and(|der| PublicEncryptingKey::from_der(der.as_ref()).is_ok())
}

/// Whether an Ed25519 key is weak; the last 32 bytes of its DER are the point.
fn is_weak_point(key: &ParsedPublicKey) -> bool {
    key.as_der().map_or(true, |der| {
        let point = der.as_ref().last_chunk::<32>();
        point.is_none_or(|point| edwards::is_weak(point))
    })
}

fn weakness_of(secret: &str, algorithm: Algorithm, hash_bytes: usize) -> Option<String> {
    if WELL_KNOWN.contains(&secret) {
        return Some(
            "the secret is printed in public documentation, so that anybody can sign tokens with \
             it; replace it with a random one"
                .to_owned(),
        );
    }
    (secret.len() < hash_bytes).then(|| {
        format!(
            "the secret has {} bytes, but {algorithm} needs {hash_bytes} to be as strong as its \
             hash; replace it with a longer random one",
            secret.len()
        )
    })
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Shows what is meant as an algorithm only where it is as short as one: a longer word may belong
/// to a key that was not quoted.
struct ShortName<'a>(&'a str);

impl fmt::Display for ShortName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 8;
        if self.0.len() <= LONGEST {
            write!(f, "{}", Shown(self.0))
        } else {
            f.write_str("(a long word, not shown)")
        }
    }
}
