//! Configurations, tokens, and the rule by which a stream may stay: written down plainly, without code of
//! the hub.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use talaria_hub::access::{Algorithm, Issuer, IssuerKey, Issuers, KeySet};
use talaria_hub::protocol::Base;
use talaria_hub::{HubOptions, Rule};

use crate::{ISSUERS, SECRETS, key};

const AUDIENCES: [&str; 2] = [
    "https://hub.example/.well-known/mercure",
    "https://other.example/.well-known/mercure",
];
const BASES: [&str; 2] = AUDIENCES;

/// What an issuer of a configuration has for subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The issuer is not configured.
    Gone,
    /// It has a key for publishers only.
    Publisher,
    Key(usize),
    Set(usize),
}

impl Trust {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            1 => Just(Self::Gone),
            1 => Just(Self::Publisher),
            5 => (0..2_usize).prop_map(Self::Key),
            5 => (0..2_usize).prop_map(Self::Set),
        ]
    }
}

/// The parts of a configuration that streams rest on.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) trusts: [Trust; 2],
    pub(crate) anonymous: bool,
    rule: usize,
    /// The resource identifier, and whether the other one is accepted, too.
    audience: usize,
    accepts_other: bool,
    longest: Option<u64>,
    pub(crate) base: usize,
}

impl Configuration {
    /// One that only has these keys, and is modern.
    pub(crate) fn of(trusts: [Trust; 2]) -> Self {
        Self {
            trusts,
            anonymous: false,
            rule: 0,
            audience: 0,
            accepts_other: false,
            longest: None,
            base: 0,
        }
    }

    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let usually = |most: usize| prop_oneof![6 => Just(0), 1 => 0..most];
        (
            [Trust::any(), Trust::any()],
            prop::bool::weighted(0.7),
            0..3_usize,
            usually(2),
            any::<bool>(),
            option::weighted(0.3, prop_oneof![Just(100_u64), Just(300), Just(600)]),
            usually(2),
        )
            .prop_map(
                |(trusts, anonymous, rule, audience, accepts_other, longest, base)| Self {
                    trusts,
                    anonymous,
                    rule,
                    audience,
                    accepts_other,
                    longest,
                    base,
                },
            )
    }

    pub(crate) fn options(&self, sets: &[Arc<KeySet>; 2]) -> HubOptions {
        let issuers = self.trusts.iter().zip(ISSUERS).filter_map(|(trust, name)| {
            let issuer = Issuer::new(name);
            Some(match trust {
                Trust::Gone => return None,
                Trust::Publisher => issuer.publisher(key(0)),
                Trust::Key(number) => issuer.subscriber(key(*number)),
                Trust::Set(number) => {
                    issuer.subscriber(IssuerKey::from(Arc::clone(&sets[*number])))
                }
            })
        });
        let mut options = HubOptions::new(Issuers::new(issuers).expect("issuers"));
        options.anonymous = self.anonymous;
        options.rule = [Rule::Modern, Rule::Classic, Rule::Compatible][self.rule];
        options.resource_identifier = Some(AUDIENCES[self.audience].to_owned());
        if self.accepts_other {
            options.accepted_audiences = vec![AUDIENCES[1 - self.audience].to_owned()];
        }
        options.max_token_lifetime = self.longest.map(Duration::from_secs);
        options.base = Base::new(BASES[self.base]).expect("a base");
        options.heartbeat = None;
        options.write_timeout = None;
        options
    }

    /// Whether any issuer has a key for subscribers. Otherwise tokens do not count.
    pub(crate) fn reads_tokens(&self) -> bool {
        let reads = |trust: &Trust| matches!(trust, Trust::Key(_) | Trust::Set(_));
        self.trusts.iter().any(reads)
    }

    /// What the issuer has whose keys judge a token.
    fn judging(&self, token: &Token) -> Trust {
        let own = self.trusts[token.issuer];
        let other = self.trusts[1 - token.issuer];
        match own {
            // A 0.x token is judged by the only issuer, whatever it names.
            Trust::Gone if token.is_older => other,
            own => own,
        }
    }

    /// Whether a token is accepted now.
    pub(crate) fn accepts(&self, token: &Token, contents: [Contents; 2], now: u64) -> bool {
        let is_trusted = match self.judging(token) {
            Trust::Gone | Trust::Publisher => false,
            Trust::Key(key) => key == token.key,
            Trust::Set(set) => contents[set].has(token.key),
        };
        now < token.expires && is_trusted && self.fits(token, now)
    }

    /// Whether the stream of a token that was accepted may stay. `set` is the set whose key verified it.
    pub(crate) fn keeps(
        &self,
        token: &Token,
        set: Option<usize>,
        contents: [Contents; 2],
        now: u64,
    ) -> bool {
        let is_trusted = match self.judging(token) {
            Trust::Gone | Trust::Publisher => false,
            Trust::Key(key) => key == token.key,
            Trust::Set(own) => set == Some(own) || contents[own].has(token.key),
        };
        is_trusted && self.fits(token, now)
    }

    /// The set whose keys judge a token.
    pub(crate) fn set_for(&self, token: &Token) -> Option<usize> {
        match self.judging(token) {
            Trust::Set(set) => Some(set),
            _ => None,
        }
    }

    fn fits(&self, token: &Token, now: u64) -> bool {
        let is_modern = self.rule == 0;
        let is_named = token.audience == self.audience || self.accepts_other;
        let begins = token.issued.unwrap_or(now);
        let is_short = |longest| token.expires - begins <= longest;
        (if token.is_older { !is_modern } else { is_named }) && self.longest.is_none_or(is_short)
    }
}

/// Which keys a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    One(usize),
    Both,
}

impl Contents {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        prop_oneof![(0..2_usize).prop_map(Self::One), Just(Self::Both)]
    }

    fn has(self, key: usize) -> bool {
        match self {
            Self::One(own) => own == key,
            Self::Both => true,
        }
    }

    pub(crate) fn publish(self, set: &KeySet) {
        let keys = (0..2).filter(|key| self.has(*key)).map(|key| {
            let secret = BASE64_URL_SAFE_NO_PAD.encode(SECRETS[key]);
            json!({ "kty": "oct", "alg": "HS256", "k": secret })
        });
        let set_of = json!({ "keys": keys.collect::<Vec<_>>() });
        set.replace(set_of.to_string().as_bytes()).expect("a set");
    }
}

/// A set that may hold the secrets of the tests.
pub(crate) fn key_set(contents: Contents) -> Arc<KeySet> {
    // No test waits for an issuer.
    let set = KeySet::new(&[Algorithm::HS256]).with_patience(Duration::ZERO);
    contents.publish(&set);
    Arc::new(set)
}

/// A token, in words.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) issuer: usize,
    pub(crate) key: usize,
    pub(crate) is_older: bool,
    audience: usize,
    issued: Option<u64>,
    pub(crate) expires: u64,
}

impl Token {
    /// A modern token of an issuer, signed with a key.
    pub(crate) fn of(issuer: usize, key: usize) -> Self {
        Self {
            issuer,
            key,
            is_older: false,
            audience: 0,
            issued: None,
            expires: 100,
        }
    }

    /// A token whose times count from zero.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let lives = prop_oneof![Just(100_u64), Just(300), Just(301), Just(600)];
        (
            0..2_usize,
            0..2_usize,
            prop::bool::weighted(0.3),
            prop_oneof![3 => Just(0), 1 => 0..2_usize],
            any::<bool>(),
            lives,
        )
            .prop_map(
                |(issuer, key, is_older, audience, says_when, expires)| Self {
                    issuer,
                    key,
                    is_older,
                    audience,
                    issued: says_when.then_some(0),
                    expires,
                },
            )
    }

    /// Whether it does not say when it was issued.
    pub(crate) fn counts_from_now(&self) -> bool {
        self.issued.is_none()
    }

    /// The same token, issued now.
    pub(crate) fn at(mut self, now: u64) -> Self {
        self.issued = self.issued.map(|issued| issued + now);
        self.expires += now;
        self
    }

    pub(crate) fn signed(&self) -> String {
        let mut claims = json!({ "iss": ISSUERS[self.issuer], "exp": self.expires });
        if let Some(issued) = self.issued {
            claims["iat"] = issued.into();
        }
        let typ = if self.is_older {
            claims["mercure"] = json!({ "subscribe": ["*"] });
            "JWT"
        } else {
            claims["aud"] = AUDIENCES[self.audience].into();
            claims["authorization_details"] = json!([{
                "type": "https://mercure.rocks/authorization-detail",
                "actions": ["subscribe"],
                "topics": [{ "match": "*" }],
            }]);
            "at+jwt"
        };
        signed(self.key, typ, &claims)
    }
}

/// Signs claims with HS256.
fn signed(key: usize, typ: &str, claims: &Value) -> String {
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = json!({ "alg": "HS256", "typ": typ }).to_string();
    let message = format!(
        "{}.{}",
        encoded(header.as_bytes()),
        encoded(claims.to_string().as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRETS[key].as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", encoded(signature.as_ref()))
}
