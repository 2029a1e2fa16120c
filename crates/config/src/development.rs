//! The file for development, which images up to 0.24 have and existing commands name (B-092, B-093).

use std::path::Path;

use crate::load::File;

/// The names of the file: the later one, and that before 0.16.2.
const NAMES: [&str; 2] = ["dev.Caddyfile", "Caddyfile.dev"];

/// What the file says: the official one, open to every page and every subscriber. The lines of
/// MERCURE_EXTRA_DIRECTIVES come last, so that they take precedence (B-124).
const TEXT: &str = include_str!("../../../deploy/docker/dev.Caddyfile");

/// The configuration that stands for a file of this name which does not exist.
pub fn file(path: &Path) -> Option<File> {
    let name = path.file_name()?.to_str()?;
    NAMES.contains(&name).then(|| File {
        name: format!("{} (built in)", path.display()),
        text: TEXT.to_owned(),
    })
}

/// What to tell the operator about the file that stands for `path`.
pub fn notice(path: &Path) -> String {
    format!(
        "{} does not exist; the program does what the development file of Mercure 0.24 did: every page and subscriber is let in, and MERCURE_EXTRA_DIRECTIVES takes precedence",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Draft;
    use std::collections::HashMap;
    use talaria_hub::Rule;

    fn load(variables: &[(&str, &str)]) -> Result<crate::Loaded, String> {
        let variables: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let sources = crate::Sources {
            file: file(Path::new("/etc/caddy/dev.Caddyfile")),
            variables: &variables,
            address: None,
        };
        crate::load(&sources).map_err(|error| error.to_string())
    }

    const KEYS: [(&str, &str); 2] = [
        (
            "MERCURE_PUBLISHER_JWT_KEY",
            "!ChangeThisMercureHubJWTSecretKey!",
        ),
        (
            "MERCURE_SUBSCRIBER_JWT_KEY",
            "!ChangeThisMercureHubJWTSecretKey!",
        ),
    ];

    /// The variables of the older recipe start it, and what they say takes precedence; without keys it does not
    /// start (B-092, B-870).
    #[test]
    fn the_older_recipe_starts() {
        let hub = load(&KEYS).unwrap().settings.hubs.remove(0).options;
        assert!(hub.anonymous && hub.subscriptions);
        assert!(hub.publish_origins.is_any());
        assert_eq!(hub.rule, Rule::Classic);
        assert_eq!(hub.cors_origins.unwrap().to_string(), "*");
        assert_eq!(hub.cookie_name, Draft::default().hub.cookie_name);

        let own = (
            "MERCURE_EXTRA_DIRECTIVES",
            "cors_origins http://127.0.0.1:8000",
        );
        let mut settings = load(&[&KEYS[..], &[own]].concat()).unwrap().settings;
        let origins = settings.hubs.remove(0).options.cors_origins;
        let origins = origins.unwrap().to_string();
        assert_eq!(origins, "http://127.0.0.1:8000");

        let error = load(&[]).map(|_| ()).unwrap_err();
        assert!(
            error.contains("MERCURE_PUBLISHER_JWT_KEY is not set"),
            "{error}"
        );
        assert!(file(Path::new("Caddyfile")).is_none());
        assert!(file(Path::new("Caddyfile.dev")).is_some());
    }
}
