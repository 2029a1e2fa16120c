//! One JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037).

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Family};
use super::key::VerificationKey;

/// The entries of a key set; `None` if it is not one.
pub(super) fn listed(json: &[u8]) -> Option<Vec<Map<String, Value>>> {
    let set: Value = serde_json::from_slice(json).ok()?;
    let keys = set.get("keys")?.as_array()?;
    Some(keys.iter().filter_map(Value::as_object).cloned().collect())
}

/// A key, and the one algorithm that it says it is for, if any.
pub(super) struct Jwk {
    material: Material,
    algorithm: Option<Algorithm>,
}

enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The algorithm of the curve, and an uncompressed point or the bytes of an Ed25519 key.
    Curve(Algorithm, Vec<u8>),
    Secret(Vec<u8>),
}

impl Jwk {
    /// Reads a key; the error says why it cannot verify signatures.
    pub(super) fn read(entry: &Map<String, Value>) -> Result<Self, &'static str> {
        if text(entry, "use").is_some_and(|usage| usage != "sig") {
            return Err("not for signatures");
        }
        let algorithm = match text(entry, "alg") {
            Some(name) => Some(name.parse().map_err(|_| "its alg is unknown")?),
            None => None,
        };
        let material = match (text(entry, "kty"), text(entry, "crv")) {
            (Some("RSA"), _) => Material::Rsa {
                n: bytes(entry, "n")?,
                e: bytes(entry, "e")?,
            },
            (Some("EC"), Some("P-256")) => point(entry, Algorithm::ES256, 32)?,
            (Some("EC"), Some("P-384")) => point(entry, Algorithm::ES384, 48)?,
            (Some("EC"), Some("P-521")) => point(entry, Algorithm::ES512, 66)?,
            (Some("OKP"), Some("Ed25519")) => Material::Curve(Algorithm::EdDSA, bytes(entry, "x")?),
            (Some("oct"), _) => Material::Secret(bytes(entry, "k")?),
            _ => return Err("its kty or crv is unknown"),
        };
        Ok(Self {
            material,
            algorithm,
        })
    }

    /// One verification key for each algorithm that the key may be used with.
    pub(super) fn verifiers(
        &self,
        allowed: &[Algorithm],
    ) -> Result<Vec<VerificationKey>, &'static str> {
        let verifiers: Vec<_> = allowed
            .iter()
            .filter(|algorithm| self.algorithm.is_none_or(|own| own == **algorithm))
            .filter_map(|algorithm| self.verifier(*algorithm))
            .collect();
        if verifiers.is_empty() {
            return Err("damaged, or of no algorithm that may be used");
        }
        Ok(verifiers)
    }

    fn verifier(&self, algorithm: Algorithm) -> Option<VerificationKey> {
        match &self.material {
            Material::Rsa { n, e } => {
                let key = PublicKeyComponents { n, e };
                let key = key
                    .to_parsed_public_key(algorithm.rsa_verification()?)
                    .ok()?;
                VerificationKey::of_public(algorithm, key)
            }
            Material::Curve(own, bytes) if *own == algorithm => {
                let key = ParsedPublicKey::new(algorithm.verification()?, bytes).ok()?;
                VerificationKey::of_public(algorithm, key)
            }
            Material::Secret(secret) if algorithm.family() == Family::Hmac => {
                VerificationKey::of_secret(algorithm, secret)
            }
            Material::Curve(..) | Material::Secret(_) => None,
        }
    }
}

fn text<'a>(entry: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

fn bytes(entry: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let encoded = text(entry, name).ok_or("a member is missing")?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('='));
    bytes.map_err(|_| "a member is not base64url")
}

/// An uncompressed point, with its coordinates padded to `size` bytes (SEC 1, section 2.3.3).
fn point(
    entry: &Map<String, Value>,
    algorithm: Algorithm,
    size: usize,
) -> Result<Material, &'static str> {
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = bytes(entry, name)?;
        let missing = size
            .checked_sub(coordinate.len())
            .ok_or("a coordinate is too long")?;
        point.extend(std::iter::repeat_n(0, missing));
        point.extend(coordinate);
    }
    Ok(Material::Curve(algorithm, point))
}
