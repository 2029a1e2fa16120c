//! The hub: assembles its parts, and dispatches requests to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router as AxumRouter;
use axum::body::Body;
use axum::routing::any;
use http::header::ORIGIN;
use http::{HeaderMap, Method, Request, Response};
use talaria_protocol::HUB_PATH;
use talaria_transport::{Health, Transport};

use crate::clock::Clock;
use crate::engine::retry::come_back;
use crate::http::accept::{self, EventStream};
use crate::http::body::discard;
use crate::http::connection::Connection;
use crate::http::cors;
use crate::http::host::host_of;
use crate::http::pages::{self, Page};
use crate::http::request::Incoming;
use crate::http::respond::{self, Refused};
use crate::http::shared::Shared;
use crate::http::{identity, metadata, publish, subscribe, subscriptions};
use crate::limits::Used;
use crate::options::HubOptions;
use crate::trace::SpanKind;

/// A Mercure hub; see [`Hub::builder`]. A clone is the same hub.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

const HUB_METHODS: &str = "GET, HEAD, QUERY, POST, OPTIONS";
const METADATA_METHODS: &str = "GET, HEAD, OPTIONS";
const SUBSCRIPTIONS_METHODS: &str = "GET, HEAD, OPTIONS";

impl Hub {
    /// A hub on a transport, which it starts.
    pub(crate) fn new(
        options: HubOptions,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Shared::new(options, transport, clock)))
    }

    /// The same hub with other options; see [`Self::reconfigure`].
    pub(crate) fn with_options(&self, options: HubOptions) -> Self {
        Self(Arc::new(self.0.reconfigured(options)))
    }

    /// Another hub on the same log; see [`Self::beside`].
    pub(crate) fn with_other(&self, options: HubOptions) -> Self {
        Self(Arc::new(self.0.beside(options)))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// An axum router for the paths of the hub, to be merged with those of the application.
    pub fn router(&self) -> AxumRouter {
        let hub = self.clone();
        let answer = any(move |request: Request<Body>| {
            let hub = hub.clone();
            async move { hub.handle(request).await }
        });
        let router = AxumRouter::new()
            .route(HUB_PATH, answer.clone())
            .route(&format!("{HUB_PATH}/"), answer.clone())
            .route(&format!("{HUB_PATH}/{{*below}}"), answer.clone())
            .route(metadata::PATH, answer.clone());
        if self.0.options.pages.playground {
            return router.route(&format!("{}{{*below}}", pages::RESOURCES), answer);
        }
        router
    }

    /// Whether a path is one of the hub's (B-084). With [`playground`](crate::PageOptions::playground), `/` and the
    /// paths below `/playground/` are.
    pub fn owns(&self, path: &str) -> bool {
        path.starts_with(HUB_PATH)
            || path == metadata::PATH
            || Page::find(self.0.options.pages, path).is_some()
    }

    /// Ends every stream at a random moment of the window, and refuses new ones. Requests under way are
    /// answered (B-1022).
    pub fn drain(&self, window: Duration) {
        self.0.drain.begin(self.0.clock.now(), window);
        self.0.router.ring_all();
    }

    /// Whether no request is under way and no stream is open.
    pub fn is_idle(&self) -> bool {
        self.0.drain.is_idle()
    }

    /// Returns when the hub has been told to [drain](Self::drain) and all that was under way has ended:
    /// the streams of clients, [those of the application](Self::subscribe), and requests. With
    /// [`subscriptions`](HubOptions::subscriptions), it also waits until the log has stored that the
    /// subscriptions have ended.
    ///
    /// Put a timeout around it, because it may never return:
    /// - before [`Self::drain`] is called;
    /// - in a task that holds an [`Updates`](crate::Updates) and does not poll it, because the stream ends
    ///   only when it is polled or dropped;
    /// - with `subscriptions` and a log that keeps refusing updates, such as one on a full disk.
    pub async fn drained(&self) {
        self.0.drain.ended().await;
    }

    /// How much clients hold now of the resources that [`HubOptions::budgets`] bounds.
    pub fn used(&self) -> Used {
        self.0.budgets.used()
    }

    /// Whether updates can be stored.
    pub fn health(&self) -> Health {
        self.0.transport.health()
    }

    /// Takes and releases the lock that every update and every subscriber needs. That takes microseconds,
    /// and never returns if the hub is stuck. For watchdogs.
    pub fn probe(&self) {
        self.0.router.probe();
    }

    /// Answers a request for one of the hub's paths.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let _under_way = self.0.drain.enter();
        let (parts, mut body) = request.into_parts();
        let cors = self.0.cors.as_ref();
        let from = parts.extensions.get::<Connection>();
        let preflight = cors.and_then(|cors| cors.preflight(&parts.method, &parts.headers, from));
        let refused = match cors {
            None => cors::log_preflight(&parts.method, &parts.headers, from),
            Some(_) => preflight.as_ref().and_then(cors::refused),
        };
        if let Some(reason) = refused {
            let statistics = &self.0.options.statistics;
            statistics.refused(reason);
            let at = self.0.clock.unix_time();
            statistics.recent_refusals().note(at, 204, reason, || {
                "the preflight of a page of another origin is not permitted (CORS)".to_owned()
            });
        }
        let mut response = match preflight {
            Some(preflight) => preflight.map(|()| Body::empty()),
            None => {
                let request = Incoming::new(&self.0, &parts);
                let outcome = self.dispatch(&request, &mut body).await;
                request.end_span(outcome.as_ref().err());
                if outcome.is_err() {
                    discard(&mut body, &parts.headers).await;
                }
                let mut response = outcome.unwrap_or_else(|refused| {
                    refused.log(&parts);
                    let status = refused.status_for(request.answers());
                    refused.count(&self.0.options.statistics, status, self.0.clock.unix_time());
                    let metadata_url = metadata::url(&self.0.options, &parts);
                    refused.into_response(request.answers(), metadata_url.as_deref())
                });
                if let Some(cors) = cors.filter(|_| !pages::are_at(parts.uri.path())) {
                    cors.decorate(parts.headers.get(ORIGIN), response.headers_mut());
                }
                response
            }
        };
        respond::protect(response.headers_mut());
        response
    }

    /// The answer to a subscription for which a listener has no room: a stream that says `why` and ends. The
    /// browser reopens it; at an error status it would give up for good. `None` if the request is not that of
    /// an `EventSource`.
    pub fn subscribe_later(
        &self,
        method: &Method,
        headers: &HeaderMap,
        why: &str,
    ) -> Option<Response<Body>> {
        if method != Method::GET || accept::event_stream(headers) != EventStream::Asked {
            return None;
        }
        let mut response = respond::event_stream(Body::from(come_back(why)));
        if let Some(cors) = &self.0.cors {
            cors.decorate(headers.get(ORIGIN), response.headers_mut());
        }
        respond::protect(response.headers_mut());
        Some(response)
    }

    async fn dispatch(
        &self,
        request: &Incoming<'_>,
        body: &mut Body,
    ) -> Result<Response<Body>, Refused> {
        let parts = request.parts;
        host_of(parts).map_err(Refused::Host)?;
        let hub = &self.0;
        identity::check_public_origin(&hub.options, parts)?;
        match (parts.uri.path(), &parts.method) {
            (HUB_PATH, &Method::GET | &Method::HEAD | &Method::QUERY) => {
                request.begin_span("mercure.subscribe", SpanKind::Consumer);
                subscribe::subscribe(hub, request, body).await
            }
            (HUB_PATH, &Method::POST) => {
                request.begin_span("mercure.publish", SpanKind::Producer);
                let mut published = publish::publish(hub, request, body).await?;
                respond::forbid_storing(published.headers_mut());
                Ok(published)
            }
            (HUB_PATH, &Method::OPTIONS) => Ok(respond::allowed(HUB_METHODS)),
            (HUB_PATH, method) => Err(Refused::Method(method.clone(), HUB_METHODS)),
            (metadata::PATH, &Method::GET | &Method::HEAD) => metadata::document(hub, parts),
            (metadata::PATH, &Method::OPTIONS) => Ok(respond::allowed(METADATA_METHODS)),
            (metadata::PATH, method) => Err(Refused::Method(method.clone(), METADATA_METHODS)),
            (path, method) if hub.presence().is_some() && subscriptions::owns(path) => {
                request.begin_span("mercure.subscriptions", SpanKind::Internal);
                match *method {
                    Method::GET | Method::HEAD => subscriptions::answer(hub, request).await,
                    Method::OPTIONS => Ok(respond::allowed(SUBSCRIPTIONS_METHODS)),
                    _ => Err(Refused::Method(method.clone(), SUBSCRIPTIONS_METHODS)),
                }
            }
            (path, _) => match Page::find(hub.options.pages, path) {
                Some(page) => page.answer(hub, parts),
                None => Err(Refused::NotFound(path.to_owned())),
            },
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}
