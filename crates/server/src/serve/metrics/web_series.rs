//! The requests of sites and of the admin listener, under the names of the existing server (B-726).

use talaria_hub::statistics::Distribution;

use super::admin_counts::AdminCounts;
use super::families::{Family, Page};
use super::web::{Distributions, Outcome, Place, Web};

/// Adds them. Those of sites have series only if the option `metrics` is on.
pub(super) fn add(page: &mut Page, web: &Web, admin: &AdminCounts) {
    let requests = web.requests();
    let family = page.gauge(
        "caddy_http_requests_in_flight",
        "Number of requests currently handled by this server.",
    );
    for (place, requests) in &requests {
        family.add(&labels(place), requests.in_flight);
    }
    let family = page.counter("caddy_http_requests", "Counter of HTTP(S) requests made.");
    for (place, requests) in &requests {
        family.add(&labels(place), requests.all);
    }
    let family = page.counter(
        "caddy_http_request_errors",
        "Number of requests resulting in middleware errors.",
    );
    for (place, requests) in &requests {
        family.add(&labels(place), requests.failed);
    }
    measured(page, web);
    let admin = admin.each();
    let family = page.counter(
        "caddy_admin_http_requests",
        "Counter of requests made to the Admin API's HTTP endpoints.",
    );
    for (request, count) in &admin {
        let code = code(request.outcome);
        let labels = [
            ("handler", "admin"),
            ("path", request.path),
            ("code", &code),
            ("method", request.outcome.method),
        ];
        family.add(&labels, *count);
    }
    let family = page.counter(
        "caddy_admin_http_request_errors",
        "Number of requests resulting in middleware errors.",
    );
    for (request, count) in admin
        .iter()
        .filter(|(request, _)| request.outcome.status >= 400)
    {
        let labels = [
            ("handler", "admin"),
            ("path", request.path),
            ("method", request.outcome.method),
        ];
        // Several statuses of one endpoint are one series.
        family.add_to(&labels, *count);
    }
}

type Measure = fn(&Distributions) -> &Distribution;

fn measured(page: &mut Page, web: &Web) {
    let measured = web.measured();
    let families: [(&'static str, &'static str, Measure); 4] = [
        (
            "caddy_http_request_duration_seconds",
            "Histogram of round-trip request durations.",
            |of| &of.durations,
        ),
        (
            "caddy_http_response_duration_seconds",
            "Histogram of times to first byte in response bodies.",
            |of| &of.until_head,
        ),
        (
            "caddy_http_request_size_bytes",
            "Total size of the request. Includes body",
            |of| &of.request_sizes,
        ),
        (
            "caddy_http_response_size_bytes",
            "Size of the returned response.",
            |of| &of.response_sizes,
        ),
    ];
    for (name, help, measure) in families {
        let family: &mut Family = page.histogram(name, help);
        for (place, outcome, distributions) in &measured {
            let code = code(*outcome);
            let [server, handler, host] = labels(place);
            let labels = [
                server,
                handler,
                host,
                ("code", &code),
                ("method", outcome.method),
            ];
            family.add(&labels, measure(distributions).clone());
        }
    }
}

fn labels(place: &Place) -> [(&'static str, &str); 3] {
    [
        ("server", &place.server),
        ("handler", place.handler),
        ("host", &place.host),
    ]
}

fn code(outcome: Outcome) -> String {
    match outcome.status {
        0 => "OTHER".to_owned(),
        status => status.to_string(),
    }
}
