//! Whether pages of an origin may use the hub.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method};
use talaria_config::guide::Page;

use super::examined::Examined;
use super::findings::Findings;

const SUBJECT: &str = "CORS";

/// Asks for the permissions of an origin as a browser does.
pub(super) async fn examine(hub: &Examined<'_>, origin: &str, findings: &mut Findings) {
    if is_own(hub, origin) {
        return findings.on(SUBJECT, "nothing").good(&format!(
            "pages of {origin} are of the hub's own origin, which needs no permission"
        ));
    }
    let Ok(field) = HeaderValue::from_str(origin) else {
        return findings.on(SUBJECT, "nothing").fault(
            "--origin is not an origin",
            "give for example https://app.example",
            Page::CORS,
        );
    };
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, field.clone());
    headers.insert(
        ACCESS_CONTROL_REQUEST_METHOD,
        HeaderValue::from_static("GET"),
    );
    let asked = format!(
        "OPTIONS {} with Origin: {origin} and Access-Control-Request-Method: GET",
        hub.url
    );
    let answer = hub
        .caller
        .send(Method::OPTIONS, hub.url, headers, Bytes::new());
    match answer.await {
        Ok(answer) => judge(asked, origin, &field, answer.headers(), findings),
        Err(failure) => findings.on(SUBJECT, asked).fault(
            &failure.to_string(),
            "let the proxy pass OPTIONS on to the hub",
            Page::CORS,
        ),
    }
}

/// Judges the permissions on a stream, which a browser reads again from the answer itself.
pub(super) fn examine_stream(
    origin: &str,
    asked: &str,
    headers: &HeaderMap,
    findings: &mut Findings,
) {
    let Ok(field) = HeaderValue::from_str(origin) else {
        return;
    };
    let mut values = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    let is_allowed = match (values.next(), values.next()) {
        (Some(value), None) => value == "*" || value == field,
        _ => false,
    };
    // The answer to OPTIONS was judged already.
    if !is_allowed {
        judge(asked.to_owned(), origin, &field, headers, findings);
    }
}

/// Whether a page of the origin is on the hub's own origin.
pub(super) fn is_own(hub: &Examined<'_>, origin: &str) -> bool {
    hub.url.origin().ascii_serialization() == origin
}

fn judge(
    asked: String,
    origin: &str,
    field: &HeaderValue,
    headers: &HeaderMap,
    findings: &mut Findings,
) {
    let count = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count();
    let allowed = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
    let credentials = headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let credentials = credentials.is_some_and(|value| value == "true");
    let mut subject = findings.on(SUBJECT, asked);
    match (count, allowed, credentials) {
        (1, Some(allowed), true) if allowed == field => {
            subject.good(&format!("pages of {origin} may use the hub, with cookies"));
        }
        (1, Some(allowed), false) if allowed == "*" || allowed == field => subject.note(
            &format!("pages of {origin} may use the hub, but without cookies"),
            &format!("write `cors_origins {origin}` if they send cookies"),
            Page::CORS,
        ),
        (2.., ..) => subject.fault(
            "the answer has Access-Control-Allow-Origin twice, which browsers refuse",
            "let either the hub or the proxy add CORS headers",
            Page::PROXY_FAULTS,
        ),
        (_, allowed, _) => {
            let came = allowed.map_or_else(
                || "no Access-Control-Allow-Origin".to_owned(),
                |value| {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    format!("Access-Control-Allow-Origin: {value}")
                },
            );
            subject.fault(
                &format!("pages of {origin} may not use the hub: the answer has {came}"),
                &format!("write `cors_origins {origin}` in the hub's configuration, and let the proxy pass OPTIONS and the hub's headers on"),
                Page::CORS,
            );
        }
    }
}
