//! The report at the start: which settings are in force, and which are insecure. It never shows a key.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use talaria_config::Settings;
use talaria_config::key_set::KeySetSource;
use talaria_config::settings::{ListenAddress, ProgramSettings, SiteSettings};
use talaria_hub::access::{Issuer, IssuerKey, Role};
use talaria_hub::{HubOptions, Rule};

/// A hub, and how it is reached.
struct Subject<'a> {
    hub: &'a HubOptions,
    key_sets: &'a [KeySetSource],
    addresses: Vec<&'a ListenAddress>,
    program: &'a ProgramSettings,
}

/// Logs the report, one line for each subject.
pub(crate) fn write(settings: &Settings) {
    for (index, hub) in settings.hubs.iter().enumerate() {
        let asks = |site: &&SiteSettings| site.routes.hubs().contains(&index);
        let sites = settings.sites.iter().filter(asks);
        let subject = Subject {
            hub: &hub.options,
            key_sets: &hub.key_sets,
            addresses: sites.flat_map(|site| &site.addresses).collect(),
            program: &settings.program,
        };
        tracing::info!(
            rule = subject.hub.rule.name(),
            hub = hub.name,
            "{}",
            rule(subject.hub.rule)
        );
        for line in in_force(&subject) {
            tracing::info!("{line}");
        }
        for line in insecure(&subject) {
            tracing::warn!("{line}");
        }
    }
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Modern => {
            "only Mercure 1.0 is accepted; `protocol_version_compatibility 8` also serves 0.x clients"
        }
        Rule::Compatible => "both generations are accepted and answered as Mercure 1.0 does",
        Rule::Classic => "both generations are accepted, and each is answered in its own",
    }
}

fn in_force(settings: &Subject<'_>) -> Vec<String> {
    let mut lines: Vec<String> = (settings.hub.issuers.iter())
        .map(|issuer| issuer_line(settings, issuer))
        .collect();
    lines.push(format!("audiences (`aud`): {}", audiences(settings)));
    lines.push(format!(
        "subscribers without a token: {}; cookie {}; origins of pages that may read: {}, that may publish by cookie: the hub's own and {}",
        if settings.hub.anonymous { "yes" } else { "no" },
        settings.hub.cookie_name,
        settings.hub.cors_origins.clone().unwrap_or_default(),
        settings.hub.publish_origins,
    ));
    if !settings.program.proxies.is_empty() {
        lines.push(format!(
            "trusted proxies, whose X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-For count: {}",
            settings.program.proxies
        ));
    }
    lines.push(limits(settings));
    if settings.hub.base.is_synthetic() {
        lines.push(
            "no public URL is configured: relative topics and patterns match only each other; set resource_identifier"
                .to_owned(),
        );
    }
    lines
}

fn issuer_line(settings: &Subject<'_>, issuer: &Issuer) -> String {
    let mut line = format!("issuer {}:", issuer.identifier);
    for role in [Role::Publisher, Role::Subscriber] {
        // Writing to a string does not fail.
        _ = match issuer.key(role) {
            Some(IssuerKey::Static(key)) => {
                write!(line, " {} key {},", role.name(), key.algorithm())
            }
            Some(IssuerKey::Set(set)) => {
                let mut known = settings.key_sets.iter();
                let known = known.find(|source| Arc::ptr_eq(&source.set, set));
                let names: Vec<_> = set.algorithms().iter().map(|one| one.name()).collect();
                write!(
                    line,
                    " {} keys of {} ({}),",
                    role.name(),
                    known.map_or_else(String::new, |one| one.location.to_string()),
                    names.join(" ")
                )
            }
            None => write!(line, " no {} key,", role.name()),
        };
    }
    line.pop();
    if issuer.judges_unnamed && settings.hub.rule != Rule::Modern {
        line.push_str("; also of 0.x tokens that name no issuer");
    }
    line
}

fn audiences(settings: &Subject<'_>) -> String {
    let mut audiences = vec![match &settings.hub.resource_identifier {
        Some(pinned) => pinned.clone(),
        None if takes_any_host(settings) => "the URL of each request".to_owned(),
        None if !settings.hub.public_origins.is_empty() => {
            "the public URL of each request".to_owned()
        }
        None => "the site address of each request".to_owned(),
    }];
    audiences.extend(settings.hub.accepted_audiences.iter().cloned());
    audiences.join(", ")
}

fn limits(settings: &Subject<'_>) -> String {
    let duration = |value: Option<Duration>| match value {
        Some(value) => format!("{} s", value.as_secs_f64()),
        None => "never".to_owned(),
    };
    let limits = &settings.hub.limits;
    format!(
        "limits: body {} bytes, {} topics an update, {} matchers a request, {} details and {} topics a token; heartbeat {}, streams end after {}, stalled readers after {}",
        settings.hub.max_request_body_size,
        limits.topics,
        limits.matchers,
        limits.details,
        limits.granted_topics,
        duration(settings.hub.heartbeat),
        duration(settings.hub.write_timeout),
        duration(settings.program.dispatch_timeout),
    )
}

/// Whether a client chooses the hub's identity by its `Host`.
fn takes_any_host(settings: &Subject<'_>) -> bool {
    settings.hub.resource_identifier.is_none()
        && settings.hub.public_origins.is_empty()
        && (settings.addresses.iter()).any(|address| address.host.is_none())
}

fn insecure(settings: &Subject<'_>) -> Vec<&'static str> {
    let mut lines = Vec::new();
    if takes_any_host(settings) {
        lines.push(
            "insecure: the resource identifier that tokens must name in `aud` is derived from the Host of each request; pin it with resource_identifier, or list the hub's URLs in public_urls, so that no client chooses it",
        );
    }
    if settings.hub.rule != Rule::Modern {
        lines.push(
            "insecure: tokens of Mercure 0.x are accepted, also from the cookie mercureAuthorization and the parameter authorization, which may last for ever and serve any hub with the same key; name an issuer when no application needs them any more",
        );
    }
    if settings.hub.publish_ungranted {
        lines.push(
            "insecure: with protocol_version_compatibility 7 every 0.x publisher may publish public updates on any topic",
        );
    }
    if settings.addresses.iter().all(|address| !address.tls) && settings.program.proxies.is_empty()
    {
        lines.push(
            "insecure unless a proxy does TLS in front: tokens travel in plain HTTP, see docs/https.md",
        );
    }
    if settings.hub.publish_origins.is_any() {
        lines
            .push("insecure: every page may publish with its visitor's cookie (publish_origins *)");
    }
    lines
}
