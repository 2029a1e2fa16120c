//! The operations view: a page that shows the metrics live, and what they cannot hold. It changes nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::body::Body;
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use talaria_hub::statistics::RecentRefusal;

use super::answer;
use crate::build;
use crate::serve::clock::{monotonic, unix_now};
use crate::serve::control::{Control, ServedHub};
use crate::serve::counts::RECENT_REFUSALS;

/// Where the page is.
pub(super) const PAGE: &str = "/operations/";
/// What the metrics cannot hold.
const STATE: &str = "state";

/// The most refusals and topics that are shown; the topics are those of each hub.
const REFUSALS: usize = 50;
const TOPICS: usize = 20;

/// Only what the page itself serves is loaded and asked, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../../../pages/operations/", $name)),
        }
    };
}

/// The files, of which none is made: what is in the repository is what is served.
const ASSETS: &[Asset] = &[
    asset!("index.html", "text/html; charset=utf-8"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("page.js", "text/javascript; charset=utf-8"),
    asset!("view.js", "text/javascript; charset=utf-8"),
    asset!("chart.js", "text/javascript; charset=utf-8"),
    asset!("figures.js", "text/javascript; charset=utf-8"),
    asset!("history.js", "text/javascript; charset=utf-8"),
    asset!("metrics.js", "text/javascript; charset=utf-8"),
];

/// Whether a path is one of the view's.
pub(super) fn owns(path: &str) -> bool {
    path.starts_with(PAGE) || path == PAGE.trim_end_matches('/')
}

/// Answers a request that reads.
pub(super) fn answer(path: &str, control: &Control) -> Response<Body> {
    let Some(name) = path.strip_prefix(PAGE) else {
        return answer::redirect(PAGE);
    };
    if name == STATE {
        return answer::json(StatusCode::OK, &state(control));
    }
    let name = if name.is_empty() { "index.html" } else { name };
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return answer::error(
            StatusCode::NOT_FOUND,
            "the operations view has no such file; open /operations/",
        );
    };
    let mut response = answer::text(StatusCode::OK, asset.kind, asset.bytes);
    for (field, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With `enforce_origin`, the requests of the page must say where it comes from.
        (REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(field, value);
    }
    response
}

/// What the metrics cannot hold: where updates are kept, the last refusals, the busiest topics.
fn state(control: &Control) -> Value {
    let hubs = control.hubs();
    let now = monotonic();
    let mut named: BTreeMap<&str, Vec<&ServedHub>> = BTreeMap::new();
    for hub in hubs.iter() {
        named.entry(&hub.name).or_default().push(hub);
    }
    let shown: Vec<Value> = named
        .iter()
        .map(|(name, hubs)| {
            let mut storage: Vec<&str> = hubs.iter().map(|hub| &*hub.storage).collect();
            storage.dedup();
            json!({
                "name": name,
                "storage": storage,
                "busiest": busiest(hubs, now),
            })
        })
        .collect();
    json!({
        "version": build::VERSION,
        "commit": build::COMMIT,
        "started": control.started(),
        "now": unix_now(),
        "hubs": shown,
        "refusals": refusals(&named),
    })
}

/// The busiest topics of hubs of one name; null if none of them counts topics.
fn busiest(hubs: &[&ServedHub], now: Instant) -> Option<Value> {
    let counting = hubs.iter().find(|hub| hub.hub.counts_topics())?;
    let read = counting.hub.statistics().busiest().read(TOPICS, now);
    let seconds = read.as_ref().map_or(0.0, |read| read.within.as_secs_f64());
    let topics = read.map(|read| read.topics).unwrap_or_default();
    let topics: Vec<Value> = topics
        .iter()
        .map(|busy| json!({ "topic": busy.topic, "count": busy.count, "error": busy.error }))
        .collect();
    Some(json!({ "seconds": seconds, "topics": topics }))
}

/// The newest refusals of all hubs, and of requests that reached none.
fn refusals(named: &BTreeMap<&str, Vec<&ServedHub>>) -> Vec<Value> {
    let of_hubs = named.iter().filter_map(|(name, hubs)| {
        // Hubs of one name are counted together.
        let statistics = hubs.first()?.hub.statistics();
        Some((Some(*name), statistics.recent_refusals()))
    });
    let mut refusals: Vec<(Option<&str>, RecentRefusal)> = of_hubs
        .chain([(None, &RECENT_REFUSALS)])
        .flat_map(|(hub, recent)| {
            let newest = recent.newest_first().into_iter();
            newest.map(move |refusal| (hub, refusal))
        })
        .collect();
    refusals.sort_by(|(_, one), (_, other)| other.at.seconds().total_cmp(&one.at.seconds()));
    refusals.truncate(REFUSALS);
    let shown = refusals.into_iter().map(|(hub, refusal)| {
        json!({
            "at": refusal.at.seconds(),
            "hub": hub,
            "status": refusal.status,
            "reason": refusal.reason,
            "sentence": refusal.sentence,
            "count": refusal.count,
        })
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// The page stays small, and each file that it has is embedded.
    #[test]
    fn the_page_is_small() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pages/operations");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, ASSETS.len());
        let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
        for asset in ASSETS {
            compressed.write_all(asset.bytes).unwrap();
        }
        let bytes = compressed.finish().unwrap().len();
        assert!(bytes < 16 * 1024, "{bytes} bytes");
    }
}
