//! Whether the hub says that it can serve, and what it should not show the public.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use reqwest::Response;
use talaria_config::guide::Page;
use url::{Host, Url};

use super::examined::Examined;
use super::findings::Findings;
use crate::cli::client::Refusal;
use crate::serve::sites::HEALTH_PATH;

/// How long an admin listener may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks for the endpoints of operators as anyone could.
pub(super) async fn examine(hub: &Examined<'_>, findings: &mut Findings) {
    health(hub, findings).await;
    let metrics = at(hub.url, None, "/metrics");
    if let Some(text) = get(hub, &metrics).await
        && ["# TYPE ", "# HELP "]
            .iter()
            .any(|mark| text.body.contains(mark))
    {
        let mut subject = findings.on("metrics", format!("GET {metrics}"));
        let remedy = "restrict the directive `metrics` by `remote_ip` to the monitoring, or have the proxy refuse this path";
        match is_loopback(hub.url) {
            true => subject.note(
                "the metrics can be read from this machine; whether others can is not examined",
                remedy,
                Page::ADMIN,
            ),
            false => subject.fault(
                "the metrics are public: they tell strangers how many clients there are, and more",
                remedy,
                Page::ADMIN,
            ),
        }
    }
    let config = at(hub.url, None, "/config/");
    if let Some(answer) = get(hub, &config).await
        && answer.is_json
    {
        findings.on("admin", format!("GET {config}")).fault(
            "the hub's URL leads to the admin listener, which changes the configuration and stops the hub",
            "have the proxy pass only the hub's paths on",
            Page::ADMIN,
        );
    }
    admin(hub, findings).await;
}

async fn health(hub: &Examined<'_>, findings: &mut Findings) {
    let url = at(hub.url, None, HEALTH_PATH);
    let mut subject = findings.on("health", format!("GET {url}"));
    let sent = hub
        .caller
        .send(Method::GET, &url, HeaderMap::new(), Bytes::new());
    match sent.await {
        Ok(answer) if answer.status().is_success() => subject.good("the hub can store updates"),
        Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
            let refusal = Refusal::read(answer).await;
            subject.fault(
                &refusal.to_string(),
                "the hub cannot store updates, or the proxy does not reach it; the hub's log says why",
                Page::HISTORY,
            );
        }
        Ok(answer) => subject.note(
            &format!("the answer is {}, so a load balancer here cannot ask whether the hub is well", answer.status()),
            &format!("have the proxy pass {HEALTH_PATH} on, or ask the hub itself with `talaria healthcheck`"),
            Page::OPERATING,
        ),
        Err(failure) => subject.fault(&failure.to_string(), failure.kind.remedy(), Page::OPERATING),
    }
}

/// The admin listener is for this machine; from elsewhere nothing must answer.
async fn admin(hub: &Examined<'_>, findings: &mut Findings) {
    let url = at(hub.url, Some(hub.admin_port), "/config/");
    let mut subject = findings.on("admin", format!("GET {url}"));
    if is_loopback(&url) {
        return subject.note(
            "not examined: this is the hub's own machine, where the admin listener may answer",
            "ask by a name that leads to the hub from outside",
            Page::ADMIN,
        );
    }
    let caller = hub.caller.clone().with_patience(PATIENCE);
    let sent = caller.send(Method::GET, &url, HeaderMap::new(), Bytes::new());
    match sent.await {
        Ok(answer) => subject.fault(
            &format!(
                "an admin listener can be reached from here ({})",
                answer.status()
            ),
            "write `admin localhost:2019` in the global options, or close the port in the firewall",
            Page::ADMIN,
        ),
        Err(_) => subject.good(&format!(
            "no admin listener answers on port {}",
            hub.admin_port
        )),
    }
}

struct Answer {
    body: String,
    is_json: bool,
}

/// What a stranger gets at a URL, if it is a success.
async fn get(hub: &Examined<'_>, url: &Url) -> Option<Answer> {
    let sent = hub
        .caller
        .send(Method::GET, url, HeaderMap::new(), Bytes::new());
    let answer: Response = sent.await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let media_type = answer.headers().get(CONTENT_TYPE);
    let is_json = media_type.is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    let body = Refusal::read(answer).await.body;
    Some(Answer { body, is_json })
}

/// A path of the hub's host, perhaps on another port, where plain HTTP is spoken.
fn at(hub: &Url, port: Option<u16>, path: &str) -> Url {
    let mut url = hub.clone();
    url.set_query(None);
    url.set_path(path);
    if port.is_some() {
        // Neither fails for a URL of HTTP.
        _ = url.set_scheme("http");
        _ = url.set_port(port);
    }
    url
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}
