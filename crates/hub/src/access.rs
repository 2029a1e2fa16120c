//! Who may do what: issuers, their keys, and what their access tokens allow.
//!
//! A hub trusts [`Issuers`], each with its own [keys](VerificationKey), or a [`KeySet`] that it
//! publishes. A [`Verifier`] checks a token with the key of the issuer that the token names, and returns
//! what the token allows ([`Access`]) or why it is refused ([`Refusal`]). The reason is for the log only;
//! the client learns no more than that its token is unusable (B-448). An application that is its own
//! issuer signs tokens with a [`SigningKey`].

mod algorithm;
mod basis;
mod cache;
mod challenge;
mod claims;
mod denied;
mod edwards;
mod issuer;
mod jwk;
mod jws;
mod key;
mod key_error;
mod key_identity;
mod key_set;
pub mod origin;
mod pem;
mod presentation;
mod refusal;
mod role;
mod signing_key;
mod source_origin;
#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests;
mod verify;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use denied::{Revocation, Tokens, TooManyRevocations};
pub use issuer::{Issuer, IssuerError, IssuerKey, Issuers};
pub use key::VerificationKey;
pub use key_error::KeyError;
pub use key_set::{KeySet, KeySetError, Taken};
pub use refusal::Refusal;
pub use role::Role;
pub use signing_key::SigningKey;
pub use verify::{Access, Verifier};

pub(crate) use self::basis::{Basis, KeyPlace};
pub(crate) use self::challenge::Challenge;
pub(crate) use self::denied::Denied;
pub(crate) use self::presentation::{
    OLDER_COOKIE, PresentationError, Presented, Source, cookie_names, present,
};
pub(crate) use self::source_origin::{OwnOrigin, SourceOriginError, check_source_origin};
pub(crate) use self::verify::generation_of;
