//! The report at the start: which settings are in force, and what should be changed. It never shows a key.

mod insecure;
mod of_hub;
mod of_program;
mod of_site;

use talaria_config::Settings;
use talaria_config::settings::ConfiguredBy;

use self::of_hub::HubView;
use self::of_site::SiteView;

/// Logs the report: the program, its sites, its hubs, and then what should be changed.
pub(crate) fn write(settings: &Settings) {
    for line in lines(settings) {
        tracing::info!("{line}");
    }
    for line in warnings(settings) {
        tracing::warn!("{line}");
    }
}

fn lines(settings: &Settings) -> Vec<String> {
    let mut lines = of_program::lines(settings);
    lines.extend(of_site::lines(&SiteView {
        addresses: &settings.addresses,
        certificate: &settings.certificate,
        redirects: settings.redirects,
        access_log: settings.access_log,
    }));
    lines.extend(of_hub::lines(&hub(settings)));
    lines
}

fn warnings(settings: &Settings) -> Vec<String> {
    match settings.configured_by {
        // What `talaria dev` leaves open is its purpose, and nothing configures it.
        ConfiguredBy::Itself => Vec::new(),
        ConfiguredBy::File { .. } | ConfiguredBy::Environment { .. } => {
            insecure::lines(&hub(settings))
        }
    }
}

fn hub(settings: &Settings) -> HubView<'_> {
    HubView {
        name: None,
        options: &settings.hub,
        transport: &settings.transport,
        key_sets: &settings.key_sets,
        addresses: &settings.addresses,
        proxies: &settings.proxies,
        dispatch_timeout: settings.dispatch_timeout,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use talaria_config::{File, Loaded, Sources, load};

    use super::*;

    const KEY: &str = "a secret of more than thirty-two bytes";

    fn loaded(file: Option<&str>, variables: &[(&str, &str)]) -> Loaded {
        let variables: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let file = file.map(|text| File {
            name: "Caddyfile".to_owned(),
            text: text.replace("KEY", KEY),
        });
        load(&Sources {
            file,
            variables: &variables,
            address: None,
        })
        .unwrap()
    }

    /// Each part of the configuration is told once, with the values that count, and no key is.
    #[test]
    fn the_report_tells_what_is_in_force() {
        let file = "hub.example:8443 {\n tls internal\n mercure {\n publisher_jwt \"KEY\"\n anonymous\n transport bolt {\n path /data/h.db\n size 5\n max_age 1d\n sync interval 100ms\n }\n }\n}";
        let loaded = loaded(Some(file), &[("SERVER_NAME", ":80"), ("RUST_LOG", "info")]);
        let report = lines(&loaded.settings).join("\n");
        for expected in [
            "configuration: the file Caddyfile, variables that it reads: RUST_LOG; it takes precedence over the variables that it does not read: SERVER_NAME",
            "site https://hub.example:8443: certificate of the local authority",
            "hub: https://hub.example:8443/.well-known/mercure",
            "hub: rule classic",
            "hub: history in /data/h.db.talaria: at most 5 updates, no update older than 86400 s; sync every 0.1 s",
            "hub: issuer https://localhost: publisher key HS256, no subscriber key",
            "hub: limits",
        ] {
            assert!(report.contains(expected), "{expected}\nin\n{report}");
        }
        assert!(!report.contains(KEY), "{report}");
    }

    /// A warning names the line to write, and there is none about what cannot be changed.
    #[test]
    fn each_warning_has_its_remedy() {
        let keys = [
            ("SERVER_NAME", ":3000"),
            ("MERCURE_PUBLISHER_JWT_KEY", KEY),
            ("MERCURE_SUBSCRIBER_JWT_KEY", KEY),
            ("MERCURE_EXTRA_DIRECTIVES", "publish_origins *"),
        ];
        let mut loaded = loaded(None, &keys);
        let said = warnings(&loaded.settings);
        assert_eq!(said.len(), 4, "{said:#?}");
        for line in &said {
            assert!(line.contains("write `") || line.contains("set "), "{line}");
        }
        loaded.settings.configured_by = ConfiguredBy::Itself;
        assert_eq!(warnings(&loaded.settings), Vec::<String>::new());
    }
}
