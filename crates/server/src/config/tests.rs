//! The configuration as a whole, from the environment and from files.

mod arbitrary;
mod directives;
mod mistakes;
mod transport;
mod variables;

use super::settings::Settings;
use super::{Loaded, Sources, load};

const SECRET: &str = "a secret of more than thirty-two bytes";

const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", ":80"),
    ("MERCURE_PUBLISHER_JWT_KEY", SECRET),
    ("MERCURE_SUBSCRIBER_JWT_KEY", SECRET),
];

fn try_load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let file = file.map(|text| super::File {
        name: "Caddyfile".to_owned(),
        text: text.to_owned(),
    });
    load(&Sources {
        file,
        variables: &variables,
        address: None,
    })
    .map_err(|error| error.to_string())
}

/// The environment with both keys and these directives.
fn with(directives: &str) -> Result<Loaded, String> {
    try_load(
        None,
        &[KEYS, &[("MERCURE_EXTRA_DIRECTIVES", directives)]].concat(),
    )
}

fn settings(directives: &str) -> Settings {
    with(directives).unwrap().settings
}
