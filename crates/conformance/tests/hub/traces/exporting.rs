//! Where spans go: collectors that fail, gRPC, variables that cannot be read, reloads.

use talaria_conformance::PATIENCE;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::ISSUER;

use super::collector::{Answer, Collector, Span};
use super::{chain, delivered, start, traced, variables, works};

/// A collector that refuses, answers garbage, is silent or is not there changes nothing for clients, nor for the end.
#[tokio::test]
async fn no_client_notices_the_collector() {
    for answer in [
        Answer::Status(503),
        Answer::Status(400),
        Answer::Garbage,
        Answer::Never,
    ] {
        let collector = Collector::start(answer).await;
        let hub = traced(
            &collector,
            "anonymous\ntransport memory\ndrain_timeout 100ms",
        );
        works(&hub).await;
        collector.asked().await;
        works(&hub).await;
        hub.stop().await;
    }
    let gone = Collector::start(Answer::Taken).await;
    let mut variables = variables(&gone);
    variables.push(("OTEL_BSP_MAX_QUEUE_SIZE", "2".to_owned()));
    variables.push(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1".to_owned()));
    drop(gone);
    let hub = start(&Home::new(), "anonymous\ntransport memory", &variables);
    for _ in 0..5 {
        works(&hub).await;
    }
    let log = hub.log_to_the_end().await.join("\n");
    assert!(log.contains("spans cannot be exported"), "{log}");
    assert!(log.contains("spans were dropped"), "{log}");
}

/// Over gRPC a collector gets the same.
#[tokio::test]
async fn spans_go_over_grpc() {
    let collector = Collector::grpc().await;
    let mut variables = variables(&collector);
    variables.push(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()));
    let hub = start(&Home::new(), "anonymous\ntransport memory", &variables);
    works(&hub).await;
    chain(&collector).await;
    let log = hub.log_to_the_end().await.join("\n");
    assert!(!log.contains("cannot be exported"), "{log}");
}

/// Every value that cannot be read refuses the start, by the name of its variable.
#[tokio::test]
async fn values_that_cannot_be_read_refuse_the_start() {
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_PROPAGATORS", "tracecontext,xray"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://user:canary@collector",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary\u{e9}"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere.pem"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
    ] {
        let variables = [("CADDY_SERVER_EXTRA_DIRECTIVES", "tracing"), (name, value)];
        let started = Home::new().start("http://127.0.0.1:0", "anonymous", &variables);
        let Err(said) = started else {
            panic!("it started with {name}={value}");
        };
        assert!(said.contains(name), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

/// A reload begins and ends to trace; what was published between keeps its place.
#[tokio::test]
async fn a_reload_begins_and_ends_to_trace() {
    let collector = Collector::start(Answer::Taken).await;
    let home = Home::new();
    let endpoint = format!("http://{}", collector.address);
    let write = |directive: &str| {
        let site = format!(
            "http://127.0.0.1:0 {{\n{directive}\nmercure {{\nanonymous\ntransport memory\nissuer {ISSUER} {{\npublisher {{\njwt {{env.MERCURE_PUBLISHER_JWT_KEY}}\n}}\nsubscriber {{\njwt {{env.MERCURE_SUBSCRIBER_JWT_KEY}}\n}}\n}}\n}}\n}}\n"
        );
        home.configure(site);
    };
    write("");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let hub = home
        .start_with(&["--config", "Caddyfile"], "", &variables)
        .expect("it starts");
    let mut seen = 0;
    for (directive, is_traced) in [("tracing", true), ("", false), ("tracing", true)] {
        write(directive);
        seen = reload(&hub, seen).await;
        let before = collector.spans().len();
        works(&hub).await;
        match is_traced {
            true => {
                let more = |spans: &[Span]| spans[before..].iter().any(delivered).then_some(());
                collector.wait("a delivery", more).await;
            }
            false => {
                let requests = collector.spans();
                let requests = requests[before..]
                    .iter()
                    .filter(|span| span.name() == "handler");
                assert_eq!(requests.count(), 0);
            }
        }
    }
    hub.stop().await;
}

/// Reloads by SIGUSR1, and waits until the new configuration is in force.
async fn reload(hub: &Hub, seen: usize) -> usize {
    let pid = rustix::process::Pid::from_raw(i32::try_from(hub.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    let in_force = |line: &str| {
        line.contains("a new configuration is in force")
            .then_some(())
    };
    hub.log.find(seen, PATIENCE, in_force).expect("it reloads");
    hub.log.since(0).len()
}
