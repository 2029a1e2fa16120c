//! Whatever the text: no panic, and no secret in what is shown.

use proptest::prelude::*;

use super::{KEYS, SECRET, try_load, with};
use crate::draft::Draft;
use crate::settings::{IssuerSettings, KeySettings, KeySource, Secret};
use crate::source::Place;

/// No secret in what the program may print for debugging.
#[test]
fn debug_output_holds_no_secret() {
    let loaded = with("anonymous").unwrap();
    assert!(!format!("{loaded:?}").contains(SECRET));
    let mut draft = Draft::default();
    let place = Place::variable("KEY");
    draft.issuers.push(IssuerSettings {
        publisher: Some(KeySource::Static(KeySettings {
            material: Secret::new(SECRET.to_owned()),
            algorithm: None,
            place: place.clone(),
            algorithm_place: None,
        })),
        ..IssuerSettings::new("https://a.example", place)
    });
    assert!(!format!("{draft:?}").contains(SECRET));
}

/// One text of arbitrary words, braces and quotes.
fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "\\PC{0,6}",
        proptest::sample::select(vec![
            " ",
            "\n",
            "{",
            "}",
            "\"",
            "`",
            "#",
            "\\",
            ":80",
            "mercure",
            "issuer",
            "publisher",
            "jwt",
            "anonymous",
            "transport",
            "memory",
            "heartbeat",
            "{$SERVER_NAME}",
            "{env.SERVER_NAME}",
            "cors_origins",
            "40s",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    /// Whatever a file or a variable says, loading ends in settings or in one message.
    #[test]
    fn loading_never_panics(text in any_text()) {
        for result in [try_load(Some(&text), KEYS), with(&text)] {
            if let Err(error) = result {
                prop_assert!(!error.is_empty() && !error.contains(SECRET));
            }
        }
    }
}
