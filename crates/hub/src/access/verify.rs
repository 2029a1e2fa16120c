//! Judging a token: form, issuer, signature, claims (specification, "Token Validation").

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use talaria_protocol::{AuthorizationDetails, Base, Limits};

use super::{Issuer, Issuers, Refusal, Role, VerificationKey, claims};

/// What a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// When it ends, in Unix seconds with their fraction: the `exp` claim as it is.
    pub expires_at: f64,
    /// What it allows.
    pub details: AuthorizationDetails,
    /// Its `iss`, an identifier of one of the trusted issuers.
    pub issuer: String,
    /// Its `sub`, if that is a string.
    pub subject: Option<String>,
}

/// Verifies access tokens with the static keys of the trusted issuers.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuers: Issuers,
    base: Base,
    limits: Limits,
}

impl Verifier {
    /// A verifier for a hub: its trusted issuers, the base of its patterns and its maximums
    /// (`details`, `granted_topics`, `pattern_bytes`, `token_bytes`).
    pub fn new(issuers: Issuers, base: Base, limits: Limits) -> Self {
        Self {
            issuers,
            base,
            limits,
        }
    }

    /// The trusted issuers.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Verifies a compact token for a role.
    ///
    /// `audiences` are the hub's resource identifiers, one of which `aud` must contain;
    /// `now_unix` is the time in Unix seconds. There is no leeway (B-443).
    ///
    /// # Errors
    /// The first reason found, in the order length, form, header, `iss`, key, signature, `exp`,
    /// `nbf`, `aud`, details.
    pub fn verify(
        &self,
        token: &str,
        role: Role,
        audiences: &[String],
        now_unix: f64,
    ) -> Result<Access, Refusal> {
        let max = self.limits.token_bytes;
        if token.len() > max {
            return Err(Refusal::TooLong {
                bytes: token.len(),
                max,
            });
        }
        let (issuer, claims) = self.authenticate(token, role)?;
        let expires_at = claims::expiry(&claims, now_unix)?;
        claims::check_not_before(&claims, now_unix)?;
        claims::check_audience(&claims, audiences)?;
        Ok(Access {
            expires_at,
            details: claims::details(&claims, &self.base, &self.limits)?,
            issuer: issuer.identifier.clone(),
            subject: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Returns the issuer that signed the token for this role, and the claims it signed.
    fn authenticate(
        &self,
        token: &str,
        role: Role,
    ) -> Result<(&Issuer, Map<String, Value>), Refusal> {
        let jws = Jws::split(token)?;
        let algorithm = jws.judge_header()?;
        let claims = json_object(&decode("claims", jws.claims)?).ok_or(Refusal::BadClaimsJson)?;
        // Not verified yet: the claim only chooses among keys that are trusted already.
        let received = match claims.get("iss") {
            Some(Value::String(received)) => received,
            _ => return Err(Refusal::IssMissing),
        };
        let issuer = self
            .issuers
            .get(received)
            .ok_or_else(|| self.unknown_issuer(received))?;
        let key = issuer.key(role).ok_or_else(|| Refusal::NoKeyForRole {
            issuer: issuer.identifier.clone(),
            role,
        })?;
        jws.judge_signature(key, &algorithm, issuer, role)?;
        Ok((issuer, claims))
    }

    fn unknown_issuer(&self, received: &str) -> Refusal {
        let bare = received.strip_suffix('/').unwrap_or(received);
        let but_for_a_slash = self.issuers.iter().find(|issuer| {
            let trusted = &issuer.identifier;
            trusted.strip_suffix('/').unwrap_or(trusted) == bare
        });
        match but_for_a_slash {
            Some(issuer) => Refusal::IssSlash {
                received: received.to_owned(),
                trusted: issuer.identifier.clone(),
            },
            None => Refusal::IssUnknown {
                received: received.to_owned(),
                trusted: self
                    .issuers
                    .iter()
                    .map(|issuer| issuer.identifier.clone())
                    .collect(),
            },
        }
    }
}

/// A compact JWS (RFC 7515, section 7.1), still encoded.
struct Jws<'a> {
    signed: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    fn split(token: &'a str) -> Result<Self, Refusal> {
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

    /// Judges the header and returns its `alg`, which is still to be compared with the key's.
    fn judge_header(&self) -> Result<String, Refusal> {
        let header = json_object(&decode("header", self.header)?).ok_or(Refusal::BadHeaderJson)?;
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) if name.eq_ignore_ascii_case("none") => {
                return Err(Refusal::AlgNone);
            }
            Some(Value::String(name)) => name.clone(),
            _ => return Err(Refusal::AlgMissing),
        };
        // No extension is understood here, so whatever `crit` names is unknown, and an empty or
        // malformed one is against RFC 7515, section 4.1.11.
        if let Some(critical) = header.get("crit") {
            return Err(Refusal::UnknownCrit(critical.to_string()));
        }
        match header.get("typ") {
            Some(Value::String(typ)) if is_access_token(typ) => Ok(algorithm),
            Some(Value::String(typ)) => Err(Refusal::WrongTyp(typ.clone())),
            _ => Err(Refusal::TypMissing),
        }
    }

    fn judge_signature(
        &self,
        key: &VerificationKey,
        algorithm: &str,
        issuer: &Issuer,
        role: Role,
    ) -> Result<(), Refusal> {
        if algorithm != key.algorithm().name() {
            return Err(Refusal::AlgNotAllowed {
                received: algorithm.to_owned(),
                allowed: key.algorithm(),
                role,
            });
        }
        let signature = decode("signature", self.signature)?;
        if key.verifies(self.signed.as_bytes(), &signature) {
            Ok(())
        } else {
            Err(Refusal::BadSignature {
                issuer: issuer.identifier.clone(),
                role,
            })
        }
    }
}

/// Whether a `typ` is `at+jwt`, `application/` omitted or not, in any case (RFC 7515,
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
