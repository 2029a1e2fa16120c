//! What the report says about a hub.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use talaria_config::key_set::KeySetSource;
use talaria_config::proxies::TrustedProxies;
use talaria_config::settings::{
    ListenAddress, PostgresSettings, RedisSettings, TransportSettings, directory_of,
};
use talaria_hub::access::{Issuer, IssuerKey, Role};
use talaria_hub::limits::{BudgetOptions, Rate};
use talaria_hub::{HubOptions, Rule};
use talaria_protocol::HUB_PATH;
use talaria_transport::history::SyncMode;

use super::of_program::listed;

/// A hub, as far as it is reported.
pub(super) struct HubView<'a> {
    /// Its name, if the program has several.
    pub name: Option<&'a str>,
    pub options: &'a HubOptions,
    /// Where its updates are kept.
    pub transport: Option<&'a TransportSettings>,
    pub key_sets: &'a [KeySetSource],
    /// The addresses of its sites.
    pub addresses: Vec<&'a ListenAddress>,
    pub proxies: &'a TrustedProxies,
    pub dispatch_timeout: Option<Duration>,
}

/// Its URLs, rule, storage, keys and limits.
pub(super) fn lines(hub: &HubView<'_>) -> Vec<String> {
    let mut said = vec![urls(hub), rule(hub.options.rule).to_owned()];
    said.extend(hub.transport.map(storage));
    let issuers = hub.options.issuers.iter();
    said.extend(issuers.map(|issuer| issuer_line(hub, issuer)));
    said.push(format!("audiences (`aud`): {}", audiences(hub)));
    said.push(clients(hub.options));
    said.push(limits(hub));
    said.push(limits_of_clients(&hub.options.budgets));
    if hub.options.base.is_synthetic() {
        said.push(
            "no public URL is configured: relative topics and patterns match only each other, unless `resource_identifier` is set"
                .to_owned(),
        );
    }
    let subject = hub
        .name
        .map_or_else(|| "hub".to_owned(), |name| format!("hub {name}"));
    said.iter()
        .map(|line| format!("{subject}: {line}"))
        .collect()
}

/// Whether a client chooses the hub's identity by its `Host`.
pub(super) fn takes_any_host(hub: &HubView<'_>) -> bool {
    hub.options.resource_identifier.is_none()
        && hub.options.public_origins.is_empty()
        && hub.addresses.iter().any(|address| address.host.is_none())
}

fn urls(hub: &HubView<'_>) -> String {
    if let Some(pinned) = &hub.options.resource_identifier {
        return format!("{pinned} (resource_identifier)");
    }
    let public = &hub.options.public_origins;
    if !public.is_empty() {
        let urls = public.iter().map(|origin| format!("{origin}{HUB_PATH}"));
        let urls: Vec<String> = urls.collect();
        return format!("{} (public_urls)", urls.join(", "));
    }
    let url = |address: &&ListenAddress| match (address.url(), &address.host) {
        (Some(url), _) => url,
        (None, Some(host)) => address.url_on(host),
        (None, None) => address.url_on("<any host>"),
    };
    let urls: Vec<String> = hub.addresses.iter().map(url).collect();
    urls.join(", ")
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Modern => {
            "rule modern: only Mercure 1.0 is accepted; `protocol_version_compatibility 8` also serves 0.x clients"
        }
        Rule::Compatible => {
            "rule compatible: both generations are accepted and answered as Mercure 1.0 does"
        }
        Rule::Classic => {
            "rule classic: both generations are accepted, and each is answered in its own"
        }
    }
}

/// Where updates are kept, and for how long.
pub(crate) fn storage(transport: &TransportSettings) -> String {
    let (history, place) = match transport {
        TransportSettings::History(history) => (history, directory_of(&history.path)),
        TransportSettings::Memory(memory) => {
            let size = memory
                .size
                .map_or_else(String::new, |size| format!(", {size} updates"));
            return format!(
                "updates in memory, of this node alone and gone at a restart: at most {} bytes{size}",
                memory.max_bytes
            );
        }
        TransportSettings::Redis(redis) => return shared(redis),
        TransportSettings::Postgres(postgres) => return in_database(postgres),
        TransportSettings::Local(_) => {
            return "no history: what a client misses while it is away is lost to it".to_owned();
        }
    };
    let options = &history.options;
    let bounds = [
        options.size.map(|size| format!("at most {size} updates")),
        options
            .max_bytes
            .map(|bytes| format!("at most {bytes} bytes")),
        options
            .max_age
            .map(|age| format!("no update older than {} s", age.as_secs_f64())),
    ];
    let mut kept: Vec<String> = bounds.into_iter().flatten().collect();
    if kept.is_empty() {
        kept.push("every update is kept".to_owned());
    }
    let sync = match options.sync {
        SyncMode::Always => "sync before each answer".to_owned(),
        SyncMode::Interval(interval) => format!("sync every {} s", interval.as_secs_f64()),
        SyncMode::Never => "sync when the system does".to_owned(),
    };
    format!(
        "history in {}, of this node alone: {}; {sync}",
        place.display(),
        kept.join(", ")
    )
}

/// A log that several nodes may share.
fn shared(redis: &RedisSettings) -> String {
    let database = match redis.database {
        0 => String::new(),
        database => format!(", database {database}"),
    };
    format!(
        "shared log {} at {}{database}: {}; {}",
        redis.stream,
        redis.place,
        kept(redis.max_length, redis.max_age),
        waits(redis.publish_timeout, redis.lease),
    )
}

/// The same in a database.
fn in_database(postgres: &PostgresSettings) -> String {
    format!(
        "shared log {} at {}, database {}: {}; {}",
        postgres.schema,
        postgres.place(),
        postgres.database,
        kept(postgres.size, postgres.max_age),
        waits(postgres.publish_timeout, postgres.lease),
    )
}

fn kept(size: Option<u64>, max_age: Option<Duration>) -> String {
    let bounds = [
        size.map(|size| format!("about {size} updates")),
        max_age.map(|age| format!("no update older than {} s", age.as_secs_f64())),
    ];
    let kept: Vec<String> = bounds.into_iter().flatten().collect();
    match kept.is_empty() {
        true => "every update is kept".to_owned(),
        false => kept.join(", "),
    }
}

fn waits(publish: Duration, lease: Duration) -> String {
    format!(
        "a publish waits {} s at most, a silent node is dead after {} s",
        publish.as_secs_f64(),
        lease.as_secs_f64(),
    )
}

fn issuer_line(hub: &HubView<'_>, issuer: &Issuer) -> String {
    let mut line = format!("issuer {}:", issuer.identifier);
    for role in [Role::Publisher, Role::Subscriber] {
        // Writing to a string does not fail.
        _ = match issuer.key(role) {
            Some(IssuerKey::Static(key)) => {
                write!(line, " {} key {},", role.name(), key.algorithm())
            }
            Some(IssuerKey::Set(set)) => {
                let mut known = hub.key_sets.iter();
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
    let limits = [
        ("max_publish_size", issuer.max_publish_size),
        ("max_publish_topics", issuer.max_publish_topics),
    ];
    for (name, limit) in limits {
        _ = limit.map_or(Ok(()), |limit| write!(line, "; {name} {limit}"));
    }
    if issuer.judges_unnamed && hub.options.rule != Rule::Modern {
        line.push_str("; also of 0.x tokens that name no issuer");
    }
    line
}

fn audiences(hub: &HubView<'_>) -> String {
    let mut audiences = vec![match &hub.options.resource_identifier {
        Some(pinned) => pinned.clone(),
        None if takes_any_host(hub) => "the URL of each request".to_owned(),
        None if !hub.options.public_origins.is_empty() => {
            "the public URL of each request".to_owned()
        }
        None => "the site address of each request".to_owned(),
    }];
    audiences.extend(hub.options.accepted_audiences.iter().cloned());
    audiences.join(", ")
}

fn clients(options: &HubOptions) -> String {
    let yes = |is_on: bool| if is_on { "yes" } else { "no" };
    format!(
        "subscribers without a token: {}; subscription events: {}; cookie {}; origins of pages that may read: {}, that may publish by cookie: the hub's own and {}",
        yes(options.anonymous),
        yes(options.subscriptions),
        options.cookie_name,
        options.cors_origins.clone().unwrap_or_default(),
        options.publish_origins,
    )
}

fn limits(hub: &HubView<'_>) -> String {
    let duration = |value: Option<Duration>| match value {
        Some(value) => format!("{} s", value.as_secs_f64()),
        None => "never".to_owned(),
    };
    let bound =
        |value: Option<u64>| value.map_or_else(|| "as many".to_owned(), |value| value.to_string());
    let limits = &hub.options.limits;
    let streams = &hub.options.budgets.streams;
    format!(
        "limits: {} streams, of one address {}; body {} bytes, {} topics an update, {} matchers a request, {} details and {} topics a token; heartbeat {}, streams end after {}, stalled readers after {}",
        bound(streams.total),
        bound(streams.per_address),
        hub.options.max_request_body_size,
        limits.topics,
        limits.matchers,
        limits.details,
        limits.granted_topics,
        duration(hub.options.heartbeat),
        duration(hub.options.write_timeout),
        duration(hub.dispatch_timeout),
    )
}

/// The bounds of what clients hold and of how fast they come, by their directives.
fn limits_of_clients(budgets: &BudgetOptions) -> String {
    let held = [
        ("max_streams", budgets.streams),
        ("max_matcher_memory", budgets.matcher_memory),
        ("max_matcher_states", budgets.matcher_states),
        ("max_body_memory", budgets.body_memory),
    ];
    let held = held.into_iter().flat_map(|(name, bounds)| {
        let shown = |bound: Option<u64>| bound.map(|bound| bound.to_string());
        [
            (name.to_owned(), shown(bounds.total)),
            (format!("{name}_per_address"), shown(bounds.per_address)),
            (format!("{name}_per_subject"), shown(bounds.per_subject)),
            (
                format!("{name}_per_connection"),
                shown(bounds.per_connection),
            ),
        ]
    });
    let rates = [
        ("max_publish_rate", budgets.publish_rate),
        ("max_stream_rate", budgets.stream_rate),
    ];
    let rates = rates.into_iter().flat_map(|(name, bounds)| {
        let shown = |rate: Option<Rate>| rate.map(|rate| rate.to_string());
        [
            (name.to_owned(), shown(bounds.total)),
            (format!("{name}_per_address"), shown(bounds.per_address)),
            (format!("{name}_per_subject"), shown(bounds.per_subject)),
        ]
    });
    format!("limits of clients: {}", listed(held.chain(rates)))
}
