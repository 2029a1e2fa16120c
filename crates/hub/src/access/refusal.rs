//! Why a token is refused. The reason is for the log and for `talaria token check`; the client never
//! learns it (B-448).

use std::fmt;

use talaria_protocol::ProtocolError;
use talaria_protocol::error::Shown;

use super::algorithm::Algorithm;
use super::denied::Tokens;
use super::role::Role;

/// The reason to refuse a token (specification, "Token Validation"). The client only learns
/// `invalid_token`; the text is for the log and tells a person what to change. It quotes at most
/// 64 characters of a claim, and nothing of a signature or key.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token is longer than the limit (B-1015).
    #[error("the token has {bytes} bytes, more than {max}; grant URL patterns instead of topics")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// It does not have three parts.
    #[error(
        "the token has {parts} parts between dots, not the 3 of a signed JWT; {}",
        if *.parts == 5 {
            "this looks like an encrypted token (JWE), so switch its encryption off at the issuer"
        } else {
            "send the whole compact JWS and nothing else"
        }
    )]
    NotAJws {
        /// How many parts it has.
        parts: usize,
    },
    /// A part is not base64url.
    #[error("the token's {part} is not base64url without padding; send the token unchanged")]
    NotBase64url {
        /// Which part: header, claims or signature.
        part: &'static str,
    },
    /// The header is not a JSON object.
    #[error("the token's header is not a JSON object; send the token unchanged")]
    BadHeaderJson,
    /// No `alg`, or one that is not a string.
    #[error("the token's header has no \"alg\" string; the issuer must name its algorithm")]
    AlgMissing,
    /// `alg` is `none` in any spelling.
    #[error("alg is \"none\", so the token is not signed; have the issuer sign it")]
    AlgNone,
    /// The algorithm is not that of the issuer's key.
    #[error(
        "alg is {}, but this issuer's {role} key is configured for {allowed} only; change one of \
         them",
        Shown(.received), role = .role.name()
    )]
    AlgNotAllowed {
        /// The header's value.
        received: String,
        /// The key's algorithm.
        allowed: Algorithm,
        /// The role of the key.
        role: Role,
    },
    /// The algorithm is not one of the issuer's key set.
    #[error(
        "alg is {}, but the key set of this issuer is configured for {} only; list it after \
         `jwks_uri`, or have the issuer use one of them",
        Shown(.received), names(.allowed)
    )]
    AlgNotListed {
        /// The header's value.
        received: String,
        /// The algorithms of the configuration.
        allowed: Vec<Algorithm>,
    },
    /// The issuer's key set was never fetched.
    #[error("the key set of the issuer is not here yet; the log says why it could not be fetched")]
    NoKeySet,
    /// The key set has no such key.
    #[error(
        "kid is {}, and the key set of the issuer has no such key; compare it with what the issuer \
         publishes",
        Shown(.0)
    )]
    KidUnknown(String),
    /// `crit` names a header parameter that the hub does not know.
    #[error(
        "the token's header demands with \"crit\" what this hub does not know ({}); have the issuer \
         leave it out",
        Shown(.0)
    )]
    UnknownCrit(String),
    /// No `typ`, or one that is not a string.
    #[error("the token's header has no \"typ\" string; the issuer must set \"at+jwt\" (RFC 9068)")]
    TypMissing,
    /// `typ` is not `at+jwt`.
    #[error(
        "typ is {}, not \"at+jwt\": the issuer sent another kind of token, such as an ID token or \
         one of before RFC 9068; have it issue JWT access tokens of RFC 9068 (in Keycloak a \
         switch of the client's advanced settings)",
        Shown(.0)
    )]
    WrongTyp(String),
    /// It is a 0.x token, and the hub accepts 1.0 only.
    #[error(
        "this is a token of Mercure 0.x (it has the claim \"mercure\" and no Mercure entry in \"authorization_details\"), and this hub accepts those of Mercure 1.0 only; write `protocol_version_compatibility 8` to accept both, or have the application issue 1.0 tokens"
    )]
    OlderToken,
    /// The claims are not a JSON object.
    #[error("the token's claims are not a JSON object; fix the issuer")]
    BadClaimsJson,
    /// No `iss`, or one that is not a string.
    #[error("the token has no \"iss\" string; the issuer must name itself")]
    IssMissing,
    /// No trusted issuer has this identifier.
    #[error(
        "iss is {}, which is not a trusted issuer (trusted: {}); configure that issuer, or correct \
         the claim",
        Shown(.received), ShownList(.trusted)
    )]
    IssUnknown {
        /// The claim.
        received: String,
        /// The configured identifiers.
        trusted: Vec<String>,
    },
    /// `iss` differs from a trusted issuer only by the slash at the end.
    #[error(
        "iss is {}, but the trusted issuer is {}: they differ by the slash at the end; make them \
         equal",
        Shown(.received), Shown(.trusted)
    )]
    IssSlash {
        /// The claim.
        received: String,
        /// The configured identifier.
        trusted: String,
    },
    /// The issuer has no key for this role.
    #[error(
        "issuer {} has no {role} key here; configure one, or use a token of an issuer that has",
        Shown(.issuer), role = .role.name()
    )]
    NoKeyForRole {
        /// The issuer.
        issuer: String,
        /// The role asked for.
        role: Role,
    },
    /// The signature does not verify.
    #[error(
        "the signature is not by the {role} key configured for issuer {}; compare the keys on \
         both sides (a secret is used as raw bytes, with every space and line break)",
        Shown(.issuer), role = .role.name()
    )]
    BadSignature {
        /// The issuer.
        issuer: String,
        /// The role of the key.
        role: Role,
    },
    /// No `exp`.
    #[error("the token has no \"exp\"; the issuer must let it expire")]
    ExpMissing,
    /// `exp` is not a number.
    #[error("exp is not a JSON number; have the issuer write it without quotes")]
    ExpNotANumber,
    /// `exp` has passed.
    #[error("the token expired {:?} s ago (exp {exp:?}); get a new one, or compare the clocks", milliseconds(.now - .exp))]
    Expired {
        /// The claim, in Unix seconds.
        exp: f64,
        /// The hub's time, in Unix seconds.
        now: f64,
    },
    /// `nbf` is not a number.
    #[error("nbf is not a JSON number; have the issuer write it without quotes")]
    NbfNotANumber,
    /// `nbf` is in the future.
    #[error("the token is valid only in {:?} s (nbf {nbf:?}); wait, or compare the clocks", milliseconds(.nbf - .now))]
    NotYetValid {
        /// The claim, in Unix seconds.
        nbf: f64,
        /// The hub's time, in Unix seconds.
        now: f64,
    },
    /// Its lifetime is longer than the hub allows.
    #[error(
        "the token {}, more than the {} s of max_token_lifetime; have the issuer let it expire \
         sooner, or raise that directive",
        lives(*.lifetime), .max.ceil()
    )]
    LivesTooLong {
        /// The seconds from `iat`, or from now, to `exp`; `None` without `exp`.
        lifetime: Option<f64>,
        /// The longest lifetime that is allowed, in seconds.
        max: f64,
    },
    /// No `aud`.
    #[error(
        "the token has no \"aud\"; the issuer must set it to {}",
        if .expected.is_empty() {
            "this hub's URL".to_owned()
        } else {
            format!("this hub ({})", ShownList(.expected))
        }
    )]
    AudMissing {
        /// The hub's resource identifiers.
        expected: Vec<String>,
    },
    /// `aud` is neither a string nor an array of strings.
    #[error("aud is neither a string nor an array of strings; fix the issuer")]
    AudNotStrings,
    /// The token is for another server.
    #[error(
        "aud is {}, but {}",
        ShownList(.received),
        if .expected.is_empty() {
            "the request names no host, from which this hub derives its own URL; send a Host header \
             field, or write `resource_identifier` for the hub's one URL".to_owned()
        } else {
            format!(
                "this hub is {}; correct the claim, or write `resource_identifier` for the hub's one \
                 URL or `accepted_audiences` for a further one",
                ShownList(.expected)
            )
        }
    )]
    AudMismatch {
        /// The claim.
        received: Vec<String>,
        /// The hub's resource identifiers.
        expected: Vec<String>,
    },
    /// An operator has revoked it.
    #[error(
        "the token is revoked ({tokens}) until {until:.0} (Unix time); `talaria revoke --list` shows why, and --remove takes it back"
    )]
    Revoked {
        /// The tokens that are revoked.
        tokens: Tokens,
        /// When that ends, in Unix seconds.
        until: f64,
    },
    /// `authorization_details` is JSON within a string.
    #[error("{0}")]
    DetailsAreAString(ProtocolError),
    /// A detail is broken; the error says which and how, a bare string as topic among others.
    #[error("{0}")]
    DetailsInvalid(ProtocolError),
}

/// Says how long a token lives, in whole seconds.
fn lives(lifetime: Option<f64>) -> String {
    // Beyond this, an `f64` cannot count single seconds, and the number would fill a line.
    const LONGEST: f64 = 9_007_199_254_740_992.0;
    match lifetime {
        Some(lifetime) if lifetime < LONGEST => format!("lives {} s", lifetime.ceil()),
        Some(_) => "lives practically for ever (by its \"exp\" and \"iat\")".to_owned(),
        None => "lives for ever (it has no \"exp\")".to_owned(),
    }
}

/// Seconds with three decimals. The `Debug` form of any such value is short, unlike its `Display` form.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

impl Refusal {
    /// A stable name for the log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::NotAJws { .. } => "not_a_jws",
            Self::NotBase64url { .. } => "not_base64url",
            Self::BadHeaderJson => "bad_header_json",
            Self::AlgMissing => "alg_missing",
            Self::AlgNone => "alg_none",
            Self::AlgNotAllowed { .. } => "alg_not_allowed",
            Self::AlgNotListed { .. } => "alg_not_listed",
            Self::NoKeySet => "no_key_set",
            Self::KidUnknown(_) => "kid_unknown",
            Self::UnknownCrit(_) => "unknown_crit",
            Self::TypMissing => "typ_missing",
            Self::WrongTyp(_) => "wrong_typ",
            Self::OlderToken => "older_token",
            Self::BadClaimsJson => "bad_claims_json",
            Self::IssMissing => "iss_missing",
            Self::IssUnknown { .. } => "iss_unknown",
            Self::IssSlash { .. } => "iss_slash",
            Self::NoKeyForRole { .. } => "no_key_for_role",
            Self::BadSignature { .. } => "bad_signature",
            Self::ExpMissing => "exp_missing",
            Self::ExpNotANumber => "exp_not_a_number",
            Self::Expired { .. } => "expired",
            Self::NbfNotANumber => "nbf_not_a_number",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::LivesTooLong { .. } => "lives_too_long",
            Self::AudMissing { .. } => "aud_missing",
            Self::AudNotStrings => "aud_not_strings",
            Self::AudMismatch { .. } => "aud_mismatch",
            Self::Revoked { .. } => "token_revoked",
            Self::DetailsAreAString(_) => "details_are_a_string",
            Self::DetailsInvalid(_) => "details_invalid",
        }
    }
}

fn names(algorithms: &[Algorithm]) -> String {
    let names: Vec<_> = algorithms.iter().map(|known| known.name()).collect();
    names.join(", ")
}

/// Shows at most eight values of a list, each as [`Shown`] does.
struct ShownList<'a>(&'a [String]);

impl fmt::Display for ShownList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, value) in self.0.iter().take(8).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", Shown(value))?;
        }
        match self.0.len().checked_sub(8) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}
