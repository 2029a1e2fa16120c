//! Who may do what: from a request's headers to what its access token allows.
//!
//! [`present`] finds the token in a request, [`Verifier`] judges it with the key of its issuer and
//! on the clock of its caller, and [`Challenge`] is what the client learns of a refusal. The
//! reason itself ([`Refusal`]) is for the log only (B-448).

mod algorithm;
mod cache;
mod challenge;
mod claims;
mod edwards;
mod issuer;
mod jwk;
mod jws;
mod key;
mod key_set;
mod mint;
mod pem;
mod presentation;
mod refusal;
mod source_origin;
mod verify;

pub use algorithm::Algorithm;
pub use challenge::Challenge;
pub use issuer::{Issuer, IssuerError, IssuerKey, Issuers, Role};
pub use key::{KeyError, VerificationKey};
pub use key_set::{KeySet, KeySetError, Taken};
pub use mint::mint;
pub use presentation::{OLDER_COOKIE, PresentationError, Presented, Source, cookie_names, present};
pub use refusal::Refusal;
pub use source_origin::{OwnOrigin, SourceOriginError, check_source_origin};
pub use verify::{Access, Verifier, generation_of};
