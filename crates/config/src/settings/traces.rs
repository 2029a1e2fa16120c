//! What is traced, and where the spans go.

use std::path::PathBuf;
use std::time::Duration;

use super::issuers::Secret;
use super::template::Template;

/// The directive `tracing`.
#[derive(Debug, Clone, PartialEq)]
pub struct TracingSettings {
    /// The name of the span of a request.
    pub name: Template,
    /// Further attributes of it.
    pub attributes: Vec<(String, Template)>,
}

/// How spans are made and exported: the variables `OTEL_…` (B-117).
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// Where spans go; `None` if nowhere.
    pub exporter: Option<ExporterSettings>,
    /// Which traces are recorded.
    pub sampler: SamplerSettings,
    /// How requests carry their context.
    pub propagators: Vec<Propagator>,
    /// What produces the spans, by attribute.
    pub resource: Vec<(String, String)>,
    /// How spans wait to be exported.
    pub batch: BatchSettings,
}

/// The receiver of spans.
#[derive(Debug, Clone, PartialEq)]
pub struct ExporterSettings {
    /// Its URL; for gRPC without a path.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: TraceProtocol,
    /// Further header fields, by name in lower case.
    pub headers: Vec<(String, Secret)>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whether what is sent is compressed.
    pub gzip: bool,
    /// The certificates that it must have one of, instead of those of the system.
    pub roots: Option<PathBuf>,
    /// The certificate and the key that it is shown.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a receiver of spans is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceProtocol {
    /// OTLP over HTTP, as protobuf.
    HttpProtobuf,
    /// OTLP over gRPC.
    Grpc,
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerSettings {
    /// Whether a trace that another process began is recorded as that one says.
    pub follows_parent: bool,
    /// The share of the other traces that is recorded, from 0 to 1.
    pub ratio: f64,
}

/// How a request carries its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// `traceparent` and `tracestate`.
    TraceContext,
    /// `baggage`, which is passed on as it is.
    Baggage,
    /// `b3`.
    B3,
    /// `X-B3-TraceId` and others.
    B3Multi,
}

/// How spans wait to be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// How many may wait; more are dropped.
    pub queue: usize,
    /// How many are exported at once.
    pub size: usize,
    /// How long the first one waits for others.
    pub delay: Duration,
    /// How long all attempts at one export may take.
    pub timeout: Duration,
}
