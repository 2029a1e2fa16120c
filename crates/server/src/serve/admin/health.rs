//! The health endpoints (B-730 to B-737).

use axum::body::Body;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;
use talaria_transport::Health;

use super::answer;
use crate::serve::control::{Control, ServedHub};

/// What begins the paths.
pub(super) const PREFIX: &str = "/mercure/health/";

/// Answers a request for a path behind [`PREFIX`].
pub(super) fn health(method: &Method, below: &str, control: &Control) -> Response<Body> {
    let hubs = control.hubs();
    let below = below.strip_suffix('/').unwrap_or(below);
    let (name, probe) = match below.rsplit_once('/') {
        Some((name, probe)) => (Some(name), probe),
        None => (None, below),
    };
    let is_ready = match probe {
        "ready" => true,
        "live" => false,
        _ => return missing("there are `ready` and `live` below /mercure/health/"),
    };
    let asked: Vec<&ServedHub> = match name {
        None => hubs.iter().collect(),
        Some(name) => {
            let name = percent_decode_str(name).decode_utf8_lossy();
            hubs.iter().filter(|hub| hub.name == name).collect()
        }
    };
    if name.is_some() && asked.is_empty() {
        return missing("no hub has this name");
    }
    // A checker may ask without wanting the answer's body.
    if !matches!(*method, Method::GET | Method::HEAD) {
        return answer::method("GET, HEAD");
    }
    if is_ready && control.is_stopping() {
        return unavailable("the hub is stopping");
    }
    // A hub whose disk is full will work again when there is room, so that a restart would not help.
    let refuses = |hub: &&&ServedHub| is_ready && matches!(hub.hub.health(), Health::Refusing(_));
    match asked.iter().find(refuses) {
        Some(hub) => {
            if let Health::Refusing(reason) = hub.hub.health() {
                tracing::debug!(hub = hub.name, reason, "not ready");
            }
            unavailable("transport health check failed")
        }
        None => answer::json(StatusCode::OK, &json!({ "status": "ok" })),
    }
}

fn unavailable(why: &str) -> Response<Body> {
    let value = json!({ "status": "error", "error": why });
    answer::json(StatusCode::SERVICE_UNAVAILABLE, &value)
}

fn missing(sentence: &str) -> Response<Body> {
    answer::error(StatusCode::NOT_FOUND, sentence)
}
