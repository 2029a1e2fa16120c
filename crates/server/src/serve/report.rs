//! The report at the start: which settings are in force, and what should be changed. It never shows a key.

mod insecure;
mod of_hub;
mod of_program;
mod of_site;

use talaria_config::Settings;
use talaria_config::settings::{ConfiguredBy, HubSettings, ListenAddress, SiteSettings};

use self::of_hub::HubView;
pub(crate) use self::of_hub::storage;
use self::of_site::SiteView;

/// Logs the report: the program, its sites, its hubs, and then what should be changed.
pub(crate) fn write(settings: &Settings) {
    for line in lines(settings) {
        tracing::info!(name: "report", "{line}");
    }
    for line in warnings(settings) {
        tracing::warn!(name: "report_warning", "{line}");
    }
}

fn lines(settings: &Settings) -> Vec<String> {
    let mut lines = of_program::lines(&settings.configured_by, &settings.program);
    for site in &settings.sites {
        lines.extend(of_site::lines(&SiteView {
            addresses: &site.addresses,
            certificates: &site.certificates,
            redirects: settings.program.redirects,
            access_log: &site.access_log,
            logs: &settings.program.log,
        }));
    }
    for (index, hub) in settings.hubs.iter().enumerate() {
        lines.extend(of_hub::lines(&view(settings, index, hub)));
    }
    lines
}

/// The warnings; what several hubs have in common is told once.
fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    // What `talaria dev` leaves open is its purpose, and nothing configures it.
    if settings.configured_by == ConfiguredBy::Itself {
        return warnings;
    }
    for (index, hub) in settings.hubs.iter().enumerate() {
        for line in insecure::lines(&view(settings, index, hub)) {
            if !warnings.contains(&line) {
                warnings.push(line);
            }
        }
    }
    warnings
}

fn view<'a>(settings: &'a Settings, index: usize, hub: &'a HubSettings) -> HubView<'a> {
    let asks = |site: &&SiteSettings| site.routes.hubs().contains(&index);
    let sites = settings.sites.iter().filter(asks);
    let addresses: Vec<&ListenAddress> = sites.flat_map(|site| &site.addresses).collect();
    HubView {
        name: hub.name.as_deref(),
        options: &hub.options,
        transport: settings.stores.get(hub.store),
        key_sets: &hub.key_sets,
        addresses,
        proxies: &settings.program.proxies,
        dispatch_timeout: settings.program.dispatch_timeout,
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
            "admin API on localhost:2019",
            "site https://hub.example:8443: certificate of the local authority",
            "hub: https://hub.example:8443/.well-known/mercure",
            "hub: rule classic",
            "hub: history in /data/h.db.talaria, of this node alone: at most 5 updates, no update older than 86400 s; sync every 0.1 s",
            "hub: issuer https://localhost: publisher key HS256, no subscriber key",
            "hub: limits",
            "hub: limits of clients: max_streams 250000, max_matcher_memory 268435456, max_matcher_memory_per_connection 16777216",
            "67108864 bytes; TLS handshakes at a time: a quarter of the connections",
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
