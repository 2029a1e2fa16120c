//! Whether the hub can be reached at all, its certificate is trusted, and what answers is a hub.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reqwest::Response;
use talaria_config::guide::Page;

use super::examined::{Examined, PATIENCE};
use super::findings::Findings;
use super::{banner, kind};
use crate::cli::client::{self, Caller, Failure, Kind, Trust};

const SUBJECT: &str = "connection";

/// Asks the hub without a topic; returns whether it is worth examining further. If only the local authority of
/// this user makes the certificate pass, `hub` trusts it from then on.
pub(super) async fn examine(hub: &mut Examined<'_>, trust: Trust, findings: &mut Findings) -> bool {
    let asked = format!("GET {}, without a topic", hub.url);
    let answer = match ask(hub).await {
        Ok(answer) => {
            if hub.url.scheme() == "https" {
                findings
                    .on(SUBJECT, &asked)
                    .good("the certificate is trusted here");
            }
            answer
        }
        Err(failure) if failure.kind == Kind::UnknownAuthority => {
            hub.caller = Caller::new(trust.and_local()).with_patience(PATIENCE);
            let Ok(answer) = ask(hub).await else {
                report(hub, &asked, &failure, findings).await;
                return false;
            };
            findings.on(SUBJECT, &asked).fault(
                "only the root of Talaria's local authority makes the certificate pass, and clients of this machine do not trust that: browsers, curl and PHP refuse it",
                "run `talaria trust` on each machine with clients, give doctor that root with --cacert if they have it, or give the hub a public certificate",
                Page::HTTPS_TRUST,
            );
            answer
        }
        Err(failure) => {
            report(hub, &asked, &failure, findings).await;
            return false;
        }
    };
    if hub.url.scheme() == "http" {
        findings.on(SUBJECT, &asked).note(
            "plain HTTP: tokens travel unencrypted, and a browser opens six connections to a host at most, for all its tabs, so a seventh stream waits",
            "serve HTTPS, over which browsers speak HTTP/2",
            Page::HTTPS,
        );
    }
    kind::examine(hub, &asked, answer, findings).await
}

async fn ask(hub: &Examined<'_>) -> Result<Response, Failure> {
    let headers = client::headers("text/event-stream", None);
    hub.caller
        .send(Method::GET, hub.url, headers, Bytes::new())
        .await
}

/// Reports why there is no answer. What does not speak HTTP says at times what it is.
async fn report(hub: &Examined<'_>, asked: &str, failure: &Failure, findings: &mut Findings) {
    /// How long a service may take to introduce itself.
    const BANNER: Duration = Duration::from_secs(2);
    let mut subject = findings.on(SUBJECT, asked);
    let page = failure.kind.page().unwrap_or(Page::DOCTOR);
    if matches!(
        failure.kind,
        Kind::NotHttp | Kind::Closed | Kind::Silent | Kind::NotTls | Kind::Other
    ) {
        match banner::read(hub.url, BANNER).await {
            Some(banner::Service::Tls) if hub.url.scheme() == "http" => {
                return subject.fault(
                    &format!("{failure}: this port speaks TLS"),
                    "write https:// in the URL",
                    Page::WRONG_SCHEME,
                );
            }
            Some(banner::Service::Http) if failure.kind == Kind::NotTls => {
                return subject.fault(
                    &format!("{failure}: this port speaks plain HTTP"),
                    "write http:// in the URL, or another port; for the public, serve HTTPS",
                    Page::WRONG_SCHEME,
                );
            }
            Some(banner::Service::Other(says)) => {
                return subject.fault(
                    &format!(
                        "this is not a Mercure hub: what listens there does not speak HTTP; it says {says:?}"
                    ),
                    Kind::NotHttp.remedy(),
                    Page::DOCTOR,
                );
            }
            _ => {}
        }
    }
    subject.fault(&failure.to_string(), failure.kind.remedy(), page);
}
