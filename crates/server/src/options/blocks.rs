//! The options of the blocks within a `mercure` block: issuers, roles and transports.

use super::table::row;
use super::{Opt, Section};

/// The options, in the order of the reference page.
pub const BLOCKS: &[Opt] = &[
    Opt {
        variables: &["MERCURE_TRUSTED_ISSUERS"],
        default: "https://localhost",
        doc: "The one issuer that the key variables belong to; read without a file, and with a file \
              whose `mercure` block names no issuer.",
        ..row(Section::Issuer, "", "")
    },
    Opt {
        default: "off",
        doc: "Lists the issuer under `authorization_servers` of the metadata document.",
        ..row(Section::Issuer, "authorization_server", "")
    },
    Opt {
        default: "none: the issuer's tokens may not publish",
        doc: "How the issuer's tokens are verified when they publish.",
        ..row(
            Section::Issuer,
            "publisher",
            "{ jwt … | jwks_uri … | jwks_discovery … }",
        )
    },
    Opt {
        default: "none: the issuer's tokens may not subscribe",
        doc: "How the issuer's tokens are verified when they subscribe.",
        ..row(
            Section::Issuer,
            "subscriber",
            "{ jwt … | jwks_uri … | jwks_discovery … }",
        )
    },
    Opt {
        variables: &[
            "MERCURE_PUBLISHER_JWT_KEY",
            "MERCURE_PUBLISHER_JWT_ALG",
            "MERCURE_SUBSCRIBER_JWT_KEY",
            "MERCURE_SUBSCRIBER_JWT_ALG",
        ],
        default: "algorithm HS256 for a secret; a PEM key must name its own",
        doc: "A secret, or a public key or certificate in PEM, and the one algorithm that tokens may \
              use. `{env.NAME}` and `{file.PATH}` in either are read when the hub starts.",
        ..row(Section::Role, "jwt", "<key> [<algorithm>]")
    },
    Opt {
        default: "the algorithms of public keys",
        doc: "The key set that the issuer publishes, at an `https://` address or in a `file://` of this \
              machine, and the algorithms that tokens may use.",
        ..row(Section::Role, "jwks_uri", "<url> [<algorithm>…]")
    },
    Opt {
        default: "the algorithms of public keys",
        doc: "As `jwks_uri`, its address taken from the issuer's metadata document (RFC 8414, OpenID \
              Connect Discovery).",
        ..row(Section::Role, "jwks_discovery", "[<algorithm>…]")
    },
    Opt {
        default: "`mercure.db` in `$XDG_DATA_HOME/caddy`, else in `$HOME/.local/share/caddy`",
        doc: "`bolt` only: the database of the existing hub. The history is the directory beside it, \
              `<path>.talaria`; if the database exists, its updates are imported at start and it is \
              left untouched.",
        ..row(Section::Transport, "path", "<file>")
    },
    Opt {
        default: "updates",
        doc: "`bolt` only: the bucket of that database.",
        ..row(Section::Transport, "bucket_name", "<name>")
    },
    Opt {
        default: "0: no bound",
        doc: "`bolt` and `memory`: updates kept for resuming, at most; exact after every publish.",
        ..row(Section::Transport, "size", "<n>")
    },
    Opt {
        default: "none",
        doc: "`bolt` only: `0`, written, turns `size` off, as in the existing hub; any other number has \
              no effect.",
        ..row(Section::Transport, "cleanup_frequency", "<number>")
    },
    Opt {
        default: "`bolt`: 0, no bound; else 32MiB",
        doc: "Bytes that kept updates occupy, at most: on disk for `bolt`, else in memory.",
        ..row(Section::Transport, "max_bytes", "<size>")
    },
    Opt {
        default: "0s: no bound",
        doc: "`bolt` only: how long an update is kept. What is older is hidden within a second, and \
              deleted.",
        ..row(Section::Transport, "max_age", "<duration>")
    },
    Opt {
        default: "always",
        doc: "`bolt` only: when an acknowledged update is on the disk. `always`: before it is \
              acknowledged, so that nothing acknowledged is lost. `interval`: so much later, which a crash of \
              the system may cost, one of the hub not. `never`: when the system likes.",
        ..row(
            Section::Transport,
            "sync",
            "always|interval <duration>|never",
        )
    },
    Opt {
        default: "32MiB",
        doc: "`bolt` only: memory for the newest updates, which live subscribers read without the disk.",
        ..row(Section::Transport, "ring_bytes", "<size>")
    },
    Opt {
        default: "`bolt`: live; `memory`: replay",
        doc: "`bolt` and `memory`: what a client with an unknown `Last-Event-ID` gets first, everything \
              kept or nothing.",
        ..row(Section::Transport, "unknown_cursor", "replay|live")
    },
];
