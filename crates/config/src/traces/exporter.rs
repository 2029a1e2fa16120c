//! The variables that say where spans go.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::variable::Reader;
use crate::settings::{ExporterSettings, Secret, TraceProtocol};
use crate::shown::show;

const EXPORTERS: &[(&str, bool)] = &[("otlp", true), ("none", false)];
const PROTOCOLS: &[(&str, TraceProtocol)] = &[
    ("http/protobuf", TraceProtocol::HttpProtobuf),
    ("grpc", TraceProtocol::Grpc),
];
const COMPRESSIONS: &[(&str, bool)] = &[("none", false), ("gzip", true)];
const BOOLEANS: &[(&str, bool)] = &[("false", false), ("true", true)];
/// The variable for traces alone, and the one for all signals.
const ENDPOINT: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOL: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const HEADERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
];
const TIMEOUT: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];
const COMPRESSION: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
];
const INSECURE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    "OTEL_EXPORTER_OTLP_INSECURE",
];
const CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
const CLIENT_CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
];
const CLIENT_KEY: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];
/// Fields that the program sets itself.
const OWN_FIELDS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
];

/// Where spans go; `None` if nowhere.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<ExporterSettings> {
    let exports = reader.items("OTEL_TRACES_EXPORTER", EXPORTERS);
    let exports = exports.is_none_or(|all| all.contains(&true));
    let protocol = reader.one_of(&PROTOCOL, PROTOCOLS);
    let protocol = protocol.unwrap_or(TraceProtocol::HttpProtobuf);
    let settings = ExporterSettings {
        endpoint: endpoint(reader, protocol),
        protocol,
        headers: headers(reader),
        timeout: reader
            .milliseconds(&TIMEOUT)
            .unwrap_or(Duration::from_secs(10)),
        gzip: reader
            .one_of(&COMPRESSION, COMPRESSIONS)
            .unwrap_or_default(),
        roots: path(reader, &CERTIFICATE),
        identity: identity(reader),
    };
    exports.then_some(settings)
}

/// The URL that spans are sent to.
fn endpoint(reader: &mut Reader<'_>, protocol: TraceProtocol) -> String {
    let insecure = reader.one_of(&INSECURE, BOOLEANS).unwrap_or_default();
    let default = match protocol {
        TraceProtocol::HttpProtobuf => "http://localhost:4318/v1/traces",
        TraceProtocol::Grpc => "http://localhost:4317",
    };
    let Some((name, text)) = reader.text(&ENDPOINT) else {
        return default.to_owned();
    };
    let is_of_traces = name == ENDPOINT[0];
    let text = match (protocol, text.contains("://")) {
        (TraceProtocol::Grpc, false) if insecure => format!("http://{text}"),
        (TraceProtocol::Grpc, false) => format!("https://{text}"),
        _ => text,
    };
    let url = Url::parse(&text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut url) = url else {
        reader.refuse(
            name,
            format!("{} is not a URL", show(&text)),
            "write for example http://collector:4318".to_owned(),
        );
        return default.to_owned();
    };
    if !url.username().is_empty() || url.password().is_some() {
        reader.refuse(
            name,
            "the URL holds a user or a password".to_owned(),
            "write it into OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Basic%20…"
                .to_owned(),
        );
    }
    match protocol {
        TraceProtocol::Grpc => url.set_path(""),
        TraceProtocol::HttpProtobuf if is_of_traces => {}
        TraceProtocol::HttpProtobuf => {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/v1/traces"));
        }
    }
    url.set_fragment(None);
    url.into()
}

fn headers(reader: &mut Reader<'_>) -> Vec<(String, Secret)> {
    let Some((name, _)) = reader.text(&HEADERS) else {
        return Vec::new();
    };
    let pairs = reader.pairs(&[name]).unwrap_or_default();
    let mut headers = Vec::new();
    for (key, value) in pairs {
        let key = key.to_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_field = key.bytes().all(is_name)
            && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            && !OWN_FIELDS.contains(&key.as_str());
        if is_field {
            headers.push((key, Secret::new(value)));
        } else {
            reader.refuse(
                name,
                format!("{} cannot be sent as a header field", show(&key)),
                "write a name that the hub does not set itself, and a value of ASCII characters"
                    .to_owned(),
            );
        }
    }
    headers
}

fn path(reader: &Reader<'_>, names: &[&str]) -> Option<PathBuf> {
    reader.text(names).map(|(_, path)| path.into())
}

/// The certificate and its key, which count together only.
fn identity(reader: &mut Reader<'_>) -> Option<(PathBuf, PathBuf)> {
    match (path(reader, &CLIENT_CERTIFICATE), path(reader, &CLIENT_KEY)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (is_given, _) => {
            let (given, missing) = match is_given {
                Some(_) => (CLIENT_CERTIFICATE[1], CLIENT_KEY[1]),
                None => (CLIENT_KEY[1], CLIENT_CERTIFICATE[1]),
            };
            reader.refuse(
                given,
                format!("it is of no use without {missing}"),
                "set both, or neither".to_owned(),
            );
            None
        }
    }
}
