//! Whether the hub can be reached at all, and its certificate is trusted.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::findings::Findings;
use crate::cli::client;

/// Asks the hub for its methods; returns whether it is worth examining further.
pub(super) async fn examine(url: &Url, findings: &mut Findings) -> bool {
    let sent = client::send(Method::OPTIONS, url, HeaderMap::new(), Bytes::new()).await;
    match sent {
        Ok(answer) if answer.status().is_redirection() => {
            let target = answer.headers().get(LOCATION);
            let target = target.map(|target| String::from_utf8_lossy(target.as_bytes()));
            findings.fault(
                "connection",
                &format!("the hub's URL redirects to {}", target.unwrap_or_default()),
                "give clients that URL: a redirect loses what is published, and browsers refuse some",
            );
            false
        }
        Ok(answer) if answer.status() == StatusCode::MISDIRECTED_REQUEST => {
            let refusal = client::refusal(answer).await;
            findings.fault(
                "connection",
                &refusal,
                "add this name to SERVER_NAME or the site address, or have the proxy pass the name that is served",
            );
            false
        }
        Ok(_) if url.scheme() == "https" => {
            findings.good("connection", "the certificate is trusted here");
            true
        }
        Ok(_) => {
            findings.note(
                "connection",
                "plain HTTP: tokens travel unencrypted, and a browser opens six streams at most; serve HTTPS, see docs/https.md",
            );
            true
        }
        Err(error) => {
            let problem = error.to_string();
            let remedy = if problem.contains("certificate") {
                "give the hub a certificate for this name, or make this machine trust its authority (`talaria trust`)"
            } else {
                "check the address, and that the hub or its proxy listens there"
            };
            findings.fault("connection", &problem, remedy);
            false
        }
    }
}
