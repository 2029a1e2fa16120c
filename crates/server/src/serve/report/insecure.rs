//! What of a hub's settings is insecure, and the line that changes it.

use talaria_config::guide::Page;
use talaria_hub::Rule;

use super::of_hub::{HubView, takes_any_host};

/// One warning for each.
pub(super) fn lines(hub: &HubView<'_>) -> Vec<String> {
    let options = hub.options;
    let in_plain_http = format!(
        "insecure unless a proxy does TLS in front: tokens travel in plain HTTP; write `trusted_proxies <range>` for that proxy, or set a name such as hub.example.com as SERVER_NAME or site address, see {}",
        Page::HTTPS
    );
    let cases = [
        (
            takes_any_host(hub),
            "insecure: the resource identifier that tokens must name in `aud` is derived from the Host of each request; write `resource_identifier <url>`, or the hub's URLs in `public_urls`, so that no client chooses it",
        ),
        (
            options.rule != Rule::Modern,
            "insecure: tokens of Mercure 0.x are accepted, also from the cookie mercureAuthorization and the parameter authorization, which may last for ever and serve any hub with the same key; set MERCURE_TRUSTED_ISSUERS or write `issuer <identifier> { … }` without `protocol_version_compatibility` when no application needs them any more",
        ),
        (
            options.publish_ungranted,
            "insecure: with protocol_version_compatibility 7 every 0.x publisher may publish public updates on any topic; write `protocol_version_compatibility 8`",
        ),
        (
            hub.addresses.iter().all(|address| !address.tls) && hub.proxies.is_empty(),
            in_plain_http.as_str(),
        ),
        (
            options.publish_origins.is_any(),
            "insecure: every page may publish with its visitor's cookie; write `publish_origins <origin>…` with the origins of your pages",
        ),
    ];
    let found = cases.into_iter().filter(|(is_so, _)| *is_so);
    found.map(|(_, line)| line.to_owned()).collect()
}
