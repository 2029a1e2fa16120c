//! The site around the hub: which hosts it answers for, and its fixed pages (B-083).

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use talaria_hub::{Hub, forbid_storing, host_of, plain, refusal};
use talaria_transport::Health;

use crate::proxies::Proxies;

/// Where the hub says whether it can store updates.
pub const HEALTH_PATH: &str = "/healthz";
const WELCOME: &str = include_str!("site/welcome.html");
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The host names that a listener answers for; all of them if none is named.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: BTreeSet<String>,
    any: bool,
    /// Where requests for other hosts are sent: the port of HTTPS (B-062).
    https: Option<u16>,
}

impl Hosts {
    /// Adds a name, without port; `None` stands for every host.
    pub fn add(&mut self, host: Option<&str>) {
        match host {
            Some(host) => _ = self.names.insert(host.to_ascii_lowercase()),
            None => self.any = true,
        }
    }

    /// Whether no host is served.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.any
    }

    /// Sends requests for other hosts to HTTPS on this port.
    pub fn redirect_others_to(&mut self, port: u16) {
        self.https = Some(port);
    }

    fn serve(&self, authority: &str) -> bool {
        self.any || self.names.contains(&canonical(without_port(authority)))
    }
}

/// A host as [`Hosts`] keeps it: in lower case, an IPv6 address in its one short form, without the
/// zone, which is of the client's machine.
fn canonical(host: &str) -> String {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address = inner.and_then(|inner| inner.split('%').next()?.parse::<Ipv6Addr>().ok());
    address.map_or_else(
        || host.to_ascii_lowercase(),
        |address| format!("[{address}]"),
    )
}

/// The host of an authority; the colons of an IPv6 address are inside its brackets.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// A hub and the pages around it.
#[derive(Clone)]
pub struct Site {
    hub: Hub,
    proxies: Proxies,
    hosts: Arc<Hosts>,
}

impl Site {
    /// A site for every host, behind these proxies.
    pub fn new(hub: Hub, proxies: Proxies) -> Self {
        let hosts = Hosts {
            any: true,
            ..Hosts::default()
        };
        Self {
            hub,
            proxies,
            hosts: Arc::new(hosts),
        }
    }

    /// The same for a listener's hosts.
    pub fn for_hosts(&self, hosts: Hosts) -> Self {
        Self {
            hub: self.hub.clone(),
            proxies: self.proxies.clone(),
            hosts: Arc::new(hosts),
        }
    }

    /// Answers any request. `/healthz` says whether updates can be stored (B-656), whatever host it
    /// is asked by and on the port of the redirects too: an orchestrator asks by a pod's address, and
    /// restarts a hub that answers 421.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let host = match host_of(&parts) {
            Ok(host) => host,
            Err(error) => {
                tracing::info!(status = 400, "request refused: {error}");
                return refusal(StatusCode::BAD_REQUEST, &error.to_string());
            }
        };
        if parts.uri.path() == HEALTH_PATH {
            return self.health();
        }
        if let (false, Some(port)) = (self.hosts.serve(host), self.hosts.https)
            && !host.is_empty()
        {
            return redirect(host, port, &parts.uri);
        }
        if !self.hosts.serve(host) {
            return self.misdirected(host);
        }
        if Hub::owns(parts.uri.path()) {
            self.proxies.restore(&mut parts);
            return self.hub.handle(Request::from_parts(parts, body)).await;
        }
        match parts.uri.path() {
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

    /// A publisher that only looks for 200 must not lose its update without a word (B-063).
    fn misdirected(&self, host: &str) -> Response<Body> {
        let served = self
            .hosts
            .names
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        // A stranger may send a megabyte of it.
        let received: String = host.chars().take(64).collect();
        tracing::info!(
            received,
            served,
            "request for a host that is not served; add it to the site address or SERVER_NAME"
        );
        let sentence = format!("Host: no site for {received:?} here; send one of: {served}");
        refusal(StatusCode::MISDIRECTED_REQUEST, &sentence)
    }
}

/// 308, so that a `POST` stays one; the connection closes (B-062).
fn redirect(host: &str, port: u16, uri: &Uri) -> Response<Body> {
    let host = without_port(host);
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let location = HeaderValue::try_from(format!("https://{host}{port}{target}"));
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

    /// B-062: the port that was asked for is lost, path and query are kept.
    #[test]
    fn plain_requests_are_sent_to_https() {
        let to = |host, port, target: &str| {
            let response = redirect(host, port, &target.parse().unwrap());
            assert_eq!(response.status(), 308);
            assert_eq!(response.headers()[CONNECTION], "close");
            response.headers()[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(to("a:8080", 443, "/x?y=1"), "https://a/x?y=1");
        assert_eq!(to("[::1]:80", 8443, "/"), "https://[::1]:8443/");
    }

    #[test]
    fn a_host_is_compared_without_port_and_case() {
        let mut hosts = Hosts::default();
        hosts.add(Some("Hub.Example"));
        hosts.add(Some("[::1]"));
        assert!(hosts.serve("hub.example"));
        assert!(hosts.serve("HUB.example:3000"));
        assert!(hosts.serve("[::1]:80"));
        assert!(hosts.serve("[0:0:0:0:0:0:0:1]"));
        assert!(hosts.serve("[::1%25lo]:80"));
        assert!(!hosts.serve("[::2]"));
        assert!(!hosts.serve("example"));
        assert!(!hosts.serve(""));
    }
}
