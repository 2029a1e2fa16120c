//! Whether a page's browser would send the hub's cookie.

use serde_json::Value;
use talaria_config::guide::Page;
use url::Url;

use super::findings::Findings;

/// Compares the sites of the page and of the hub.
pub(super) fn examine(url: &Url, origin: &str, metadata: Option<&Value>, findings: &mut Findings) {
    let Some(name) = metadata.and_then(|document| document["mercure_cookie"].as_str()) else {
        return;
    };
    let host = |url: &Url| url.host_str().map(str::to_owned);
    let page = Url::parse(origin).ok();
    let Some(page) = page.as_ref().and_then(host) else {
        return;
    };
    let hub = host(url).unwrap_or_default();
    let site = |host: &str| psl::domain_str(host).map(str::to_owned);
    let asked = "nothing: the sites of the page and of the hub are compared";
    let mut subject = findings.on("cookie", asked);
    if url.scheme() != "https" && name.starts_with("__Secure-") {
        subject.note(
            &format!("browsers keep {name} over HTTPS only; here the hub also reads it without the prefix"),
            "serve HTTPS",
            Page::COOKIES,
        );
    }
    if page == hub || (site(&page).is_some() && site(&page) == site(&hub)) {
        subject.good(&format!("{name} can reach the hub from pages of {origin}"));
    } else {
        subject.fault(
            &format!("{page} and {hub} are different sites, so browsers send no cookie of one to the other"),
            "serve the hub on a subdomain of the pages' site, or send the token in the Authorization header",
            Page::COOKIES,
        );
    }
}
