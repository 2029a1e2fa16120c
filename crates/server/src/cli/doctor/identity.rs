//! Whether a client chooses the hub's identity by what it writes in its request.

use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use talaria_config::guide::Page;
use url::Url;

use super::discovery;
use super::examined::Examined;
use super::findings::Findings;

/// A name that no hub has (RFC 6761, section 6.4).
const INVALID_HOST: &str = "talaria-doctor.invalid";

/// Where the hub's metadata document lies (RFC 9728, section 3.1).
pub(super) fn metadata_url(url: &Url) -> Url {
    let mut address = url.clone();
    address.set_query(None);
    address.set_path(&format!(
        "/.well-known/oauth-protected-resource{}",
        url.path()
    ));
    address
}

/// Asks for the metadata at `document` under a name that is not the hub's.
pub(super) async fn examine(hub: &Examined<'_>, document: &Url, findings: &mut Findings) {
    const REMEDY: &str = "then it accepts a token for another hub with the same key; write `resource_identifier` with the hub's URL, or list its URLs in `public_urls`";
    let derives = |name: HeaderName| async move {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(INVALID_HOST));
        names_invalid_host(hub, document, headers).await
    };
    let asked = |name: &str| format!("GET {document} with {name}: {INVALID_HOST}");
    if derives(HeaderName::from_static("x-forwarded-host")).await {
        findings.on("identity", asked("X-Forwarded-Host")).fault(
            "the hub takes its name from the X-Forwarded-Host of a client; if `trusted_proxies` includes the address of doctor, as on the hub's own machine, doctor itself counts as a proxy, so ask from elsewhere to be sure",
            "have the proxy set that field itself, name only proxies in `trusted_proxies`, and write `resource_identifier` with the hub's URL",
            Page::TOKEN_AUDIENCE,
        );
        return;
    }
    let mut subject = findings.on("identity", asked("Host"));
    if !derives(HOST).await {
        return subject.good("it does not depend on the Host of a request");
    }
    match ask_as_older_client(hub).await {
        Some(StatusCode::OK) => subject.note(
            "the hub takes its name from the Host of a request, and accepts tokens of Mercure 0.x, which name no hub",
            "write `resource_identifier` once these are gone",
            Page::TOKEN_AUDIENCE,
        ),
        Some(StatusCode::UNAUTHORIZED) if hub.token.is_none() => subject.note(
            "the hub takes its name from the Host of a request, which is a fault unless its tokens are of Mercure 0.x, which name no hub",
            "give --token-file to tell, or write `resource_identifier`",
            Page::TOKEN_AUDIENCE,
        ),
        _ => subject.fault(
            "the hub takes its name from the Host of a request",
            REMEDY,
            Page::TOKEN_AUDIENCE,
        ),
    }
}

async fn names_invalid_host(hub: &Examined<'_>, document: &Url, headers: HeaderMap) -> bool {
    let asked = hub.caller.send_http1(Method::GET, document, headers);
    let Ok(answer) = asked.await else {
        return false;
    };
    if answer.status() != StatusCode::OK {
        return false;
    }
    discovery::read(answer).await.is_some_and(|document| {
        let resource = document["resource"].as_str().unwrap_or_default();
        resource.contains(INVALID_HOST)
    })
}

/// The status of the answer to a subscription of Mercure 0.x.
async fn ask_as_older_client(hub: &Examined<'_>) -> Option<StatusCode> {
    let mut url = hub.url.clone();
    url.query_pairs_mut()
        .append_pair("topic", "urn:talaria:doctor");
    let mut headers = HeaderMap::new();
    if let Some(token) = hub.token {
        headers.insert(http::header::AUTHORIZATION, token.authorization.clone());
    }
    let answer = hub.caller.send_http1(Method::HEAD, &url, headers).await;
    answer.ok().map(|answer| answer.status())
}
