//! Traces: which requests have spans, and how these reach a collector by OTLP (ADR 0020).
//!
//! A site's directive `tracing` begins the span of a request ([`RequestSpan`]); the hub begins those below it. All go
//! to the [`Tracer`], whose queue a task empties: no request waits for a collector.

mod client;
mod encode;
mod exporting;
mod fanout;
mod grpc;
mod outcome;
mod pipeline;
mod propagation;
mod request;
mod tracer;

pub(crate) use self::pipeline::Traces;
pub(crate) use self::request::{RequestSpan, TracingStep};
pub(crate) use self::tracer::Tracer;
