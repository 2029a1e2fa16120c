//! Whether clients find the hub's metadata, and the hub's name in it.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use talaria_config::guide::Page;
use url::Url;

use super::examined::{Examined, PATIENCE};
use super::findings::Findings;

/// The most bytes of a document.
const MOST_BYTES: usize = 256 * 1024;

/// Reads the metadata document (specification, "Protected Resource Metadata").
pub(super) async fn examine(
    hub: &Examined<'_>,
    address: &Url,
    findings: &mut Findings,
) -> Option<Value> {
    let mut subject = findings.on("discovery", format!("GET {address}"));
    let sent = hub
        .caller
        .send(Method::GET, address, HeaderMap::new(), Bytes::new());
    let answer = match sent.await {
        Ok(answer) if answer.status() == StatusCode::OK => answer,
        Ok(answer) => {
            subject.fault(
                &format!("the answer is {}", answer.status()),
                "let the proxy pass this path to the hub, too; a hub of Mercure 0.x has none",
                Page::PROXIES,
            );
            return None;
        }
        Err(failure) => {
            subject.fault(
                &failure.to_string(),
                "let the proxy pass this path to the hub, too",
                Page::PROXIES,
            );
            return None;
        }
    };
    let document = read(answer).await.filter(Value::is_object);
    let Some(document) = document else {
        subject.fault(
            "the answer is not a JSON object",
            "something else than the hub answers there; let the proxy pass it on",
            Page::PROXIES,
        );
        return None;
    };
    let mut own = hub.url.clone();
    own.set_query(None);
    match document["resource"].as_str() {
        Some(resource) if resource == own.as_str() => {
            subject.good(&format!("the hub identifies itself as {resource}"));
        }
        resource => subject.fault(
            &format!("the hub identifies itself as {}, and clients know it as {own}", resource.unwrap_or("nothing")),
            "tokens must name the former in `aud`: write `resource_identifier` with the latter in the hub's configuration, or have the proxy pass the Host header and list it in `trusted_proxies`",
            Page::TOKEN_AUDIENCE,
        ),
    }
    Some(document)
}

/// The JSON of an answer, if that is short and comes in time.
pub(super) async fn read(mut answer: reqwest::Response) -> Option<Value> {
    let mut body = Vec::new();
    let reading = async {
        while let Some(chunk) = answer.chunk().await.ok()? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return None;
            }
        }
        serde_json::from_slice(&body).ok()
    };
    tokio::time::timeout(PATIENCE, reading).await.ok()?
}
