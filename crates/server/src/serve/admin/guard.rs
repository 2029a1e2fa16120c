//! Keeps pages of the web away from the admin listener (B-097): by DNS rebinding a page may name any host, and
//! by `fetch` or a form it may send requests to this machine.

use http::header::{HOST, ORIGIN, REFERER, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use talaria_config::settings::{AdminAddress, AdminSettings};
use talaria_protocol::error::Shown;
use url::Url;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may ask.
pub(super) struct Guard {
    allowed: Vec<Allowed>,
    checks_host: bool,
    needs_origin: bool,
}

/// A host, with a port unless it is the default one, and the scheme if only one is allowed.
struct Allowed {
    scheme: Option<String>,
    host: String,
}

/// Why a request is refused.
pub(super) struct Refusal {
    /// 400 or 403.
    pub status: StatusCode,
    /// The sentence.
    pub sentence: String,
}

impl Guard {
    /// The guard of a socket on this port.
    pub(super) fn new(settings: &AdminSettings, port: Option<u16>) -> Self {
        let address = settings.address.as_ref();
        let mut allowed: Vec<Allowed> = settings
            .origins
            .iter()
            .map(|text| Allowed::of(text))
            .collect();
        if allowed.is_empty() {
            let hosts = match (address, port) {
                // A page of these names can only come from this port of this machine.
                (Some(address), Some(port)) if address.is_loopback() || address.is_everywhere() => {
                    ["localhost", "127.0.0.1", "[::1]"]
                        .iter()
                        .map(|host| format!("{host}:{port}"))
                        .collect()
                }
                (Some(AdminAddress::Tcp { host, .. }), Some(port)) if host.contains(':') => {
                    vec![format!("[{host}]:{port}")]
                }
                (Some(AdminAddress::Tcp { host, .. }), Some(port)) => {
                    vec![format!("{host}:{port}")]
                }
                _ => Vec::new(),
            };
            allowed.extend(hosts.into_iter().map(|host| Allowed { scheme: None, host }));
        }
        Self {
            allowed,
            // A page reaches no socket in the file system, and an address of all interfaces has any name.
            checks_host: port.is_some() && address.is_some_and(|address| !address.is_everywhere()),
            needs_origin: settings.enforce_origin && port.is_some(),
        }
    }

    /// Checks a request; gives the origin that may read the answer, if the request names one.
    pub(super) fn check(&self, parts: &Parts) -> Result<Option<HeaderValue>, Refusal> {
        let headers = &parts.headers;
        let refuse = |status, sentence: &str| {
            Err(Refusal {
                status,
                sentence: sentence.to_owned(),
            })
        };
        let bad = StatusCode::BAD_REQUEST;
        if headers.contains_key(UPGRADE) {
            return refuse(bad, "WebSocket and other upgrades are not allowed here");
        }
        if text(headers, &FETCH_MODE).is_some_and(|mode| mode.contains("no-cors")) {
            return refuse(bad, "requests of the mode no-cors are not allowed here");
        }
        if text(headers, &ORIGIN) == Some("null") {
            return refuse(bad, "the origin null is not allowed here");
        }
        self.check_host(parts)?;
        let origin = headers.get(ORIGIN);
        let comes_from_a_page =
            text(headers, &FETCH_SITE).is_some_and(|site| !["none", "same-origin"].contains(&site));
        if origin.is_none() && !self.needs_origin && !comes_from_a_page {
            return Ok(None);
        }
        let named = origin.or_else(|| headers.get(REFERER));
        let named = named
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if !self.allowed.iter().any(|allowed| allowed.is_origin(named)) {
            let sentence = format!(
                "the origin {} is not allowed here; add it to `origins` of the option `admin`",
                Shown(named)
            );
            return refuse(StatusCode::FORBIDDEN, &sentence);
        }
        Ok(origin.cloned())
    }

    /// The target may name a host as well as the header.
    fn check_host(&self, parts: &Parts) -> Result<(), Refusal> {
        if !self.checks_host {
            return Ok(());
        }
        let mut hosts: Vec<&str> = Vec::new();
        for value in parts.headers.get_all(HOST) {
            hosts.push(value.to_str().unwrap_or_default());
        }
        hosts.extend(parts.uri.authority().map(http::uri::Authority::as_str));
        let is_allowed = |host: &&str| self.allowed.iter().any(|allowed| allowed.is_host(host));
        if !hosts.is_empty() && hosts.iter().all(is_allowed) {
            return Ok(());
        }
        let named: Vec<&str> = self
            .allowed
            .iter()
            .map(|allowed| allowed.host.as_str())
            .collect();
        Err(Refusal {
            status: StatusCode::FORBIDDEN,
            sentence: format!(
                "the host {} is not allowed here; allowed are: {}",
                Shown(hosts.first().copied().unwrap_or_default()),
                named.join(", ")
            ),
        })
    }
}

impl Allowed {
    fn of(text: &str) -> Self {
        let text = text.trim_end_matches('/').to_ascii_lowercase();
        match text.split_once("://") {
            Some((scheme, host)) => Self {
                scheme: Some(scheme.to_owned()),
                host: host.to_owned(),
            },
            None => Self {
                scheme: None,
                host: text,
            },
        }
    }

    fn is_host(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }

    fn is_origin(&self, origin: &str) -> bool {
        let Ok(url) = Url::parse(origin) else {
            return false;
        };
        let Some(host) = url.host_str() else {
            return false;
        };
        let with_port = url.port().map(|port| format!("{host}:{port}"));
        let named = with_port.as_deref().unwrap_or(host);
        let is_scheme = self
            .scheme
            .as_deref()
            .is_none_or(|scheme| scheme == url.scheme());
        is_scheme && self.is_host(named)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn status(settings: &AdminSettings, fields: &[(&str, &str)]) -> u16 {
        status_on(Some(2019), settings, fields)
    }

    fn status_on(port: Option<u16>, settings: &AdminSettings, fields: &[(&str, &str)]) -> u16 {
        let mut request = Request::get("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match Guard::new(settings, port).check(&parts) {
            Ok(_) => 200,
            Err(refusal) => refusal.status.as_u16(),
        }
    }

    fn settings(address: &str) -> AdminSettings {
        AdminSettings {
            address: AdminAddress::parse(address).ok(),
            ..AdminSettings::default()
        }
    }

    /// Only names of the loopback interface are hosts, and only their pages may ask (B-097).
    #[test]
    fn pages_are_kept_away() {
        let host = ("host", "localhost:2019");
        let here = settings("localhost:2019");
        for (fields, expected) in [
            (&[host][..], 200),
            (&[("host", "127.0.0.1:2019")], 200),
            (&[("host", "[::1]:2019")], 200),
            (&[("host", "localhost")], 403),
            (&[("host", "evil.example:2019")], 403),
            (&[], 403),
            (&[host, ("host", "evil.example")], 403),
            (&[host, ("origin", "http://localhost:2019")], 200),
            (&[host, ("origin", "http://evil.example")], 403),
            (&[host, ("origin", "null")], 400),
            (&[host, ("upgrade", "websocket")], 400),
            (&[host, ("sec-fetch-mode", "no-cors")], 400),
            (&[host, ("sec-fetch-site", "cross-site")], 403),
            (&[host, ("sec-fetch-site", "none")], 200),
        ] {
            assert_eq!(status(&here, fields), expected, "{fields:?}");
        }
        let everywhere = settings(":2019");
        assert_eq!(status(&everywhere, &[("host", "admin.internal:2019")]), 200);
        let named = AdminSettings {
            origins: vec!["admin.example".to_owned(), "https://app.example".to_owned()],
            enforce_origin: true,
            ..here
        };
        let host = ("host", "admin.example");
        for (fields, expected) in [
            (&[host][..], 403),
            (&[host, ("origin", "http://admin.example")], 200),
            (&[host, ("origin", "https://app.example")], 200),
            (&[host, ("origin", "http://app.example")], 403),
            (&[host, ("referer", "https://app.example/page")], 200),
            (
                &[
                    ("host", "localhost:2019"),
                    ("origin", "https://app.example"),
                ],
                403,
            ),
        ] {
            assert_eq!(status(&named, fields), expected, "{fields:?}");
        }
    }

    /// With `enforce_origin` the verbs of this program, which send a referer, are answered; a socket in the file
    /// system asks for none.
    #[test]
    fn own_verbs_name_an_origin() {
        for (address, asked) in [
            ("localhost:2019", "http://localhost:2019/"),
            (":2019", "http://localhost:2019/"),
            ("192.0.2.1:2019", "http://192.0.2.1:2019/"),
        ] {
            let enforcing = AdminSettings {
                enforce_origin: true,
                ..settings(address)
            };
            let host = asked.trim_start_matches("http://").trim_end_matches('/');
            let fields = [("host", host), ("referer", asked)];
            assert_eq!(status(&enforcing, &fields), 200, "{address}");
            assert_eq!(status(&enforcing, &fields[..1]), 403, "{address}");
        }
        let socket = AdminSettings {
            enforce_origin: true,
            ..settings("unix//run/hub.sock")
        };
        assert_eq!(status_on(None, &socket, &[("host", "localhost")]), 200);
        let page = [("host", "localhost"), ("origin", "http://evil.example")];
        assert_eq!(status_on(None, &socket, &page), 403);
    }
}
