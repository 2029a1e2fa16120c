//! What the admin listener answers (B-096).

use axum::body::Body;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use talaria_config::{Error, File};

use super::guard::{Guard, Refusal};
use super::received::{refusal, whole};
use super::{answer, document, health, operations, pki, revocations};
use crate::serve::control::{Control, Reloaded};
use crate::serve::counts::refuse_request;
use crate::serve::log::in_one_line;
use crate::serve::metrics::Metrics;

/// The field in which `talaria reload` names the file, percent-encoded: its imports begin at the file's folder.
pub(crate) const FILE: &str = "talaria-file";
/// What answers the requests of a socket.
pub(super) struct Endpoints {
    /// The running program.
    pub control: Control,
    /// What it counts.
    pub metrics: Metrics,
    /// Who may ask.
    pub guard: Guard,
}

impl Endpoints {
    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let origin = match self.guard.check(&parts) {
            Ok(origin) => origin,
            Err(refusal) => {
                tracing::info!(
                    name: "admin_refused",
                    reason = "admin_guard",
                    status = refusal.status.as_u16(),
                    "admin request refused: {}",
                    refusal.sentence
                );
                refuse_request("admin_guard", refusal.status, || refusal.sentence.clone());
                self.count(&parts, refusal.status);
                return answer::error(refusal.status, &refusal.sentence);
            }
        };
        let mut response = match (&origin, &parts.method) {
            (Some(_), &Method::OPTIONS) => preflight(),
            _ => self.dispatch(&parts, Body::new(body)).await,
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        self.count(&parts, response.status());
        response
    }

    fn count(&self, parts: &Parts, status: StatusCode) {
        let path = parts.uri.path();
        let is_revocation =
            !path.starts_with(health::PREFIX) && revocations::hub_of(path).is_some();
        // The name of a hub is left out, because clients choose it.
        let path = if is_revocation {
            revocations::PATH
        } else {
            path
        };
        self.metrics.admin().count(path, &parts.method, status);
    }

    async fn dispatch(&self, parts: &Parts, body: Body) -> Response<Body> {
        let path = parts.uri.path();
        let method = &parts.method;
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if let Some(below) = path.strip_prefix(health::PREFIX) {
            return health::health(method, below, &self.control);
        }
        if let Some(name) = revocations::hub_of(path) {
            return revocations::answer(method, name, &parts.headers, body, &self.control).await;
        }
        match path {
            "/metrics" if reads => {
                let mut page = self.metrics.answer(&parts.headers, true).await;
                let no_store = HeaderValue::from_static("no-store");
                page.headers_mut().insert(CACHE_CONTROL, no_store);
                page
            }
            pki::PATH | pki::CERTIFICATES if reads => {
                let as_chain = path == pki::CERTIFICATES;
                let read = tokio::task::spawn_blocking(move || pki::authority(as_chain)).await;
                read.unwrap_or_else(|_| answer::empty(StatusCode::INTERNAL_SERVER_ERROR))
            }
            "/metrics" | pki::PATH | pki::CERTIFICATES => answer::method("GET, HEAD"),
            "/" if reads => answer::redirect(operations::PAGE),
            path if operations::owns(path) && reads => operations::answer(path, &self.control),
            path if operations::owns(path) => answer::method("GET, HEAD"),
            "/load" if *method == Method::POST => self.load(&parts.headers, body).await,
            "/adapt" if *method == Method::POST => self.adapt(&parts.headers, body).await,
            "/stop" if *method == Method::POST => self.stop().await,
            "/load" | "/adapt" | "/stop" => answer::method("POST"),
            _ => match path.strip_prefix("/config") {
                Some("") => self.config("", reads),
                Some(below) if below.starts_with('/') => self.config(below, reads),
                _ => answer::error(StatusCode::NOT_FOUND, instead(path)),
            },
        }
    }

    /// Puts a configuration in force (B-013). `Cache-Control: must-revalidate` forces that.
    async fn load(&self, headers: &HeaderMap, body: Body) -> Response<Body> {
        let file = match file(headers, body).await {
            Ok(file) => file,
            Err(refusal) => return answer::error(refusal.status, &refusal.sentence),
        };
        let caching = headers
            .get(CACHE_CONTROL)
            .and_then(|value| value.to_str().ok());
        let forces = caching.is_some_and(|caching| caching.contains("must-revalidate"));
        match self.control.load(file, forces).await {
            Ok(Reloaded::InForce) => {
                tracing::info!(name: "config_loaded", "a configuration was loaded by the admin listener");
                answer::empty(StatusCode::OK)
            }
            Ok(Reloaded::Unchanged) => {
                tracing::info!(name: "config_unchanged", "the configuration is unchanged");
                answer::empty(StatusCode::OK)
            }
            Err(error) => {
                let error_line = in_one_line(&error);
                tracing::error!(
                    name: "config_rejected",
                    error = error_line,
                    "the configuration was not loaded; the old one stays"
                );
                answer::error(StatusCode::BAD_REQUEST, &error.to_string())
            }
        }
    }

    /// The tree of a configuration (B-015).
    async fn adapt(&self, headers: &HeaderMap, body: Body) -> Response<Body> {
        let file = match file(headers, body).await {
            Ok(file) => file,
            Err(refusal) => return answer::error(refusal.status, &refusal.sentence),
        };
        match self.control.adapt(file).await {
            Ok(adapted) => {
                let result = document::to_json(&adapted.redacted());
                answer::json(StatusCode::OK, &json!({ "result": result }))
            }
            Err(error) => answer::error(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    async fn stop(&self) -> Response<Body> {
        tracing::info!(name: "stop_requested", "told to stop by the admin listener");
        match self.control.stop().await {
            Ok(()) => answer::empty(StatusCode::OK),
            Err(error) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// The configuration in force, or a part of it, without secrets.
    fn config(&self, below: &str, reads: bool) -> Response<Body> {
        if !reads {
            let sentence = "the configuration is changed as a whole: edit the file and run `talaria reload`, or POST it to /load as text/caddyfile";
            return answer::error(StatusCode::METHOD_NOT_ALLOWED, sentence);
        }
        let Some(source) = self.control.source() else {
            return answer::json(StatusCode::OK, &Value::Null);
        };
        let whole = match &source.adapted {
            Some(adapted) => document::to_json(&adapted.redacted()),
            None => Value::Null,
        };
        let below = below.trim_end_matches('/');
        match whole.pointer(below) {
            Some(part) => answer::json(StatusCode::OK, part),
            None => answer::error(
                StatusCode::NOT_FOUND,
                "the configuration has no such part; GET /config/ shows all of it",
            ),
        }
    }
}

/// The file that the body holds.
///
/// # Errors
/// Why it is refused.
async fn file(headers: &HeaderMap, body: Body) -> Result<File, Refusal> {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = field(CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_json = kind.ends_with("json");
    if !is_json && !kind.eq_ignore_ascii_case("text/caddyfile") {
        return Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send a Caddyfile with `Content-Type: text/caddyfile`",
        ));
    }
    let length = field(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    let bytes = whole(body, length).await?;
    let wrong = |error: Error| refusal(StatusCode::BAD_REQUEST, &error.to_string());
    let text = match is_json {
        true => serde_json::from_slice(&bytes)
            .map_err(|error| Error::new("the body is not JSON").caused_by(error))
            .and_then(|value| document::from_json(&value))
            .and_then(|adapted| adapted.to_text())
            .map_err(wrong)?,
        false => match std::str::from_utf8(&bytes) {
            Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
            Err(_) => return Err(wrong(Error::new("the body is not UTF-8 text"))),
        },
    };
    let name = field(FILE).map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
    let name = name.filter(|name| name.starts_with('/') && !is_json);
    Ok(File {
        name: name.unwrap_or_else(|| "Caddyfile".to_owned()),
        text,
    })
}

fn preflight() -> Response<Body> {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, POST"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Cache-Control, Content-Type"),
    );
    response
}

/// What to use instead of an endpoint of the existing server that this program does not have.
fn instead(path: &str) -> &'static str {
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "id" => "parts of the configuration have no ids; GET /config/ shows the whole",
        "debug" => {
            "there are no profiles here; /metrics says what the program holds, and RUST_LOG=debug what it does"
        }
        "pki" => "there is only the local authority; GET /pki/ca/local",
        "reverse_proxy" => "the state of upstreams is in the log",
        "mercure" => "there are /mercure/health/ready, /mercure/health/live and /mercure/revoke",
        _ => {
            "there are /mercure/health/ready, /mercure/health/live, /mercure/revoke, /operations/, /metrics, /config/, /load, /adapt, /stop and /pki/ca/local"
        }
    }
}
