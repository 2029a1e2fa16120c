//! The hub: its parts, and the way of a request through it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router as AxumRouter;
use axum::body::Body;
use axum::routing::any;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use talaria_protocol::{Base, Generation, HUB_PATH};
use talaria_transport::{Health, Transport};

use crate::accept::{self, EventStream};
use crate::access::{
    Access, OLDER_COOKIE, PresentationError, Presented, Role, Verifier, cookie_names, present,
};
use crate::body::discard;
use crate::clock::Clock;
use crate::cors::{self, Cors};
use crate::drain::Drain;
use crate::host::{Authority, HostError, SiteOrigin, host_of};
use crate::lane::LANE_POSITIONS;
use crate::limits::{Budgets, Used};
use crate::presence::Reconciler;
use crate::repeats::Repeats;
use crate::respond::{self, Refused};
use crate::router::Router;
use crate::{
    Connection, HubOptions, Rule, host, metadata, publish, rule, subscribe, subscriptions,
};

/// A Mercure hub. Cloning shares it.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

/// What a hub consists of.
pub(crate) struct Shared {
    pub(crate) options: HubOptions,
    pub(crate) base: Arc<Base>,
    pub(crate) verifier: Verifier,
    pub(crate) cors: Option<Cors>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) router: Arc<Router>,
    /// Shared by every request under way and every open stream.
    pub(crate) drain: Arc<Drain>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Publishes who comes and goes, if that is asked for.
    pub(crate) presence: Option<Reconciler>,
    /// Remembers publishes, if that is asked for.
    pub(crate) repeats: Option<Repeats>,
    /// What clients may hold, and what they hold.
    pub(crate) budgets: Budgets,
    /// The cookie's names on connections without and with TLS.
    cookie_names: [Vec<String>; 2],
}

/// Where a hub's metadata document lies (RFC 9728, section 3.1).
pub(crate) const METADATA_PATH: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

const HUB_METHODS: &str = "GET, HEAD, QUERY, POST, OPTIONS";
const METADATA_METHODS: &str = "GET, HEAD, OPTIONS";
const SUBSCRIPTIONS_METHODS: &str = "GET, HEAD, OPTIONS";

impl Hub {
    /// A hub on a transport. The transport must not have been started.
    pub fn new(options: HubOptions, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        let base = Arc::new(options.base.clone());
        let head = transport.bounds().head;
        let router = Arc::new(Router::new(
            Arc::clone(transport.ring()),
            Arc::clone(&base),
            LANE_POSITIONS,
            head,
        ));
        transport.start(Arc::clone(&router) as _);
        let presence = options.subscriptions.then(|| {
            let (transport, router) = (Arc::clone(&transport), Arc::clone(&router));
            Reconciler::new(options.presence.clone(), transport, router)
        });
        Self(Arc::new(Shared {
            verifier: Verifier::new(
                options.issuers.clone(),
                options.base.clone(),
                options.limits.clone(),
            )
            .from_generation(options.rule.oldest())
            .with_max_lifetime(options.max_token_lifetime),
            cors: options.cors_origins.clone().map(Cors::new),
            cookie_names: [false, true].map(|tls| all_cookie_names(&options, tls)),
            base,
            transport,
            router,
            drain: Arc::default(),
            presence,
            repeats: options.repeat_window.map(Repeats::new),
            budgets: Budgets::new(&options.budgets),
            clock,
            options,
        }))
    }

    /// The hub as an axum router, for its own paths.
    pub fn router(&self) -> AxumRouter {
        let hub = self.clone();
        let answer = any(move |request: Request<Body>| {
            let hub = hub.clone();
            async move { hub.handle(request).await }
        });
        AxumRouter::new()
            .route(HUB_PATH, answer.clone())
            .route(&format!("{HUB_PATH}/"), answer.clone())
            .route(&format!("{HUB_PATH}/{{*below}}"), answer.clone())
            .route(METADATA_PATH, answer)
    }

    /// Whether a path belongs to the hub (B-084).
    pub fn owns(path: &str) -> bool {
        path.starts_with(HUB_PATH) || path == METADATA_PATH
    }

    /// Ends every stream at a random moment of the window and refuses new ones (B-1022). Appends
    /// in flight are answered.
    pub fn drain(&self, window: Duration) {
        self.0.drain.begin(self.0.clock.now(), window);
        self.0.router.ring_all();
    }

    /// Whether no request is under way and no stream is open.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0.drain) == 1
    }

    /// What clients hold at this moment of what [`HubOptions::budgets`] bounds.
    pub fn used(&self) -> Used {
        self.0.budgets.used()
    }

    /// Whether updates can be stored.
    pub fn health(&self) -> Health {
        self.0.transport.health()
    }

    /// Returns once the lock was to be had that every update and every subscriber needs, which takes
    /// microseconds; a hub that is stuck never returns. For watchdogs.
    pub fn probe(&self) {
        self.0.router.probe();
    }

    /// Answers a request for one of the hub's paths.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let _under_way = Arc::clone(&self.0.drain);
        let (parts, mut body) = request.into_parts();
        let cors = self.0.cors.as_ref();
        let from = parts.extensions.get::<Connection>();
        if cors.is_none() {
            cors::log_preflight(&parts.method, &parts.headers, from);
        }
        let preflight = cors.and_then(|cors| cors.preflight(&parts.method, &parts.headers, from));
        let mut response = match preflight {
            Some(preflight) => preflight.map(|()| Body::empty()),
            None => {
                let request = Incoming {
                    presented: self.0.present(&parts),
                    parts: &parts,
                    rule: self.0.options.rule,
                };
                let outcome = self.dispatch(&request, &mut body).await;
                if outcome.is_err() {
                    discard(&mut body, &parts.headers).await;
                }
                let mut response = outcome.unwrap_or_else(|refused| {
                    refused.log(&parts);
                    let metadata_url = self.0.metadata_url(&parts);
                    refused.into_response(request.answers(), metadata_url.as_deref())
                });
                if let Some(cors) = cors {
                    cors.decorate(parts.headers.get(ORIGIN), response.headers_mut());
                }
                response
            }
        };
        respond::protect(response.headers_mut());
        response
    }

    /// The answer to a subscription for which a listener has no room: a stream that says `why`, ends and is
    /// reopened by the browser, which gives up for good at any other status. `None` for a request that is not
    /// that of an `EventSource`.
    pub fn subscribe_later(
        &self,
        method: &Method,
        headers: &HeaderMap,
        why: &str,
    ) -> Option<Response<Body>> {
        if method != Method::GET || accept::event_stream(headers) != EventStream::Asked {
            return None;
        }
        let mut response = respond::event_stream(Body::from(respond::come_back(why)));
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
        hub.check_public_origin(parts)?;
        match (parts.uri.path(), &parts.method) {
            (HUB_PATH, &Method::GET | &Method::HEAD | &Method::QUERY) => {
                subscribe::subscribe(hub, request, body).await
            }
            (HUB_PATH, &Method::POST) => {
                let mut published = publish::publish(hub, request, body).await?;
                respond::forbid_storing(published.headers_mut());
                Ok(published)
            }
            (HUB_PATH, &Method::OPTIONS) => Ok(respond::allowed(HUB_METHODS)),
            (HUB_PATH, method) => Err(Refused::Method(method.clone(), HUB_METHODS)),
            (METADATA_PATH, &Method::GET | &Method::HEAD) => metadata::document(hub, parts),
            (METADATA_PATH, &Method::OPTIONS) => Ok(respond::allowed(METADATA_METHODS)),
            (METADATA_PATH, method) => Err(Refused::Method(method.clone(), METADATA_METHODS)),
            (path, method) if hub.presence.is_some() && subscriptions::owns(path) => {
                match *method {
                    Method::GET | Method::HEAD => subscriptions::answer(hub, request).await,
                    Method::OPTIONS => Ok(respond::allowed(SUBSCRIPTIONS_METHODS)),
                    _ => Err(Refused::Method(method.clone(), SUBSCRIPTIONS_METHODS)),
                }
            }
            (path, _) => Err(Refused::NotFound(path.to_owned())),
        }
    }
}

/// A request and the token that it presents.
pub(crate) struct Incoming<'a> {
    pub(crate) parts: &'a Parts,
    presented: Result<Option<Presented>, PresentationError>,
    rule: Rule,
}

impl Incoming<'_> {
    /// The token, if one is presented.
    pub(crate) fn presented(&self) -> Result<Option<&Presented>, Refused> {
        match &self.presented {
            Ok(presented) => Ok(presented.as_ref()),
            Err(error) => Err(Refused::Presentation(*error)),
        }
    }

    /// The generation in which it is answered. Asked for only where the two differ: it may read
    /// the token, which the verifier reads too.
    pub(crate) fn answers(&self) -> Generation {
        let presented = self.presented.as_ref().ok().and_then(Option::as_ref);
        rule::answers(self.rule, self.parts, presented)
    }
}

fn all_cookie_names(options: &HubOptions, tls: bool) -> Vec<String> {
    let mut names = cookie_names(&options.cookie_name, tls);
    if options.rule.oldest() == Generation::V0 {
        names.push(OLDER_COOKIE.to_owned());
    }
    names
}

impl Shared {
    fn present(&self, parts: &Parts) -> Result<Option<Presented>, PresentationError> {
        let names = &self.cookie_names[usize::from(is_tls(parts))];
        let query = match self.options.rule.oldest() {
            Generation::V0 => parts.uri.query(),
            Generation::V1 => None,
        };
        present(&parts.headers, query, names)
    }

    /// Scheme and authority of a request (B-420).
    pub(crate) fn origin(parts: &Parts) -> Option<(&'static str, Authority<'_>)> {
        let host = host_of(parts).ok().flatten()?;
        Some((if is_tls(parts) { "https" } else { "http" }, host))
    }

    /// Whether the hub's public URL is one of HTTPS, be it that a proxy takes TLS off in front.
    pub(crate) fn is_https_only(&self) -> bool {
        let is_https = |url: &str| url.starts_with("https://");
        let public = &self.options.public_origins;
        match &self.options.resource_identifier {
            Some(pinned) => is_https(pinned),
            None => !public.is_empty() && public.iter().all(|origin| is_https(origin)),
        }
    }

    /// What a token's `aud` must contain (specification, "Token Validation").
    ///
    /// # Errors
    /// Nothing is pinned, and the request does not name a host to derive it from.
    pub(crate) fn audience(&self, parts: &Parts) -> Result<String, HostError> {
        let own = self.own_audiences(parts);
        own.into_iter().next().ok_or(HostError::Missing)
    }

    /// The hub's own URLs: the pinned one, else those of the request, which are its site address as
    /// the client wrote it and in its one form. A client that names another port of a site does not
    /// choose the hub's identity by it.
    fn own_audiences(&self, parts: &Parts) -> Vec<String> {
        if let Some(pinned) = &self.options.resource_identifier {
            return vec![pinned.clone()];
        }
        let Some((scheme, authority)) = Self::origin(parts) else {
            return Vec::new();
        };
        let own = authority.origin(scheme);
        let url = |origin: &str| format!("{origin}{HUB_PATH}");
        let site = parts.extensions.get::<SiteOrigin>();
        // `public_urls` lists all that a request can name here.
        if let Some(SiteOrigin(site)) = site.filter(|_| self.options.public_origins.is_empty())
            && **site != *own
        {
            // Quick starts of both generations name the default port, from which a container's is
            // published; and this rule takes tokens that name no hub at all.
            let default = host::origin(scheme, &authority.host(), None);
            let is_usual = self.options.rule == Rule::Classic && own == default;
            if !is_usual {
                return vec![url(site)];
            }
        }
        let mut urls = vec![url(&format!("{scheme}://{}", authority.as_str()))];
        let own = url(&own);
        if !urls.contains(&own) {
            urls.push(own);
        }
        urls
    }

    /// All that a token's `aud` may contain one of.
    pub(crate) fn audiences(&self, parts: &Parts) -> Vec<String> {
        let mut audiences = self.own_audiences(parts);
        for more in &self.options.accepted_audiences {
            if !audiences.contains(more) {
                audiences.push(more.clone());
            }
        }
        audiences
    }

    /// What a presented token allows.
    pub(crate) async fn verify(
        &self,
        parts: &Parts,
        presented: &Presented,
        role: Role,
    ) -> Result<Access, Refused> {
        let audiences = self.audiences(parts);
        let verdict = self
            .verifier
            .verify_or_refresh(&presented.token, role, &audiences, &*self.clock)
            .await;
        if verdict
            .as_ref()
            .is_ok_and(|access| access.ignores_older_claim)
        {
            rule::log_ignored_claim(parts);
        }
        verdict.map_err(Refused::Token)
    }

    /// B-421: the origin as received must be a public one.
    fn check_public_origin(&self, parts: &Parts) -> Result<(), Refused> {
        let public = &self.options.public_origins;
        if public.is_empty() {
            return Ok(());
        }
        let origin = Self::origin(parts);
        let received = origin.map_or_else(String::new, |(scheme, host)| {
            format!("{scheme}://{}", host.as_str().to_ascii_lowercase())
        });
        if public.contains(&received) {
            return Ok(());
        }
        Err(Refused::Misdirected {
            received,
            accepted: public.join(" "),
        })
    }

    /// Where the metadata document lies: on the identifier's origin (B-423).
    fn metadata_url(&self, parts: &Parts) -> Option<String> {
        let origin = match &self.options.resource_identifier {
            Some(pinned) => url::Url::parse(pinned).ok()?.origin().ascii_serialization(),
            None => {
                let (scheme, host) = Self::origin(parts)?;
                format!("{scheme}://{}", host.as_str())
            }
        };
        Some(format!("{origin}{METADATA_PATH}"))
    }
}

fn is_tls(parts: &Parts) -> bool {
    parts
        .extensions
        .get::<Connection>()
        .is_some_and(|connection| connection.tls)
}
