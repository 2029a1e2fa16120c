//! The configuration as a whole, from the environment and from files.

mod arbitrary;
mod connections;
mod directives;
mod errors;
mod global;
mod hubs;
mod keys;
mod language;
mod limits;
mod logs;
mod marks;
mod mistakes;
mod postgres;
mod postgres_mistakes;
mod postgres_shown;
mod redis;
mod redis_mistakes;
mod sites;
mod traces;
mod transport;
mod variables;

use talaria_hub::origin::Origins;

use super::settings::Settings;
use super::{Loaded, Sources, load};

const SECRET: &str = "a secret of more than thirty-two bytes";

const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", ":80"),
    ("MERCURE_PUBLISHER_JWT_KEY", SECRET),
    ("MERCURE_SUBSCRIBER_JWT_KEY", SECRET),
];

/// The origins whose pages may read; empty if none are listed.
fn cors_origins(settings: &Settings) -> Origins {
    settings.hubs[0]
        .options
        .cors_origins
        .clone()
        .unwrap_or_default()
}

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

const OTHER: &str = "another secret, which is long enough for it";

/// A file with these lines in its `mercure` block, in which SECRET stands for [`OTHER`].
fn file(block: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let block = block.replace("SECRET", OTHER);
    try_load(
        Some(&format!(":80 {{\n mercure {{\n{block}\n }}\n}}")),
        variables,
    )
}

/// What the notices say.
fn texts(loaded: &Loaded) -> Vec<&str> {
    loaded
        .notices
        .iter()
        .map(|notice| notice.text.as_str())
        .collect()
}
