//! The site around the hub: which hosts it answers for, its routes, and its fixed pages (B-083).

mod access;
mod body;
mod exchange;
mod fields;
mod fixed;
mod matching;
mod plan;
mod target;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use talaria_config::Error;
use talaria_config::settings::{AccessLogSettings, Routes};
use talaria_hub::{
    Authority, Connection, Hub, Sender, SiteOrigin, forbid_storing, host_of, origin_of, plain,
    refusal,
};
use talaria_protocol::error::Shown;
use talaria_transport::Health;
use tokio_util::sync::CancellationToken;

use self::access::AccessLog;
use self::exchange::{AskHub, Exchange};
use self::plan::{Step, plan};
use crate::serve::proxies::Proxies;

/// The path that says whether the hub can store updates.
pub(crate) const HEALTH_PATH: &str = "/healthz";
const WELCOME: &str = include_str!("site/welcome.html");
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The host names that a listener answers for; all of them if none is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    names: BTreeSet<String>,
    any: bool,
    /// The HTTPS port to which requests for other hosts are redirected (B-062).
    https: Option<u16>,
    /// The port of the listener, and whether it speaks HTTPS.
    port: u16,
    tls: bool,
}

impl Hosts {
    /// Adds a name, without port; `None` stands for every host.
    pub(crate) fn add(&mut self, host: Option<&str>) {
        match host {
            Some(host) => _ = self.names.insert(host.to_ascii_lowercase()),
            None => self.any = true,
        }
    }

    /// Whether no host is served.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.any
    }

    /// Redirects requests for other hosts to HTTPS on this port.
    pub(crate) fn redirect_others_to(&mut self, port: u16) {
        self.https = Some(port);
    }

    /// Sets the port of the listener, once the system has chosen it, and whether it speaks HTTPS.
    pub(crate) fn listen_on(&mut self, port: u16, tls: bool) {
        self.port = port;
        self.tls = tls;
    }

    /// Whether requests for this host are answered; `None` stands for a request that names no host.
    fn serve(&self, host: Option<&str>) -> bool {
        self.any || host.is_some_and(|host| self.names.contains(host))
    }

    /// The origin of the site address that a request was sent to; `None` if every host is served. `tls` says
    /// whether the client used HTTPS. A proxy that does TLS maps the HTTPS port to that of this listener.
    fn origin(&self, authority: Authority<'_>, tls: bool) -> Option<SiteOrigin> {
        if self.any {
            return None;
        }
        let is_own = tls == self.tls || authority.port() == Some(self.port);
        let scheme = if tls { "https" } else { "http" };
        let port = Some(self.port).filter(|_| is_own);
        let origin = origin_of(scheme, &authority.host(), port);
        Some(SiteOrigin(origin.into()))
    }
}

/// A hub and the pages around it.
#[derive(Clone)]
pub(crate) struct Site {
    hub: Hub,
    proxies: Proxies,
    hosts: Arc<Hosts>,
    steps: Arc<Vec<Step>>,
    log: AccessLog,
}

impl Site {
    /// A site for every host, behind these proxies, which logs requests to `log`.
    ///
    /// # Errors
    /// As [`plan`], and a file of the log cannot be opened.
    pub(crate) fn new(
        hub: Hub,
        proxies: Proxies,
        routes: Routes,
        log: &AccessLogSettings,
        stopping: &CancellationToken,
    ) -> Result<Self, Error> {
        let hosts = Hosts {
            any: true,
            ..Hosts::default()
        };
        Ok(Self {
            hub,
            proxies,
            hosts: Arc::new(hosts),
            steps: Arc::new(plan(routes.0, stopping)?),
            log: AccessLog::open(log)?,
        })
    }

    /// The same site for the hosts of a listener.
    pub(crate) fn for_hosts(&self, hosts: Hosts) -> Self {
        Self {
            hosts: Arc::new(hosts),
            ..self.clone()
        }
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
                tracing::info!(
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
        let name = host.map(|host| host.host());
        if !self.hosts.serve(name.as_deref()) {
            return match (name, self.hosts.https) {
                (Some(name), Some(port)) => redirect(&name, port, &parts.uri),
                (name, _) => {
                    let sender = self.sender(&parts);
                    self.misdirected(name.as_deref().unwrap_or_default(), sender)
                }
            };
        }
        let connection = self.proxies.connection(&parts);
        let entry = self.log.begin(&parts, connection.as_ref());
        let peer = connection.and_then(|connection| connection.peer);
        let is_of_proxy = peer.is_some_and(|peer| self.proxies.contain(peer.ip()));
        let mut exchange = Exchange::new(parts, body, connection, is_of_proxy);
        let answer = match exchange.pass(&self.steps, self).await {
            Some(answer) => answer,
            None => page(exchange.parts.uri.path()),
        };
        let answer = exchange.finish(answer).await;
        if let Some(entry) = entry.filter(|_| !exchange.skips_log) {
            self.log.write(&entry, answer.status());
        }
        answer
    }

    /// The answer to a browser's subscription while there is no room ([`Hub::subscribe_later`]).
    pub(crate) fn subscribe_later(
        &self,
        method: &Method,
        headers: &HeaderMap,
        why: &str,
    ) -> Option<Response<Body>> {
        self.hub.subscribe_later(method, headers, why)
    }

    /// Tells the hub how the client asked, and by which of the site's addresses.
    fn identify(&self, parts: &mut Parts) {
        // The operator trusts the proxy that names this host, so it needs no check.
        if self.proxies.restore(parts) {
            return;
        }
        let connection = parts.extensions.get::<Connection>();
        let tls = connection.is_some_and(|connection| connection.tls);
        let host = host_of(parts).ok().flatten();
        if let Some(origin) = host.and_then(|host| self.hosts.origin(host, tls)) {
            parts.extensions.insert(origin);
        }
    }

    fn sender(&self, parts: &Parts) -> Sender {
        Sender::of(self.proxies.connection(parts).as_ref())
    }

    fn health(&self) -> Response<Body> {
        let mut response = match self.hub.health() {
            Health::Ready => plain(StatusCode::OK, ""),
            Health::Refusing(reason) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"))
            }
        };
        forbid_storing(response.headers_mut());
        response
    }

    /// Refuses a request for a host that is not served with 421, because a publisher that only looks for 200
    /// must not lose its update unnoticed (B-063).
    fn misdirected(&self, host: &str, sender: Sender) -> Response<Body> {
        let Sender { peer, client } = sender;
        let served = self
            .hosts
            .names
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let received = Shown(host);
        tracing::info!(
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

impl AskHub for Site {
    async fn ask(&self, exchange: &mut Exchange) -> Option<Response<Body>> {
        if !Hub::owns(exchange.parts.uri.path()) {
            return None;
        }
        let (mut parts, body) = exchange.take().into_parts();
        self.identify(&mut parts);
        Some(self.hub.handle(Request::from_parts(parts, body)).await)
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
    use super::*;

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
        let mut hosts = Hosts::default();
        hosts.add(Some("Hub.Example"));
        hosts.add(Some("[::1]"));
        let serves = |text: &str| hosts.serve(Some(&Authority::parse(text).unwrap().host()));
        for host in [
            "hub.example",
            "HUB.example:3000",
            "[::1]:80",
            "[0:0:0:0:0:0:0:1]",
            "[::1%25lo]:80",
        ] {
            assert!(serves(host), "{host}");
        }
        for host in ["[::2]", "example", "hub.example."] {
            assert!(!serves(host), "{host}");
        }
        assert!(!hosts.serve(None));
    }

    /// The identity of a site is its own address, whatever port a client names; a proxy that does TLS maps one
    /// port.
    #[test]
    fn the_origin_of_a_site_is_its_own() {
        let mut hosts = Hosts::default();
        hosts.add(Some("hub.example"));
        hosts.listen_on(3000, false);
        let of = |hosts: &Hosts, text, tls| {
            let origin = hosts.origin(Authority::parse(text).unwrap(), tls);
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
            assert_eq!(of(&hosts, sent, tls).as_deref(), Some(origin), "{sent}");
        }
        hosts.add(None);
        assert_eq!(of(&hosts, "hub.example", false), None);
    }
}
