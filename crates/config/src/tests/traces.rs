//! The directive `tracing`, and the variables of OpenTelemetry (B-117).

use std::time::Duration;

use super::{KEYS, try_load};
use crate::settings::{Action, Propagator, TraceProtocol, TraceSettings};

fn read(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
    let directive = [("CADDY_SERVER_EXTRA_DIRECTIVES", "tracing")];
    let loaded = try_load(None, &[KEYS, &directive, variables].concat())?;
    Ok(loaded.settings.program.traces)
}

fn set(variables: &[(&str, &str)]) -> TraceSettings {
    read(variables).unwrap().expect("a site is traced")
}

fn endpoint(variables: &[(&str, &str)]) -> String {
    set(variables).exporter.expect("it exports").endpoint
}

/// Without a directive no variable counts, not even a wrong one.
#[test]
fn variables_count_with_the_directive_alone() {
    let wrong = [KEYS, &[("OTEL_TRACES_SAMPLER", "x")]].concat();
    assert_eq!(
        try_load(None, &wrong).unwrap().settings.program.traces,
        None
    );
    assert!(read(&[("OTEL_TRACES_SAMPLER", "x")]).is_err());
    assert_eq!(read(&[("OTEL_SDK_DISABLED", "TRUE")]).unwrap(), None);
}

#[test]
fn defaults_are_those_of_the_specification() {
    let settings = set(&[("OTEL_TRACES_SAMPLER", " ")]);
    assert_eq!(
        settings.propagators,
        [Propagator::TraceContext, Propagator::Baggage]
    );
    assert!(settings.sampler.follows_parent && settings.sampler.ratio == 1.0);
    assert_eq!((settings.batch.queue, settings.batch.size), (2048, 512));
    assert_eq!(settings.batch.delay, Duration::from_secs(5));
    let name = ("service.name".to_owned(), "talaria".to_owned());
    assert_eq!(settings.resource, [name]);
    let exporter = settings.exporter.unwrap();
    assert_eq!(exporter.endpoint, "http://localhost:4318/v1/traces");
    assert_eq!(exporter.protocol, TraceProtocol::HttpProtobuf);
    assert_eq!(exporter.timeout, Duration::from_secs(10));
}

/// The variable for traces takes precedence and is taken as it is; the other one is a base.
#[test]
fn endpoints_are_as_the_specification_says() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const PROTOCOL: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for (variables, expected) in [
        (vec![(ALL, "http://c:4318")], "http://c:4318/v1/traces"),
        (vec![(ALL, "https://c/base/")], "https://c/base/v1/traces"),
        (vec![(TRACES, "http://c:4318")], "http://c:4318/"),
        (
            vec![(TRACES, "http://c/x"), (ALL, "http://d")],
            "http://c/x",
        ),
        (vec![PROTOCOL], "http://localhost:4317"),
        (vec![PROTOCOL, (ALL, "http://c:4317")], "http://c:4317/"),
        (vec![PROTOCOL, (ALL, "c:4317")], "https://c:4317/"),
        (
            vec![
                PROTOCOL,
                (ALL, "c:4317"),
                ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ],
            "http://c:4317/",
        ),
    ] {
        assert_eq!(endpoint(&variables), expected, "{variables:?}");
    }
}

/// A port that speaks gRPC by convention is told where HTTP is spoken.
#[test]
fn the_port_of_grpc_is_told() {
    let told = |variables: &[(&str, &str)]| {
        let directive = [("CADDY_SERVER_EXTRA_DIRECTIVES", "tracing")];
        let loaded = try_load(None, &[KEYS, &directive, variables].concat()).unwrap();
        let mut notices = loaded.notices.iter();
        notices.any(|notice| notice.text.contains("4317"))
    };
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    assert!(told(&[endpoint]));
    assert!(!told(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]));
}

/// Lists are decoded; the name of the service stands for itself.
#[test]
fn pairs_are_decoded() {
    let settings = set(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1%2C2, service.name=x ,b = é"),
        ("OTEL_SERVICE_NAME", "y"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20eA=="),
        ("OTEL_PROPAGATORS", "b3,none,b3"),
    ]);
    let pairs = [("a", "1,2"), ("b", "é"), ("service.name", "y")];
    assert_eq!(
        settings.resource,
        pairs.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    assert_eq!(settings.propagators, [Propagator::B3]);
    let headers = settings.exporter.unwrap().headers;
    let [(name, value)] = headers.as_slice() else {
        panic!("{headers:?}");
    };
    assert_eq!(
        (name.as_str(), value.expose()),
        ("authorization", "Basic eA==")
    );
    assert!(!format!("{headers:?}").contains("eA"));
}

/// All that is wrong is told at once, by name, without secrets.
#[test]
fn wrong_values_are_told() {
    let error = read(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,canary"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
    ])
    .unwrap_err();
    for name in ["OTLP_HEADERS", "OTLP_TIMEOUT", "SAMPLER_ARG"] {
        assert!(error.contains(name), "{error}");
    }
    assert!(!error.contains("canary"), "{error}");
}

/// The directive has a name and attributes, in which no credential may stand.
#[test]
fn the_directive_is_read() {
    let routes = |body: &str| {
        let file = format!(
            ":80 {{\n{body}\nmercure {{\nanonymous\npublisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n}}\n}}"
        );
        let loaded = try_load(Some(&file), &[])?;
        Ok::<_, String>(loaded.settings.sites[0].routes.0.clone())
    };
    let read =
        routes("tracing {\n span \"{method} x\"\n span_attributes {\n a {host}\n b 1\n }\n}")
            .unwrap();
    let Action::Tracing(tracing) = &read[0].action else {
        panic!("{read:?}");
    };
    assert_eq!(tracing.attributes.len(), 2);
    let plain = routes("tracing /x*").unwrap();
    let Action::Tracing(tracing) = &plain[0].action else {
        panic!("{plain:?}");
    };
    assert_eq!(tracing.name.fixed(), Some("handler"));
    for (body, expected) in [
        ("tracing x", "matcher"),
        ("tracing {\n spam x\n}", "span"),
        ("tracing {\n span\n}", "a name"),
        ("tracing {\n span {header.Cookie}\n}", "credential"),
        (
            "tracing {\n span_attributes {\n a {query.authorization}\n }\n}",
            "credential",
        ),
        ("tracing {\n span_attributes {\n a\n }\n}", "a value"),
    ] {
        let error = routes(body).unwrap_err();
        assert!(error.contains(expected), "{body}: {error}");
    }
}
