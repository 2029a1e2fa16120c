//! Verification keys, each bound to the one algorithm it may be used with.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::ParsedPublicKey;

use super::algorithm::{Algorithm, Family};
use super::key_error::KeyError;
use super::key_identity::KeyIdentity;
use super::{edwards, pem};

/// Secrets that documentation and example files of Mercure hubs print.
const WELL_KNOWN: [&[u8]; 2] = [b"!ChangeThisMercureHubJWTSecretKey!", b"!ChangeMe!"];

/// Picks the algorithm of key material: the one named, or HS256 for a shared secret (B-224, B-235).
pub(super) fn choose_algorithm(
    material: &[u8],
    algorithm: Option<Algorithm>,
) -> Result<Algorithm, KeyError> {
    let in_pem = pem::is_pem(material);
    let algorithm = match algorithm {
        Some(algorithm) => algorithm,
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

/// Refuses PEM text where a shared secret is expected. [`choose_algorithm`] refuses the rest.
pub(super) fn refuse_pem(secret: &[u8], algorithm: Algorithm) -> Result<(), KeyError> {
    if algorithm.family() != Family::Hmac && pem::is_pem(secret) {
        return Err(KeyError::PemAsSecret(algorithm));
    }
    Ok(())
}

/// A key that verifies tokens of one issuer and role. Tokens may use its one algorithm and no other
/// (B-235). Its `Debug` form shows the algorithm and hides the key.
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    material: Material,
    weakness: Option<String>,
    identity: KeyIdentity,
}

#[derive(Clone)]
enum Material {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl VerificationKey {
    /// A shared secret, whose bytes are taken as they are (B-123).
    ///
    /// ```
    /// use talaria_hub::access::{Algorithm, VerificationKey};
    ///
    /// let secret = "0123456789abcdef0123456789abcdef";
    /// let key = VerificationKey::from_secret(secret, Algorithm::HS256)?;
    /// assert_eq!(key.algorithm(), Algorithm::HS256);
    /// # Ok::<(), talaria_hub::access::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// An empty secret, one that is a key in PEM form, or an algorithm that takes a public key.
    pub fn from_secret(secret: impl AsRef<[u8]>, algorithm: Algorithm) -> Result<Self, KeyError> {
        refuse_pem(secret.as_ref(), algorithm)?;
        Self::new(secret.as_ref(), algorithm)
    }

    /// A key in PEM form: a public key (PKIX, or PKCS#1 for RSA) or an X.509 certificate, whose
    /// validity period and issuer do not matter (B-225).
    ///
    /// # Errors
    /// PEM text that cannot be read, or a key of another kind than the algorithm takes.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.family() == Family::Hmac {
            return Err(KeyError::PemWithHmac(algorithm));
        }
        Self::new(pem.as_bytes(), algorithm)
    }

    /// Reads key material that is either a shared secret or a key in PEM form, as a configuration has
    /// it. Without an algorithm a secret is used with HS256; a key in PEM form needs one.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(material: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let algorithm = choose_algorithm(material.as_bytes(), algorithm)?;
        Self::new(material.as_bytes(), algorithm)
    }

    fn new(material: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let algorithm = choose_algorithm(material, Some(algorithm))?;
        if let Some(hmac) = algorithm.hmac() {
            let weakness = weakness_of(material, algorithm, hmac.digest_algorithm().output_len());
            return Ok(Self {
                weakness,
                ..Self::of_hmac(algorithm, hmac, material)
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

    /// A key of this algorithm; `None` if it must not be used: RSA of another size or with a bad
    /// exponent, an Ed25519 point that any attacker can sign for.
    pub(super) fn of_public(algorithm: Algorithm, key: ParsedPublicKey) -> Option<Self> {
        let usable = match algorithm.family() {
            Family::Rsa => has_usable_size(&key),
            _ => algorithm != Algorithm::EdDSA || !is_weak_point(&key),
        };
        let identity = match key.as_der() {
            Ok(der) => KeyIdentity::new(algorithm, der.as_ref()),
            // What it was read from, which may be one of several forms of the key.
            Err(_) => KeyIdentity::new(algorithm, key.as_ref()),
        };
        usable.then_some(Self {
            algorithm,
            material: Material::Public(key),
            weakness: None,
            identity,
        })
    }

    /// A shared secret of a key set; `None` if the algorithm takes a public key, or the secret is
    /// empty.
    pub(super) fn of_secret(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        let hmac = algorithm.hmac().filter(|_| !secret.is_empty())?;
        Some(Self::of_hmac(algorithm, hmac, secret))
    }

    fn of_hmac(algorithm: Algorithm, hmac: hmac::Algorithm, secret: &[u8]) -> Self {
        /// No token is signed with a secret in this form: it is not two parts of base64url.
        const MESSAGE: &[u8] = b"the identity of a key of this hub";
        let key = hmac::Key::new(hmac, secret);
        Self {
            algorithm,
            identity: KeyIdentity::new(algorithm, hmac::sign(&key, MESSAGE).as_ref()),
            material: Material::Secret(Box::new(key)),
            weakness: None,
        }
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

    /// What tells this key apart from others. Keys that verify the same signatures are one.
    pub(super) fn identity(&self) -> KeyIdentity {
        self.identity
    }

    /// The shared secret; `None` for a public key.
    pub(super) fn secret(&self) -> Option<&hmac::Key> {
        match &self.material {
            Material::Secret(key) => Some(key),
            Material::Public(_) => None,
        }
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
/// refuse every signature of a smaller one; the type for encryption checks the size at once.
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

fn weakness_of(secret: &[u8], algorithm: Algorithm, hash_bytes: usize) -> Option<String> {
    if WELL_KNOWN.contains(&secret) {
        return Some(
            "the secret is printed in public documentation, so that any attacker can sign tokens with \
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
