//! Whether pages of an origin may use the hub.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::findings::Findings;
use crate::cli::client;

/// Asks for the permissions of an origin as a browser does.
pub(super) async fn examine(url: &Url, origin: &str, findings: &mut Findings) {
    const SUBJECT: &str = "CORS";
    let Ok(field) = HeaderValue::from_str(origin) else {
        findings.fault(
            SUBJECT,
            "--origin is not an origin",
            "give for example https://app.example",
        );
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, field.clone());
    headers.insert(
        ACCESS_CONTROL_REQUEST_METHOD,
        HeaderValue::from_static("GET"),
    );
    let answer = client::send(Method::OPTIONS, url, headers, Bytes::new()).await;
    let allowed = answer.as_ref().ok().map(|answer| {
        let headers = answer.headers();
        let values = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count();
        let origin = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
        let credentials = headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        (
            values,
            origin,
            credentials.is_some_and(|value| value == "true"),
        )
    });
    match allowed {
        Some((1, Some(allowed), true)) if allowed == field => {
            findings.good(SUBJECT, &format!("pages of {origin} may use the hub, with cookies"));
        }
        Some((1, Some(allowed), false)) if allowed == "*" || allowed == field => findings.note(
            SUBJECT,
            &format!("pages of {origin} may use the hub, but without cookies; write `cors_origins {origin}` if they send cookies"),
        ),
        Some((2.., ..)) => findings.fault(
            SUBJECT,
            "the answer has Access-Control-Allow-Origin twice, which browsers refuse",
            "let either the hub or the proxy add CORS headers",
        ),
        _ => findings.fault(
            SUBJECT,
            &format!("pages of {origin} may not use the hub"),
            &format!("write `cors_origins {origin}` in the hub's configuration, and let the proxy pass OPTIONS on"),
        ),
    }
}
