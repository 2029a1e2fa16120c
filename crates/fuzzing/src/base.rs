//! The base of every hub that is fuzzed.

use std::sync::LazyLock;

use talaria_protocol::Base;

/// The base of every hub that is fuzzed.
pub(crate) static BASE: LazyLock<Base> =
    LazyLock::new(
        || match Base::new("https://hub.example/.well-known/mercure") {
            Ok(base) => base,
            Err(error) => panic!("a constant: {error}"),
        },
    );
