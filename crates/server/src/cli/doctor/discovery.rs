//! Whether clients find the hub's metadata, and the hub's name in it.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::findings::Findings;
use crate::cli::client;

/// Reads the metadata document (specification, "Protected Resource Metadata").
pub(super) async fn examine(address: &Url, url: &Url, findings: &mut Findings) -> Option<Value> {
    let answer = match client::send(Method::GET, address, HeaderMap::new(), Bytes::new()).await {
        Ok(answer) if answer.status() == StatusCode::OK => answer,
        Ok(answer) => {
            let status = answer.status();
            findings.fault(
                "discovery",
                &format!("{address} answers {status}"),
                "let the proxy pass this path to the hub, too; a hub of Mercure 0.x has none",
            );
            return None;
        }
        Err(error) => {
            findings.fault(
                "discovery",
                &error.to_string(),
                "let the proxy pass this path to the hub, too",
            );
            return None;
        }
    };
    let document: Option<Value> = answer
        .bytes()
        .await
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(document) = document else {
        findings.fault(
            "discovery",
            &format!("{address} is not JSON"),
            "something else than the hub answers there; let the proxy pass it on",
        );
        return None;
    };
    let mut own = url.clone();
    own.set_query(None);
    match document["resource"].as_str() {
        Some(resource) if resource == own.as_str() => {
            findings.good("discovery", &format!("the hub identifies itself as {resource}"));
        }
        resource => findings.fault(
            "discovery",
            &format!("the hub identifies itself as {}, and clients know it as {own}", resource.unwrap_or("nothing")),
            "tokens must name the former in `aud`: write `resource_identifier` with the latter in the hub's configuration, or have the proxy pass the Host header and list it in `trusted_proxies`",
        ),
    }
    Some(document)
}
