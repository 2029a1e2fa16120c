//! Which site of a listener answers: by the host that a request names. Also what no site has a part in: health, and
//! requests for hosts that are not served.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::header::{CONNECTION, HOST, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use talaria_hub::{
    Authority, Hub, Sender, SiteOrigin, forbid_storing, host_of, origin_of, plain, refusal,
};
use talaria_protocol::error::Shown;
use talaria_transport::Health;

use crate::serve::counts::refuse_request;
use crate::serve::metrics::Web;
use crate::serve::proxies::Proxies;
use crate::serve::site::Site;
use crate::serve::tls::Challenges;

/// The path that says whether the hub can store updates.
pub(crate) const HEALTH_PATH: &str = "/healthz";

/// The sites of a listener.
#[derive(Clone)]
pub(crate) struct Sites {
    /// By host, in lower case.
    named: BTreeMap<String, Site>,
    /// By what follows the one label that `*.` stands for.
    wildcards: BTreeMap<String, Site>,
    /// The site of all other hosts.
    any: Option<Site>,
    /// The HTTPS ports to which requests for other hosts are redirected (B-062).
    redirects: Option<Redirects>,
    /// The port of the listener, and whether it speaks HTTPS.
    port: u16,
    tls: bool,
    /// Every hub of the program, whose health is one.
    hubs: Arc<[Hub]>,
    proxies: Proxies,
    /// What authorities ask that check a name.
    challenges: Challenges,
    web: Web,
    /// The name of the listener in metrics.
    server: Arc<str>,
}

/// The HTTPS ports of hosts.
#[derive(Debug, Clone)]
pub(crate) struct Redirects {
    /// By host.
    pub ports: BTreeMap<String, u16>,
    /// That of all other hosts.
    pub other: u16,
}

impl Sites {
    /// A listener without a site.
    pub(crate) fn new(proxies: Proxies, challenges: Challenges, web: Web, tls: bool) -> Self {
        Self {
            named: BTreeMap::new(),
            wildcards: BTreeMap::new(),
            any: None,
            redirects: None,
            port: 0,
            tls,
            hubs: Arc::new([]),
            proxies,
            challenges,
            web,
            server: Arc::default(),
        }
    }

    /// Adds a site for a host, without port; `None` stands for every other host.
    pub(crate) fn add(&mut self, host: Option<&str>, site: Site) {
        let host = host.map(str::to_ascii_lowercase);
        match host.as_deref() {
            Some(host) => match host.strip_prefix("*.") {
                Some(rest) => _ = self.wildcards.insert(rest.to_owned(), site),
                None => _ = self.named.insert(host.to_owned(), site),
            },
            None => self.any = Some(site),
        }
    }

    /// Sets its place among the listeners, by which metrics name it.
    pub(crate) fn name_by(&mut self, place: usize) {
        self.server = format!("srv{place}").into();
    }

    /// Whether no host is served.
    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.wildcards.is_empty() && self.any.is_none()
    }

    /// Whether the listener speaks HTTPS.
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// Redirects requests for other hosts to HTTPS.
    pub(crate) fn redirect_others(&mut self, redirects: Redirects) {
        self.redirects = Some(redirects);
    }

    /// Gives it the hubs of the program, which its sites ask by their place.
    pub(crate) fn ask(&mut self, hubs: Arc<[Hub]>) {
        self.hubs = hubs;
    }

    /// Sets the port of the listener, once the system has chosen it.
    pub(crate) fn listen_on(&mut self, port: u16) {
        self.port = port;
    }

    /// The site of a host; `None` stands for a request that names no host.
    fn of(&self, host: Option<&str>) -> Option<&Site> {
        let named = host.and_then(|host| {
            let below = host.split_once('.').map(|(_, below)| below);
            let wildcard = below.and_then(|below| self.wildcards.get(below));
            self.named.get(host).or(wildcard)
        });
        named.or(self.any.as_ref())
    }

    /// The host of the configuration that a request names; empty for that of a site that takes every host.
    fn host_of(&self, host: Option<&str>) -> Arc<str> {
        let host = host.unwrap_or_default();
        let below = host.split_once('.').map_or("", |(_, below)| below);
        if self.named.contains_key(host) {
            return host.into();
        }
        match self.wildcards.contains_key(below) {
            true => format!("*.{below}").into(),
            false => Arc::default(),
        }
    }

    /// The origin of the site address that a request was sent to; `None` if its site takes every host. `tls` says
    /// whether the client used HTTPS. A proxy that does TLS maps the HTTPS port to that of this listener.
    fn origin(&self, site: &Site, authority: Authority<'_>, tls: bool) -> Option<SiteOrigin> {
        if self.any.as_ref().is_some_and(|any| any.is_same(site)) {
            return None;
        }
        let is_own = tls == self.tls || authority.port() == Some(self.port);
        let scheme = if tls { "https" } else { "http" };
        let port = Some(self.port).filter(|_| is_own);
        let origin = origin_of(scheme, &authority.host(), port);
        Some(SiteOrigin(origin.into()))
    }

    /// Answers any request.
    ///
    /// `/healthz` says whether updates can be stored, whatever host the request names, and also on the port of
    /// the redirects: an orchestrator asks by a pod's address, and restarts a hub that answers 400 or 421. Only
    /// a malformed `:authority` of HTTP/2 is refused before this, because the stream cannot be read further
    /// (B-656).
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let host = match host_of(&parts) {
            Ok(host) => host,
            // Some orchestrators send an empty name, or none.
            Err(_) if parts.uri.path() == HEALTH_PATH => return self.health(),
            Err(error) => {
                let Sender { peer, client } = self.sender(&parts);
                refuse_request(error.code(), StatusCode::BAD_REQUEST, || error.to_string());
                tracing::info!(
                    name: "request_refused",
                    reason = error.code(),
                    status = 400,
                    peer,
                    client,
                    "request refused: {error}"
                );
                return refusal(StatusCode::BAD_REQUEST, &error.to_string());
            }
        };
        if parts.uri.path() == HEALTH_PATH {
            return self.health();
        }
        if let Some(answer) = self.challenges.answer(&parts) {
            return answer;
        }
        let name = host.map(|host| host.host());
        let Some(site) = self.of(name.as_deref()) else {
            return match (name, &self.redirects) {
                (Some(name), Some(redirects)) => {
                    let port = redirects.ports.get(&name).copied();
                    redirect(&name, port.unwrap_or(redirects.other), &parts.uri)
                }
                (name, _) => {
                    let sender = self.sender(&parts);
                    self.misdirected(name.as_deref().unwrap_or_default(), sender)
                }
            };
        };
        let origin = |authority: Authority<'_>, tls| self.origin(site, authority, tls);
        let watch = self
            .web
            .begin(&self.server, &parts, || self.host_of(name.as_deref()));
        let answer = site.answer(parts, body, &self.hubs, &origin).await;
        match watch {
            Some(watch) => watch.follow(answer),
            None => answer,
        }
    }

    /// The answer to a browser's subscription while there is no room ([`Hub::subscribe_later`]).
    pub(crate) fn subscribe_later<B>(
        &self,
        request: &Request<B>,
        why: &str,
    ) -> Option<Response<Body>> {
        let host = host_in(request.uri(), request.headers());
        let hub = self.of(host.as_deref()).and_then(Site::hub);
        let hub = self.hubs.get(hub.unwrap_or_default())?;
        hub.subscribe_later(request.method(), request.headers(), why)
    }

    fn sender(&self, parts: &Parts) -> Sender {
        Sender::of(self.proxies.connection(parts).as_ref())
    }

    fn health(&self) -> Response<Body> {
        let refusing = self.hubs.iter().find_map(|hub| match hub.health() {
            Health::Ready => None,
            Health::Refusing(reason) => Some(reason),
        });
        let mut response = match refusing {
            None => plain(StatusCode::OK, ""),
            Some(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        };
        forbid_storing(response.headers_mut());
        response
    }

    /// Refuses a request for a host that is not served with 421, because a publisher that only looks for 200
    /// must not lose its update unnoticed (B-063).
    fn misdirected(&self, host: &str, sender: Sender) -> Response<Body> {
        let Sender { peer, client } = sender;
        refuse_request("misdirected", StatusCode::MISDIRECTED_REQUEST, || {
            "no site has the host of the request; add it to the site address or SERVER_NAME"
                .to_owned()
        });
        let named = self.named.keys().cloned();
        let wildcards = self.wildcards.keys().map(|below| format!("*.{below}"));
        let served = named.chain(wildcards).collect::<Vec<_>>().join(", ");
        let received = Shown(host);
        tracing::info!(
            name: "request_misdirected",
            reason = "misdirected",
            %received,
            served,
            peer,
            client,
            "request for a host that is not served; add it to the site address or SERVER_NAME"
        );
        let sentence = format!("Host: no site for {received} here; send one of: {served}");
        refusal(StatusCode::MISDIRECTED_REQUEST, &sentence)
    }
}

/// The host that a request names, if it is well-formed.
fn host_in(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let field = || headers.get(HOST)?.to_str().ok();
    let text = uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(field)?;
    Authority::parse(text)
        .ok()
        .map(|authority| authority.host())
}

/// Redirects with 308, so that a `POST` stays one, and closes the connection (B-062).
fn redirect(host: &str, port: u16, uri: &Uri) -> Response<Body> {
    let origin = origin_of("https", host, Some(port));
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let location = HeaderValue::try_from(format!("{origin}{target}"));
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "");
    let headers = response.headers_mut();
    forbid_storing(headers);
    if let Ok(location) = location {
        headers.insert(LOCATION, location);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use talaria_config::settings::{AccessLogSettings, Routes};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::serve::control::Control;
    use crate::serve::metrics::Metrics;
    use crate::serve::site::Means;

    fn none(tls: bool) -> Sites {
        Sites::new(
            Proxies::default(),
            Challenges::default(),
            Web::default(),
            tls,
        )
    }

    fn site() -> Site {
        Site::new(
            Proxies::default(),
            Routes::of_hub(0),
            &AccessLogSettings::default(),
            Means {
                stopping: &CancellationToken::new(),
                metrics: &Metrics::new(Control::new(None).0),
                tracer: None,
                shows_credentials: false,
            },
        )
        .unwrap()
    }

    /// The redirect loses the port of the request, and keeps path and query (B-062).
    #[test]
    fn plain_requests_are_sent_to_https() {
        let to = |host, port, target: &str| {
            let response = redirect(host, port, &target.parse().unwrap());
            assert_eq!(response.status(), 308);
            assert_eq!(response.headers()[CONNECTION], "close");
            response.headers()[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(to("a", 443, "/x?y=1"), "https://a/x?y=1");
        assert_eq!(to("[::1]", 8443, "/"), "https://[::1]:8443/");
    }

    #[test]
    fn a_host_is_compared_without_port_and_case() {
        let mut sites = none(false);
        sites.add(Some("Hub.Example"), site());
        sites.add(Some("[::1]"), site());
        sites.add(Some("*.other.example"), site());
        let serves = |text: &str| {
            let host = Authority::parse(text).unwrap().host();
            sites.of(Some(&host)).is_some()
        };
        for host in [
            "hub.example",
            "HUB.example:3000",
            "[::1]:80",
            "[0:0:0:0:0:0:0:1]",
            "[::1%25lo]:80",
            "a.other.example",
        ] {
            assert!(serves(host), "{host}");
        }
        for host in [
            "[::2]",
            "example",
            "hub.example.",
            "other.example",
            "a.b.other.example",
        ] {
            assert!(!serves(host), "{host}");
        }
        assert!(sites.of(None).is_none());
    }

    /// The identity of a site is its own address, whatever port a client names; a proxy that does TLS maps one
    /// port.
    #[test]
    fn the_origin_of_a_site_is_its_own() {
        let mut sites = none(false);
        let own = site();
        sites.add(Some("hub.example"), own.clone());
        sites.listen_on(3000);
        let of = |sites: &Sites, text, tls| {
            let origin = sites.origin(&own, Authority::parse(text).unwrap(), tls);
            origin.map(|SiteOrigin(origin)| origin.to_string())
        };
        for (sent, tls, origin) in [
            ("hub.example:3000", false, "http://hub.example:3000"),
            ("HUB.example", false, "http://hub.example:3000"),
            ("hub.example:9", false, "http://hub.example:3000"),
            ("hub.example", true, "https://hub.example"),
            ("hub.example:3000", true, "https://hub.example:3000"),
            ("hub.example:9", true, "https://hub.example"),
        ] {
            assert_eq!(of(&sites, sent, tls).as_deref(), Some(origin), "{sent}");
        }
        sites.add(None, own.clone());
        assert_eq!(of(&sites, "hub.example", false), None);
    }
}
