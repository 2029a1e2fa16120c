//! Counts the requests of sites and of the admin listener, as the existing server does (B-726, B-297).
//!
//! The labels take no value that a client chooses: methods and statuses that are not registered are `OTHER`, and hosts
//! are those of the configuration.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::Body;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use talaria_config::settings::RequestMetrics;
use talaria_hub::statistics::{Distribution, Histogram};

use crate::serve::clock::monotonic;
use crate::serve::followed::{Follower, followed};
use crate::serve::lock::lock;

/// Bounds of times, in nanoseconds: those of the existing server.
const TIMES: &[u64] = &[
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
/// Bounds of sizes, in bytes.
const SIZES: &[u64] = &[
    256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304,
];
/// The handler of a request while its site looks for one.
const LOOKING: &str = "subroute";

/// The handler that answered, and whether it ended the request with an error. In the extensions of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handler {
    /// The name that the existing server gives it.
    pub name: &'static str,
    /// Whether it failed.
    pub has_failed: bool,
}

/// Where a request is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The listener.
    pub server: Arc<str>,
    pub handler: &'static str,
    /// The host of the configuration, if hosts are told apart.
    pub host: Arc<str>,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outcome {
    /// 0 for a status that is not registered.
    pub status: u16,
    pub method: &'static str,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requests {
    pub all: u64,
    pub failed: u64,
    pub in_flight: u64,
}

/// The requests of one outcome.
#[derive(Debug)]
pub(super) struct Measured {
    durations: Histogram,
    until_head: Histogram,
    request_sizes: Histogram,
    response_sizes: Histogram,
}

/// What was measured of them.
pub(super) struct Distributions {
    pub durations: Distribution,
    pub until_head: Distribution,
    pub request_sizes: Distribution,
    pub response_sizes: Distribution,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            durations: Histogram::new(TIMES, 1e9),
            until_head: Histogram::new(TIMES, 1e9),
            request_sizes: Histogram::new(SIZES, 1.0),
            response_sizes: Histogram::new(SIZES, 1.0),
        }
    }
}

#[derive(Debug, Default)]
struct Counted {
    requests: BTreeMap<Place, Requests>,
    measured: BTreeMap<(Place, Outcome), Measured>,
}

/// Counts the requests of sites, if the configuration asks for it. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Web(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    mode: AtomicU8,
    counted: Mutex<Counted>,
}

const OFF: u8 = 0;
const ON: u8 = 1;
const PER_HOST: u8 = 2;

impl Web {
    /// Counts as these settings say from now on.
    pub(super) fn follow(&self, settings: Option<RequestMetrics>) {
        let mode = match settings {
            None => OFF,
            Some(RequestMetrics { per_host: false }) => ON,
            Some(RequestMetrics { per_host: true }) => PER_HOST,
        };
        self.0.mode.store(mode, Ordering::Relaxed);
    }

    /// Whether requests are counted.
    pub(crate) fn counts(&self) -> bool {
        self.0.mode.load(Ordering::Relaxed) != OFF
    }

    /// Begins to count a request of a listener; `host` gives the host of the configuration that it names. `None` if
    /// requests are not counted.
    pub(crate) fn begin(
        &self,
        server: &Arc<str>,
        parts: &Parts,
        host: impl FnOnce() -> Arc<str>,
    ) -> Option<Watch> {
        let mode = self.0.mode.load(Ordering::Relaxed);
        if mode == OFF {
            return None;
        }
        let place = Place {
            server: Arc::clone(server),
            handler: LOOKING,
            host: if mode == PER_HOST {
                host()
            } else {
                Arc::default()
            },
        };
        lock(&self.0.counted)
            .requests
            .entry(place.clone())
            .or_default()
            .in_flight += 1;
        Some(Watch {
            web: self.clone(),
            place,
            began: monotonic(),
            method: method(&parts.method),
            request_bytes: size(parts),
            response_bytes: 0,
            answered: None,
        })
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> BTreeMap<Place, Requests> {
        lock(&self.0.counted).requests.clone()
    }

    /// What was measured so far.
    pub(super) fn measured(&self) -> Vec<(Place, Outcome, Distributions)> {
        let counted = lock(&self.0.counted);
        let each = counted.measured.iter().map(|((place, outcome), measured)| {
            let distributions = Distributions {
                durations: measured.durations.read(),
                until_head: measured.until_head.read(),
                request_sizes: measured.request_sizes.read(),
                response_sizes: measured.response_sizes.read(),
            };
            (place.clone(), *outcome, distributions)
        });
        each.collect()
    }
}

/// A request that is counted until its answer has left, or it is abandoned.
#[derive(Debug)]
pub(crate) struct Watch {
    web: Web,
    place: Place,
    began: Instant,
    method: &'static str,
    request_bytes: u64,
    response_bytes: u64,
    /// The status, and when it was known.
    answered: Option<(u16, Instant)>,
}

impl Watch {
    /// Follows the answer.
    pub(crate) fn follow(mut self, answer: Response<Body>) -> Response<Body> {
        let handler = answer.extensions().get::<Handler>().copied();
        let handler = handler.unwrap_or(Handler {
            name: LOOKING,
            has_failed: false,
        });
        let status = answer.status();
        self.answered = Some((status_of(status), monotonic()));
        let mut counted = lock(&self.web.0.counted);
        leave(&mut counted.requests, &self.place);
        self.place.handler = handler.name;
        let requests = counted.requests.entry(self.place.clone()).or_default();
        requests.in_flight += 1;
        requests.all += 1;
        requests.failed += u64::from(handler.has_failed);
        drop(counted);
        followed(answer, self)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let now = monotonic();
        let mut counted = lock(&self.web.0.counted);
        leave(&mut counted.requests, &self.place);
        let Some((status, at)) = self.answered else {
            // Its client left before there was an answer.
            counted.requests.entry(self.place.clone()).or_default().all += 1;
            return;
        };
        let outcome = Outcome {
            status,
            method: self.method,
        };
        let key = (self.place.clone(), outcome);
        let measured = counted.measured.entry(key).or_default();
        let passed = |until: Instant| {
            let passed = until.saturating_duration_since(self.began).as_nanos();
            u64::try_from(passed).unwrap_or(u64::MAX)
        };
        measured.durations.observe(passed(now));
        measured.until_head.observe(passed(at));
        measured.request_sizes.observe(self.request_bytes);
        measured.response_sizes.observe(self.response_bytes);
    }
}

fn leave(requests: &mut BTreeMap<Place, Requests>, place: &Place) {
    if let Some(requests) = requests.get_mut(place) {
        requests.in_flight = requests.in_flight.saturating_sub(1);
    }
}

impl Follower for Watch {
    fn sent(&mut self, bytes: u64) {
        self.response_bytes += bytes;
    }
}

/// About how many bytes a request has, by what its head says.
fn size(parts: &Parts) -> u64 {
    let target = parts
        .uri
        .path_and_query()
        .map_or(1, |target| target.as_str().len());
    let fields = parts.headers.iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    (parts.method.as_str().len() + target + fields) as u64 + length.unwrap_or(0)
}

/// The name of a method; `OTHER` for one that is not registered.
pub(super) fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "CONNECT" => "CONNECT",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "QUERY" => "QUERY",
        _ => "OTHER",
    }
}

pub(super) fn status_of(status: StatusCode) -> u16 {
    status.canonical_reason().map_or(0, |_| status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_not_chosen_by_clients() {
        assert_eq!(method(&Method::from_bytes(b"FOO").unwrap()), "OTHER");
        assert_eq!(method(&Method::from_bytes(b"QUERY").unwrap()), "QUERY");
        assert_eq!(status_of(StatusCode::from_u16(799).unwrap()), 0);
    }

    /// A request is in flight under one handler at a time, and measured once.
    #[tokio::test]
    async fn a_request_is_counted_once() {
        let web = Web::default();
        let server: Arc<str> = "srv0".into();
        let (parts, ()) = http::Request::new(()).into_parts();
        assert!(web.begin(&server, &parts, || "a".into()).is_none());
        web.follow(Some(RequestMetrics { per_host: true }));
        let count = |handler: &str| {
            let requests = web.requests();
            let mut each = requests.iter();
            let found = each.find(|(place, _)| place.handler == handler && &*place.host == "a");
            found.map(|(_, requests)| (requests.all, requests.in_flight))
        };
        let watch = web.begin(&server, &parts, || "a".into()).unwrap();
        assert_eq!(count(LOOKING), Some((0, 1)));
        let mut answer = Response::new(Body::from("12345"));
        answer.extensions_mut().insert(Handler {
            name: "mercure",
            has_failed: false,
        });
        let answer = watch.follow(answer);
        assert_eq!(count(LOOKING), Some((0, 0)));
        assert_eq!(count("mercure"), Some((1, 1)));
        assert!(web.measured().is_empty());
        axum::body::to_bytes(answer.into_body(), 10).await.unwrap();
        assert_eq!(count("mercure"), Some((1, 0)));
        let [(_, outcome, measured)] = &web.measured()[..] else {
            panic!("one outcome");
        };
        assert_eq!((outcome.status, outcome.method), (200, "GET"));
        assert_eq!(measured.response_sizes.sum, 5.0);
        drop(web.begin(&server, &parts, || "a".into()));
        assert_eq!(count(LOOKING), Some((1, 0)));
    }
}
