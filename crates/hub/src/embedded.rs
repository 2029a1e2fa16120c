//! The hub's face for the application that embeds it: publishing and subscribing without HTTP and
//! without a token.

pub(crate) mod publish;
pub(crate) mod subscribe;
pub(crate) mod updates;
