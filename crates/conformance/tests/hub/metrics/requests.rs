//! The directive `metrics` on a site, the two formats, and the requests of sites (B-724, B-726, B-297).

use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::token::exact;

use super::{Scrape, until};
use crate::running::Running;

const OPEN_METRICS: &str =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

fn start() -> Running {
    let text = format!(
        "{{\nmetrics {{\nper_host\n}}\n}}\nhttp://127.0.0.1:0, http://hub.example:0 {{\nmetrics /metrics\nmetrics /plain {{\ndisable_openmetrics\n}}\nrespond /hello hi\nmercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\ntransport memory\n}}\n}}\n"
    );
    Running::start(&text, &[])
}

/// The page is where the site places it, in the format that the client prefers.
#[tokio::test]
async fn a_site_shows_metrics() {
    let hub = start();
    for (path, accept, kind, end) in [
        (
            "/metrics",
            "*/*",
            "text/plain; version=0.0.4; charset=utf-8",
            "",
        ),
        (
            "/plain",
            OPEN_METRICS,
            "text/plain; version=0.0.4; charset=utf-8",
            "",
        ),
        (
            "/metrics",
            OPEN_METRICS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "# EOF\n",
        ),
    ] {
        let answer = hub.client().header("accept", accept).get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.text.ends_with("# EOF\n"), !end.is_empty(), "{path}");
        assert!(answer.text.contains("\nmercure_updates_total 0\n"));
    }
    let answer = hub
        .admin()
        .header("accept", OPEN_METRICS)
        .get("/metrics")
        .await;
    assert!(answer.text.ends_with("# EOF\n"));
    assert!(answer.text.contains("# TYPE mercure_updates counter\n"));
    assert_eq!(hub.client().get("/other").await.status, 404);
}

/// Requests are counted by what answers, their method and the host of the configuration; nothing that a client invents
/// becomes a label.
#[tokio::test]
async fn requests_of_sites_are_counted() {
    let hub = start();
    hub.client().get("/hello").await;
    hub.client().naming("hub.example").get("/hello").await;
    hub.client().send("INVENTED", "/hello", "").await;
    let stream = hub.client().subscribe(&[exact("a")]).await;
    let hello = |host| [("handler", "static_response"), ("host", host)];
    let mercure = [("handler", "mercure"), ("host", "127.0.0.1")];
    until(&hub, "caddy_http_requests_in_flight", &mercure, 1.0).await;
    until(
        &hub,
        "caddy_http_requests_total",
        &hello("hub.example"),
        1.0,
    )
    .await;
    let scrape = until(&hub, "caddy_http_requests_total", &hello("127.0.0.1"), 2.0).await;
    for (method, count) in [("GET", Some(1.0)), ("OTHER", Some(1.0)), ("INVENTED", None)] {
        let labels = [
            hello("127.0.0.1").to_vec(),
            vec![("code", "200"), ("method", method)],
        ]
        .concat();
        let name = "caddy_http_request_duration_seconds_count";
        assert_eq!(scrape.find(name, &labels), count, "{method}");
    }
    let duration = "caddy_http_request_duration_seconds_count";
    assert_eq!(scrape.find(duration, &mercure), None, "the stream is open");
    drop(stream);
    until(&hub, duration, &mercure, 1.0).await;
    let scrape = until(&hub, "caddy_http_requests_in_flight", &mercure, 0.0).await;
    let size = [hello("hub.example").to_vec(), vec![("le", "256")]].concat();
    assert_eq!(
        scrape.value("caddy_http_response_size_bytes_bucket", &size),
        1.0
    );
}

/// Without the option there are none of them.
#[tokio::test]
async fn they_are_counted_on_demand() {
    let hub = super::start("", "");
    hub.client().get("/").await;
    let scrape = Scrape::of(&hub).await;
    assert_eq!(scrape.find("caddy_http_requests_total", &[]), None);
    let scrapes = [("path", "/metrics"), ("code", "200"), ("method", "GET")];
    let scrape = until(&hub, "caddy_admin_http_requests_total", &scrapes, 2.0).await;
    assert_eq!(
        scrape.find("caddy_admin_http_request_errors_total", &[]),
        None
    );
}
