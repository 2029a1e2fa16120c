//! A site: its routes with the hub among them, and its fixed pages (B-083).

mod access;
mod body;
mod exchange;
mod fields;
mod fixed;
mod log_notes;
mod matching;
mod plan;
mod target;
mod values;

use std::sync::Arc;

use self::access::{AccessLog, Entry};
use self::exchange::{AskHub, Exchange};
use self::plan::{Step, plan};
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use talaria_config::Error;
use talaria_config::settings::{AccessLogSettings, Routes};
use talaria_hub::{Authority, Connection, Hub, SiteOrigin, forbid_storing, host_of, plain};

pub(crate) use self::plan::Means;
use crate::serve::metrics::Web;
use crate::serve::proxies::Proxies;

const WELCOME: &str = include_str!("site/welcome.html");
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The origin of the site address that a request was sent to, given what it names as host and whether its client used
/// HTTPS.
pub(crate) type OriginOf<'a> = &'a (dyn Fn(Authority<'_>, bool) -> Option<SiteOrigin> + Sync);

/// A site. A clone is the same site.
#[derive(Clone)]
pub(crate) struct Site(Arc<Shared>);

struct Shared {
    proxies: Proxies,
    steps: Vec<Step>,
    /// The place of its first hub among those of the program.
    hub: Option<usize>,
    log: AccessLog,
    web: Web,
}

impl Site {
    /// A site behind these proxies, which logs requests as `log` says, and traces them by the tracer of `means`.
    ///
    /// # Errors
    /// As [`plan`].
    pub(crate) fn new(
        proxies: Proxies,
        routes: Routes,
        log: &AccessLogSettings,
        means: Means<'_>,
    ) -> Result<Self, Error> {
        Ok(Self(Arc::new(Shared {
            proxies,
            hub: routes.hubs().first().copied(),
            steps: plan(routes.0, means)?,
            log: AccessLog::new(log, means.shows_credentials),
            web: means.metrics.web().clone(),
        })))
    }

    /// Whether both are the same site.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The place of its first hub among those of the program.
    pub(crate) fn hub(&self) -> Option<usize> {
        self.0.hub
    }

    /// Answers a request for one of its hosts; `hubs` are those of the program.
    pub(crate) async fn answer(
        &self,
        mut parts: Parts,
        mut body: Body,
        hubs: &[Hub],
        origin: OriginOf<'_>,
    ) -> Response<Body> {
        let Shared {
            proxies,
            steps,
            log,
            web,
            ..
        } = &*self.0;
        let connection = proxies.connection(&parts);
        let peer = connection.and_then(|connection| connection.peer);
        let is_of_proxy = peer.is_some_and(|peer| proxies.contain(peer.ip()));
        let entry = log.begin(&mut parts, &mut body, connection.as_ref(), is_of_proxy);
        // Boxed, because each stream that waits for its body holds it.
        let notes = entry.as_ref().map(Entry::notes).unwrap_or_default();
        let exchange = Exchange::new(parts, body, connection, is_of_proxy, notes);
        let mut exchange = Box::new(exchange);
        let asking = Asking {
            proxies,
            hubs,
            origin,
        };
        let answer = match exchange.pass(steps, &asking).await {
            Some(answer) => answer,
            None => page(exchange.parts.uri.path()),
        };
        let handler = exchange.handler();
        let mut answer = exchange.finish(answer).await;
        if web.counts() {
            answer.extensions_mut().insert(handler);
        }
        match entry {
            Some(entry) => entry.follow(answer),
            None => answer,
        }
    }
}

/// How a request reaches a hub.
struct Asking<'a> {
    proxies: &'a Proxies,
    hubs: &'a [Hub],
    origin: OriginOf<'a>,
}

impl Asking<'_> {
    /// Tells the hub how the client asked, and by which of the site's addresses.
    fn identify(&self, parts: &mut Parts) {
        // The operator trusts the proxy that names this host, so it needs no check.
        if self.proxies.restore(parts) {
            return;
        }
        let connection = parts.extensions.get::<Connection>();
        let tls = connection.is_some_and(|connection| connection.tls);
        let host = host_of(parts).ok().flatten();
        if let Some(origin) = host.and_then(|host| (self.origin)(host, tls)) {
            parts.extensions.insert(origin);
        }
    }
}

impl AskHub for Asking<'_> {
    async fn ask(&self, hub: usize, exchange: &mut Exchange) -> Option<Response<Body>> {
        let hub = self.hubs.get(hub)?;
        if !hub.owns(exchange.parts.uri.path()) {
            return None;
        }
        let (mut parts, body) = exchange.take().into_parts();
        self.identify(&mut parts);
        Some(hub.handle(Request::from_parts(parts, body)).await)
    }
}

/// The answer where no route gives one.
fn page(path: &str) -> Response<Body> {
    match path {
        "/" => {
            let mut page = plain(StatusCode::OK, WELCOME);
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            page.headers_mut().insert(CONTENT_TYPE, html);
            page
        }
        "/robots.txt" => plain(StatusCode::OK, ROBOTS),
        _ => {
            let mut missing = plain(StatusCode::NOT_FOUND, "Not Found");
            forbid_storing(missing.headers_mut());
            missing
        }
    }
}
