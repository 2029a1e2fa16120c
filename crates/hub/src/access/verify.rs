//! Verifies a token: its form, issuer, signature and claims (specification, "Token Validation").

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use talaria_protocol::{AuthorizationDetails, Base, Generation, Limits};

use super::basis::{Basis, KeyPlace};
use super::cache::{self, Cache};
use super::claims;
use super::denied::{Denied, Token};
use super::issuer::{Issuer, IssuerKey, Issuers};
use super::jws::{Jws, judge_header, judge_type};
use super::key_set::KeySet;
use super::refusal::Refusal;
use super::role::Role;
use crate::clock::{Clock, UnixTime};

/// What a verified token says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Access {
    /// Its generation, which follows from the claim that it grants with.
    pub generation: Generation,
    /// When it ends: the `exp` claim as it is. `None` means never, which only 0.x tokens may say.
    pub expires_at: Option<UnixTime>,
    /// What it allows.
    pub details: Arc<AuthorizationDetails>,
    /// The identifier of the trusted issuer whose key signed it.
    pub issuer: String,
    /// Its `sub`, if that is a string.
    pub subject: Option<String>,
    /// Its `jti`, if that is a string.
    pub id: Option<String>,
    /// When it was issued, if its `iat` is a number.
    pub issued_at: Option<UnixTime>,
    /// Whether it has a grant of Mercure 0.x that does not count, because the hub accepts 1.0 only.
    pub ignores_older_claim: bool,
    /// What its acceptance rests on.
    pub(crate) basis: Arc<Basis>,
    /// How long it lives in all, in seconds: infinity if it does not expire, and `None` if it does not say
    /// when it was issued.
    pub(crate) lifetime: Option<f64>,
}

impl Access {
    /// The claims by which the token may be revoked.
    pub(crate) fn token(&self) -> Token<'_> {
        Token {
            issuer: &self.issuer,
            subject: self.subject.as_deref(),
            id: self.id.as_deref(),
            issued_at: self.issued_at,
        }
    }

    /// Refuses the token if this list does. The list may have changed since the token was verified.
    pub(crate) fn check_revocation(&self, denied: &Denied, now: UnixTime) -> Result<(), Refusal> {
        match denied.find(&self.token(), now) {
            Some(revocation) => Err(Refusal::Revoked {
                tokens: revocation.tokens,
                until: revocation.until.seconds(),
            }),
            None => Ok(()),
        }
    }
}

/// Verifies access tokens with the keys of the trusted issuers.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuers: Issuers,
    base: Base,
    limits: Limits,
    oldest: Generation,
    max_lifetime: Option<Duration>,
    denied: Arc<Denied>,
    verified: Arc<Cache<Authentic>>,
}

impl Verifier {
    /// The bytes of the tokens that it remembers.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.verified.bytes()
    }

    /// A verifier of a hub. `limits` bounds the token and its details; patterns in it are resolved against
    /// `base`.
    pub fn new(issuers: Issuers, base: Base, limits: Limits) -> Self {
        Self {
            issuers,
            base,
            limits,
            oldest: Generation::V1,
            max_lifetime: None,
            denied: Arc::default(),
            verified: Arc::default(),
        }
    }

    /// The same verifier, for tokens of this generation and later ones. With [`Generation::V0`], a token
    /// without Mercure details is verified as a 0.x token.
    pub fn from_generation(mut self, oldest: Generation) -> Self {
        self.oldest = oldest;
        // A token that another rule accepted must be verified again.
        self.verified = Arc::default();
        self
    }

    /// The same verifier, which refuses tokens with a longer lifetime; `None` accepts any lifetime.
    pub fn with_max_lifetime(mut self, max_lifetime: Option<Duration>) -> Self {
        self.max_lifetime = max_lifetime;
        self
    }

    /// The same verifier, which refuses the tokens of this list, even those that it has verified before.
    pub(crate) fn refusing(mut self, denied: Arc<Denied>) -> Self {
        self.denied = denied;
        self
    }

    /// The trusted issuers.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Verifies a compact token for a role.
    ///
    /// `audiences` are the hub's resource identifiers, one of which `aud` must contain. There is no
    /// leeway around `now` (B-443).
    ///
    /// # Errors
    /// The first reason found, in the order length, form, header, `iss`, key, signature, `exp`,
    /// `nbf`, lifetime, `aud`, details, revocation.
    pub fn verify(
        &self,
        token: &str,
        role: Role,
        audiences: &[String],
        now: UnixTime,
    ) -> Result<Access, Refusal> {
        let max = self.limits.token_bytes;
        if token.len() > max {
            return Err(Refusal::TooLong {
                bytes: token.len(),
                max,
            });
        }
        let authentic = self.authentic(token, role)?;
        let claims = &authentic.claims;
        let now_unix = now.seconds();
        let expires_at = match authentic.generation {
            Generation::V1 => {
                let expires_at = claims::expiry(claims, now_unix)?;
                claims::check_not_before(claims, now_unix)?;
                claims::check_lifetime(claims, Some(expires_at), now_unix, self.max_lifetime)?;
                claims::check_audience(claims, audiences)?;
                Some(expires_at)
            }
            Generation::V0 => {
                let expires_at = claims::expiry_if_any(claims, now_unix)?;
                claims::check_not_before(claims, now_unix)?;
                claims::check_lifetime(claims, expires_at, now_unix, self.max_lifetime)?;
                expires_at
            }
        };
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).map(str::to_owned);
        let issued_at = claims.get("iat").and_then(Value::as_f64);
        let access = Access {
            generation: authentic.generation,
            expires_at: expires_at.map(UnixTime::from_seconds),
            details: authentic.details.clone()?,
            issuer: authentic.issuer.clone(),
            subject: text("sub"),
            id: text("jti"),
            issued_at: issued_at.map(UnixTime::from_seconds),
            ignores_older_claim: authentic.generation == Generation::V1
                && claims::are_of_older_token(claims),
            basis: Arc::clone(&authentic.basis),
            lifetime: claims::lifetime(claims, expires_at, now_unix),
        };
        access.check_revocation(&self.denied, now)?;
        Ok(access)
    }

    /// Whether a subscriber's token that was accepted on this basis, perhaps by another verifier, would be
    /// accepted still, if its times and details were not judged again: the rule accepts its generation, its
    /// issuer is trusted with the key that verified it, and it names one of `audiences`. `place` is where the
    /// key was when this was last asked; a key is still in a set that it was in, even if its issuer has
    /// published others since. Returns where it is now; `None` if the token would be refused.
    pub(crate) fn trusts(
        &self,
        basis: &Basis,
        place: &KeyPlace,
        audiences: &[String],
    ) -> Option<KeyPlace> {
        let named = basis.issuer.as_deref();
        let (issuer, is_for_this_hub) = match basis.generation {
            Generation::V0 if self.oldest != Generation::V0 => return None,
            Generation::V0 => (self.issuers.of_older_token(named), true),
            Generation::V1 => (
                named.and_then(|named| self.issuers.get(named)),
                claims::name_one_of(&basis.audiences, audiences),
            ),
        };
        let (is_trusted, now) = match issuer?.key(Role::Subscriber)? {
            IssuerKey::Static(key) => (key.identity() == basis.key, KeyPlace::default()),
            IssuerKey::Set(set) => {
                let now = KeyPlace::new(Some(set));
                (now == *place || set.has(basis.key), now)
            }
        };
        (is_trusted && is_for_this_hub).then_some(now)
    }

    /// Verifies a token as [`Self::verify`] does. If its issuer may have published the key since the key
    /// set was fetched, waits some seconds for a fetch and verifies it again (specification, "Token
    /// Validation").
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_or_refresh(
        &self,
        token: &str,
        role: Role,
        audiences: &[String],
        clock: &dyn Clock,
    ) -> Result<Access, Refusal> {
        let verify = || self.verify(token, role, audiences, clock.unix_time());
        let may_be_new = |verdict: &Result<Access, Refusal>| {
            matches!(
                verdict,
                Err(Refusal::KidUnknown(_) | Refusal::NoKeySet | Refusal::BadSignature { .. })
            )
        };
        let verdict = verify();
        if !may_be_new(&verdict) {
            return verdict;
        }
        let jws = Jws::split(token)?;
        let claims = jws.claims()?;
        let (_, issuer) = self.choose(&jws.header()?, &claims)?;
        let Some(IssuerKey::Set(set)) = issuer.key(role) else {
            return verdict;
        };
        let digest = cache::digest(token, role);
        let settled = || Some(verify()).filter(|verdict| !may_be_new(verdict));
        let refreshed = set.refreshed_for(&digest, clock, settled);
        refreshed.await.unwrap_or_else(verify)
    }

    /// What a token says, if its issuer signed it. The answer comes from the cache if the same keys have
    /// verified the token before.
    fn authentic(&self, token: &str, role: Role) -> Result<Arc<Authentic>, Refusal> {
        let digest = cache::digest(token, role);
        if let Some(known) = self.verified.get(&digest)
            && known
                .keys
                .as_ref()
                .is_none_or(|(set, generation)| set.generation() == *generation)
        {
            return Ok(known);
        }
        let authentic = Arc::new(self.authenticate(token, role)?);
        self.verified
            .insert(digest, authentic.bytes(token), Arc::clone(&authentic));
        Ok(authentic)
    }

    /// Returns the issuer that signed the token for this role, and the claims it signed.
    fn authenticate(&self, token: &str, role: Role) -> Result<Authentic, Refusal> {
        let jws = Jws::split(token)?;
        let header = jws.header()?;
        let algorithm = judge_header(&header)?;
        let mut claims = jws.claims()?;
        let (generation, issuer) = self.choose(&header, &claims)?;
        let key = issuer.key(role).ok_or_else(|| Refusal::NoKeyForRole {
            issuer: issuer.identifier.clone(),
            role,
        })?;
        let keys = match key {
            IssuerKey::Static(_) => None,
            // Taken before the set is used, so that a set that arrives meanwhile is asked again.
            IssuerKey::Set(set) => Some((Arc::clone(set), set.generation())),
        };
        let kid = header.get("kid").and_then(Value::as_str);
        let verified_by = jws.judge_signature(key, algorithm, kid, issuer, role)?;
        let details = match generation {
            Generation::V1 => claims::details(&claims, &self.base, &self.limits),
            Generation::V0 => {
                claims::read_times_as_0_x_does(&mut claims);
                AuthorizationDetails::from_mercure_claim(&claims, &self.base, &self.limits)
                    .map_err(Refusal::DetailsInvalid)
            }
        };
        let named = claims.get("iss").and_then(Value::as_str);
        let audiences = match generation {
            // It is not checked.
            Generation::V0 => None,
            Generation::V1 => claims::received_audiences(&claims).ok().flatten(),
        };
        let basis = Basis {
            generation,
            issuer: named.map(str::to_owned),
            key: verified_by,
            place: KeyPlace::new(keys.as_ref().map(|(set, _)| set)),
            audiences: audiences.unwrap_or_default().into(),
        };
        Ok(Authentic {
            generation,
            issuer: issuer.identifier.clone(),
            basis: Arc::new(basis),
            claims,
            details: details.map(Arc::new),
            keys,
        })
    }

    /// The generation of a token that is not verified yet, and the issuer whose keys must verify it.
    fn choose(
        &self,
        header: &Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Result<(Generation, &Issuer), Refusal> {
        let generation = match (claims::generation(claims), self.oldest) {
            (Generation::V0, Generation::V0) => Generation::V0,
            _ => Generation::V1,
        };
        if generation == Generation::V1 {
            // With the right type, it is an access token that grants nothing here.
            judge_type(header).map_err(|refusal| match claims::are_of_older_token(claims) {
                true => Refusal::OlderToken,
                false => refusal,
            })?;
        }
        // The claim is not verified yet, but it only chooses among keys that are trusted anyway.
        let named = claims.get("iss").and_then(Value::as_str);
        let issuer = match generation {
            Generation::V0 => self.issuers.of_older_token(named),
            Generation::V1 => self.issuers.get(named.ok_or(Refusal::IssMissing)?),
        };
        let issuer = issuer.ok_or_else(|| match named {
            Some(received) => self.unknown_issuer(received),
            None => Refusal::IssMissing,
        })?;
        Ok((generation, issuer))
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

/// What a token says whose signature is verified. None of it depends on the time.
#[derive(Debug)]
struct Authentic {
    generation: Generation,
    issuer: String,
    basis: Arc<Basis>,
    claims: Map<String, Value>,
    details: Result<Arc<AuthorizationDetails>, Refusal>,
    /// The key set that verified it, and the number that the set had then.
    keys: Option<(Arc<KeySet>, u64)>,
}

/// The generation of a token that is not verified, to choose the words of an answer; `None` if the token
/// cannot be read.
pub(crate) fn generation_of(token: &str) -> Option<Generation> {
    let claims = Jws::split(token).and_then(|jws| jws.claims()).ok()?;
    Some(claims::generation(&claims))
}

impl Authentic {
    /// The most bytes that it occupies: its claims grow with the token, its matchers with their states.
    fn bytes(&self, token: &str) -> usize {
        const PER_TOKEN_BYTE: usize = 7;
        const PER_STATE: usize = 8;
        let states = self.details.as_ref().map_or(0, |details| details.states());
        PER_TOKEN_BYTE * token.len() + PER_STATE * states
    }
}
