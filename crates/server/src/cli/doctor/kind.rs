//! Whether what answers is a Mercure hub.

use http::StatusCode;
use http::header::{CONTENT_TYPE, LINK, LOCATION, SERVER, WWW_AUTHENTICATE};
use reqwest::Response;
use talaria_config::guide::Page;
use talaria_protocol::HUB_PATH;

use super::examined::Examined;
use super::findings::{Findings, Subject};
use crate::cli::client::Refusal;

/// What is told of an answer that a hub would not give.
struct Head {
    status: StatusCode,
    media_type: String,
    server: String,
    challenges: Vec<String>,
    location: Option<String>,
    /// The hub that the answer itself names (specification, "Discovery").
    linked: Option<String>,
}

impl Head {
    fn of(answer: &Response) -> Self {
        let headers = answer.headers();
        let all = |name| {
            let values = headers.get_all(name).iter();
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let media_type = all(CONTENT_TYPE).next().unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default();
        Self {
            status: answer.status(),
            media_type: essence.trim().to_ascii_lowercase(),
            server: all(SERVER).next().unwrap_or_default(),
            challenges: all(WWW_AUTHENTICATE).collect(),
            location: all(LOCATION).next(),
            linked: all(LINK).find_map(|link| hub_of(&link)),
        }
    }
}

/// Judges the answer to a question without a topic; returns whether a hub gave it.
pub(super) async fn examine(
    hub: &mut Examined<'_>,
    asked: &str,
    answer: Response,
    findings: &mut Findings,
) -> bool {
    let head = Head::of(&answer);
    hub.server.clone_from(&head.server);
    let mut subject = findings.on("hub", asked);
    // A hub that stops answers so; the body of another stream would not end.
    if head.status == StatusCode::OK && head.media_type == "text/event-stream" {
        subject.good("it answers with an event stream");
        return true;
    }
    let refusal = Refusal::read(answer).await;
    if is_of_hub(&head, &refusal.body) {
        let status = head.status;
        subject.good(&format!("it answers as a Mercure hub does ({status})"));
        return true;
    }
    match head.status.as_u16() {
        300..=399 => subject.fault(
            &format!("the hub's URL redirects to {}", head.location.as_deref().unwrap_or("nowhere")),
            "give clients that URL: a redirect loses what is published, and browsers refuse some",
            Page::PROXY_FAULTS,
        ),
        421 => subject.fault(
            &refusal.to_string(),
            "add this name to SERVER_NAME or the site address, or have the proxy pass the name that is served",
            Page::NOT_REACHED,
        ),
        502..=504 | 520..=529 => subject.fault(
            &format!("{}{}", server(&head), refusal),
            "start the hub, or correct the address of the hub in the proxy",
            Page::PROXY_FAULTS,
        ),
        401 | 407 => subject.fault(
            &format!("this is not a Mercure hub: something asks for a login first ({})", head.challenges.join("; ")),
            "let the proxy pass the hub's path without a login; the hub checks tokens itself",
            Page::PROXY_FAULTS,
        ),
        _ => is_something_else(hub, &head, &mut subject),
    }
    false
}

/// Whether only a hub refuses so: B-339 of one, and `Unauthorized` of another that wants a token.
fn is_of_hub(head: &Head, body: &str) -> bool {
    let is_text = matches!(head.media_type.as_str(), "" | "text/plain");
    let body = body.to_ascii_lowercase();
    match head.status.as_u16() {
        400 => is_text && (body.contains("topic") || body.contains("match")),
        401 => {
            let names_metadata = |it: &String| it.contains("resource_metadata");
            head.challenges.iter().any(names_metadata)
                || head.challenges.is_empty() && is_text && body == "unauthorized"
        }
        429 => is_text,
        _ => false,
    }
}

fn is_something_else(hub: &Examined<'_>, head: &Head, subject: &mut Subject<'_>) {
    let status = head.status;
    let what = match (status.as_u16(), head.media_type.as_str()) {
        (404 | 405 | 410 | 501, _) => format!("nothing is at this path ({status})"),
        (403, _) => format!("access is forbidden before a hub is asked ({status})"),
        (200..=299, "text/html" | "application/xhtml+xml") => "this is a web page".to_owned(),
        (_, "application/json") => format!("this is a JSON API ({status})"),
        (_, kind) if kind.ends_with("+json") => format!("this is a JSON API ({status})"),
        (_, "") => format!("the answer is {status}, without a Content-Type"),
        (_, kind) => format!("the answer is {status}, of type {kind}"),
    };
    let found = format!("this is not a Mercure hub: {}{what}", server(head));
    let remedy = match &head.linked {
        Some(linked) => format!("ask the hub that this answer names: {linked}"),
        None if hub.url.path() == HUB_PATH => {
            format!("correct host and port, or let the proxy pass {HUB_PATH} on to the hub")
        }
        None => format!(
            "give the URL that clients use, most often with the path {HUB_PATH}, and let the proxy pass that path on to the hub"
        ),
    };
    subject.fault(&found, &remedy, Page::PROXIES);
}

fn server(head: &Head) -> String {
    match head.server.as_str() {
        "" => String::new(),
        server => format!("{server} answers: "),
    }
}

/// The target of a `Link` with the relation `mercure`.
fn hub_of(link: &str) -> Option<String> {
    let entry = link.split(',').find(|entry| {
        let mut parameters = entry.split(';').skip(1).map(str::trim);
        parameters.any(|it| matches!(it, "rel=\"mercure\"" | "rel=mercure"))
    })?;
    let (_, target) = entry.split_once('<')?;
    let (target, _) = target.split_once('>')?;
    Some(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relation names the hub (specification, "Discovery").
    #[test]
    fn a_link_names_the_hub() {
        let link =
            "</style.css>; rel=preload, <https://hub.example/.well-known/mercure>; rel=\"mercure\"";
        assert_eq!(
            hub_of(link).unwrap(),
            "https://hub.example/.well-known/mercure"
        );
        assert_eq!(hub_of("<a>; rel=next"), None);
    }
}
