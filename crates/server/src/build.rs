//! From what the program is built; `build.rs` of the package says it.

/// The version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, or `unknown` for a source without history.
pub(crate) const COMMIT: &str = env!("TALARIA_COMMIT");

/// The target, such as `x86_64-unknown-linux-gnu`.
pub(crate) const TARGET: &str = env!("TALARIA_TARGET");

/// The profile: `debug`, or `release` with and without its variants.
pub(crate) const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};
