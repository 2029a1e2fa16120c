//! The form of a token and its header, and whether a key made its signature.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::issuer::{Issuer, IssuerKey};
use super::key_identity::KeyIdentity;
use super::refusal::Refusal;
use super::role::Role;

/// A compact JWS (RFC 7515, section 7.1), still encoded.
pub(super) struct Jws<'a> {
    signed: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, Refusal> {
        let not_a_jws = || Refusal::NotAJws {
            parts: token.split('.').count(),
        };
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_a_jws)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_a_jws)?;
        if claims.contains('.') {
            return Err(not_a_jws());
        }
        Ok(Self {
            signed,
            header,
            claims,
            signature,
        })
    }

    pub(super) fn header(&self) -> Result<Map<String, Value>, Refusal> {
        json_object(&decode("header", self.header)?).ok_or(Refusal::BadHeaderJson)
    }

    pub(super) fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        json_object(&decode("claims", self.claims)?).ok_or(Refusal::BadClaimsJson)
    }

    /// Returns the key that made the signature.
    pub(super) fn judge_signature(
        &self,
        key: &IssuerKey,
        algorithm: &str,
        kid: Option<&str>,
        issuer: &Issuer,
        role: Role,
    ) -> Result<KeyIdentity, Refusal> {
        if let IssuerKey::Static(key) = key
            && algorithm != key.algorithm().name()
        {
            return Err(Refusal::AlgNotAllowed {
                received: algorithm.to_owned(),
                allowed: key.algorithm(),
                role,
            });
        }
        let signature = decode("signature", self.signature)?;
        let signed = self.signed.as_bytes();
        let verified = match key {
            IssuerKey::Static(key) => key.verifies(signed, &signature).then(|| key.identity()),
            IssuerKey::Set(set) => {
                set.judge(kid, algorithm, |key| key.verifies(signed, &signature))?
            }
        };
        verified.ok_or_else(|| Refusal::BadSignature {
            issuer: issuer.identifier.clone(),
            role,
        })
    }
}

/// Checks the header and returns its `alg`, which the caller must compare with the key's.
pub(super) fn judge_header(header: &Map<String, Value>) -> Result<&str, Refusal> {
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) if name.eq_ignore_ascii_case("none") => {
            return Err(Refusal::AlgNone);
        }
        Some(Value::String(name)) => name,
        _ => return Err(Refusal::AlgMissing),
    };
    // The hub knows no extension, so it knows none that `crit` names. An empty or malformed `crit` is
    // against the rules (RFC 7515, section 4.1.11).
    match header.get("crit") {
        Some(critical) => Err(Refusal::UnknownCrit(critical.to_string())),
        None => Ok(algorithm),
    }
}

pub(super) fn judge_type(header: &Map<String, Value>) -> Result<(), Refusal> {
    match header.get("typ") {
        Some(Value::String(typ)) if is_access_token(typ) => Ok(()),
        Some(Value::String(typ)) => Err(Refusal::WrongTyp(typ.clone())),
        _ => Err(Refusal::TypMissing),
    }
}

/// Whether a `typ` is `at+jwt`, with or without `application/` and in any case (RFC 7515,
/// section 4.1.9).
fn is_access_token(typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let subtype = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(PREFIX) => subtype,
        _ => typ,
    };
    subtype.eq_ignore_ascii_case("at+jwt")
}

fn decode(part: &'static str, encoded: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| Refusal::NotBase64url { part })
}

fn json_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok()
}
