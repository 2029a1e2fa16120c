//! Keys that sign access tokens.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::{Algorithm, Family};
use super::issuer::{Issuer, IssuerKey};
use super::key::{VerificationKey, choose_algorithm, refuse_pem};
use super::key_error::KeyError;
use super::pem;

/// A key that signs access tokens, for an application that is its own issuer. Its `Debug` form hides
/// the key.
///
/// ```
/// use serde_json::json;
/// use talaria_hub::access::{Algorithm, SigningKey};
///
/// let key = SigningKey::from_secret("0123456789abcdef0123456789abcdef", Algorithm::HS256)?;
/// let token = key.sign(&json!({
///     "iss": "https://app.example",
///     "aud": "https://app.example/.well-known/mercure",
///     "exp": 4_102_444_800_u64,
///     "authorization_details": [{
///         "type": "https://mercure.rocks/authorization-detail",
///         "actions": ["subscribe"],
///         "topics": [{ "match": "https://app.example/users/7" }],
///     }],
/// }))?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok::<(), talaria_hub::access::KeyError>(())
/// ```
pub struct SigningKey {
    algorithm: Algorithm,
    material: Material,
    kid: Option<String>,
}

enum Material {
    Secret(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// A shared secret, whose bytes are taken as they are (B-123).
    ///
    /// # Errors
    /// An empty secret, one that is a key in PEM form, or an algorithm that takes a private key.
    pub fn from_secret(secret: impl AsRef<[u8]>, algorithm: Algorithm) -> Result<Self, KeyError> {
        refuse_pem(secret.as_ref(), algorithm)?;
        Self::new(secret.as_ref(), algorithm)
    }

    /// A private key in PEM form: PKCS#8, PKCS#1 for RSA, SEC 1 for elliptic curves.
    ///
    /// # Errors
    /// PEM text that cannot be read, or a key of another kind than the algorithm takes.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.family() == Family::Hmac {
            return Err(KeyError::PemWithHmac(algorithm));
        }
        Self::new(pem.as_bytes(), algorithm)
    }

    /// Reads key material that is either a shared secret or a private key in PEM form. Without an
    /// algorithm a secret is used with HS256; a key in PEM form needs one (B-034).
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(material: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let algorithm = choose_algorithm(material.as_bytes(), algorithm)?;
        Self::new(material.as_bytes(), algorithm)
    }

    fn new(material: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let algorithm = choose_algorithm(material, Some(algorithm))?;
        let material = match algorithm.hmac() {
            Some(hmac) => Material::Secret(Box::new(hmac::Key::new(hmac, material))),
            None => Material::private(&pem::private_key(material)?, algorithm)?,
        };
        Ok(Self {
            algorithm,
            material,
            kid: None,
        })
    }

    /// The key that verifies the tokens of an issuer's subscribers, if it is a shared secret, which signs as well; and
    /// whether the same key verifies those of its publishers.
    pub(crate) fn of_issuer(issuer: &Issuer) -> Option<(Self, bool)> {
        let of = |key: Option<&'_ IssuerKey>| match key {
            Some(IssuerKey::Static(key)) => Some(key.clone()),
            Some(IssuerKey::Set(_)) | None => None,
        };
        let key = of(issuer.subscriber.as_ref())?;
        let secret = key.secret()?.clone();
        let is_same = |other: VerificationKey| other.identity() == key.identity();
        let publishes = of(issuer.publisher.as_ref()).is_some_and(is_same);
        let signing = Self {
            algorithm: key.algorithm(),
            material: Material::Secret(Box::new(secret)),
            kid: None,
        };
        Some((signing, publishes))
    }

    /// The same key, named in the header of its tokens.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The algorithm of the signatures.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs claims as an access token: a JWT of type `at+jwt` (RFC 9068) in compact serialization. The
    /// claims are taken as they are; the caller knows which ones a token needs.
    ///
    /// # Errors
    /// [`KeyError::Signing`] if the cryptographic library fails.
    pub fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        self.sign_as("at+jwt", claims)
    }

    /// Signs claims as a JWT of this type, such as the `JWT` of Mercure 0.x, as [`Self::sign`] does.
    ///
    /// # Errors
    /// [`KeyError::Signing`] if the cryptographic library fails.
    pub fn sign_as(&self, typ: &str, claims: &Value) -> Result<String, KeyError> {
        let mut header = json!({ "alg": self.algorithm.name(), "typ": typ });
        if let Some(kid) = &self.kid {
            header["kid"] = kid.as_str().into();
        }
        let mut token = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Signing(self.algorithm);
        match &self.material {
            Material::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Material::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Material::Ecdsa(key) => {
                let signature = key.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Material::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

impl Material {
    /// Reads the DER of a private key.
    fn private(der: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let other_kind = |_| KeyError::OtherKind { algorithm };
        if let Some(encoding) = algorithm.rsa_signing() {
            let key = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
            Ok(Self::Rsa(Box::new(key.map_err(other_kind)?), encoding))
        } else if let Some(signing) = algorithm.ecdsa_signing() {
            let key = EcdsaKeyPair::from_pkcs8(signing, der)
                .or_else(|_| EcdsaKeyPair::from_private_key_der(signing, der));
            Ok(Self::Ecdsa(Box::new(key.map_err(other_kind)?)))
        } else {
            // OpenSSL writes Ed25519 keys without the public half.
            let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(other_kind)?;
            Ok(Self::Ed25519(Box::new(key)))
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
