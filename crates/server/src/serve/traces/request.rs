//! The span of a request, which the directive `tracing` begins.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response, Version};
use talaria_config::settings::{Template, TracingSettings};
use talaria_hub::trace::{ActiveSpan, SpanFailure, SpanKind, SpanSink, SpanValue, Tracing};
use talaria_hub::{Connection, Unanswered};
use talaria_protocol::TraceContext;

use super::propagation::{Caller, extract, ids, inject};
use super::tracer::Tracer;
use crate::serve::log::Clean;

/// The most bytes of a span's name.
const NAME_BYTES: usize = 128;

/// The directive `tracing` of a site.
pub(crate) struct TracingStep {
    tracer: Arc<Tracer>,
    settings: TracingSettings,
}

impl TracingStep {
    /// The directive, whose spans go to `tracer`.
    pub(crate) fn new(tracer: &Arc<Tracer>, settings: TracingSettings) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            settings,
        }
    }
}

/// The span of a request from the directive on.
pub(crate) struct RequestSpan {
    span: ActiveSpan,
    context: Arc<TraceContext>,
}

impl RequestSpan {
    /// Begins the span, below the one of an earlier directive or that of the caller. What answers the request gets
    /// its context. `fill` replaces placeholders.
    pub(crate) fn begin(
        step: &TracingStep,
        around: Option<&Self>,
        parts: &mut Parts,
        connection: Option<&Connection>,
        fill: impl Fn(&Parts, &Template) -> String,
    ) -> Self {
        let tracer = &step.tracer;
        let caller = match around {
            Some(around) => Some(Caller {
                context: (*around.context).clone(),
                decision: None,
            }),
            None => extract(&parts.headers, &tracer.propagators),
        };
        let (context, parent) = place(tracer, around, caller.as_ref());
        let sink: Arc<dyn SpanSink> = Arc::clone(tracer) as _;
        let mut span = ActiveSpan::default();
        if context.is_sampled() {
            let name = fill(parts, &step.settings.name);
            let name = name.get(..name.floor_char_boundary(NAME_BYTES));
            let name = name.unwrap_or_default().to_owned();
            span = ActiveSpan::new(&sink, Arc::clone(&context), parent, name, SpanKind::Server);
            if around.is_none() && parent.is_some() {
                span.parent_is_remote();
            }
            describe(&mut span, parts, connection);
            for (key, value) in &step.settings.attributes {
                let value = fill(parts, value);
                span.set(key.clone(), || SpanValue::text(&value));
            }
        }
        inject(&mut parts.headers, &context, &tracer.propagators);
        parts
            .extensions
            .insert(Tracing::new(sink, Arc::clone(&context)));
        Self { span, context }
    }

    /// The ids of its trace and of itself.
    pub(crate) fn ids(&self) -> (String, String) {
        let parent = self.context.traceparent();
        let (trace, span) = ids(&parent);
        (trace.to_owned(), span.to_owned())
    }

    /// Ends with the head of the answer: an event stream may last for long after it.
    pub(crate) fn end<B>(mut self, answer: &Response<B>) {
        let status = answer.status();
        if answer.extensions().get::<Unanswered>().is_some() {
            self.span.fail(|| SpanFailure::new("unanswered", ""));
        } else {
            self.span.set("http.response.status_code", || {
                SpanValue::number(status.as_u16())
            });
            if status.is_server_error() {
                let kind = status.as_str().to_owned();
                self.span.set("error.type", || SpanValue::text(&kind));
                self.span
                    .fail(|| SpanFailure::new(kind, status.canonical_reason().unwrap_or_default()));
            }
        }
        self.span.end();
    }
}

/// The place of a new span in its trace, and its parent.
fn place(
    tracer: &Tracer,
    around: Option<&RequestSpan>,
    caller: Option<&Caller>,
) -> (Arc<TraceContext>, Option<[u8; 8]>) {
    let trace_id = caller.map_or_else(
        || rand::random_range(1..=u128::MAX).to_be_bytes(),
        |caller| caller.context.trace_id,
    );
    let is_sampled = match around {
        Some(around) => around.context.is_sampled(),
        None => tracer.samples(trace_id, caller.and_then(|caller| caller.decision)),
    };
    // Whether a trace id is random is known by the one who made it.
    let random = caller.map_or(2, |caller| caller.context.flags & 2);
    let context = TraceContext {
        trace_id,
        span_id: rand::random_range(1..=u64::MAX).to_be_bytes(),
        flags: random | u8::from(is_sampled),
        state: caller.map_or_else(Box::default, |caller| caller.context.state.clone()),
    };
    (
        Arc::new(context),
        caller.map(|caller| caller.context.span_id),
    )
}

/// What every span of a request says (OpenTelemetry, semantic conventions for HTTP servers). The query is left out,
/// because it may hold a token.
fn describe(span: &mut ActiveSpan, parts: &Parts, connection: Option<&Connection>) {
    span.set("http.request.method", || {
        SpanValue::text(known_method(&parts.method))
    });
    span.set("url.path", || clean(parts.uri.path()));
    let tls = connection.is_some_and(|connection| connection.tls);
    span.set("url.scheme", || {
        SpanValue::text(if tls { "https" } else { "http" })
    });
    let version = match parts.version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    span.set("network.protocol.version", || SpanValue::text(version));
    if let Some(host) = talaria_hub::host_of(parts).ok().flatten() {
        span.set("server.address", || SpanValue::text(&host.host()));
        if let Some(port) = host.port() {
            span.set("server.port", || SpanValue::number(port));
        }
    }
    let peer = connection.and_then(|connection| connection.peer);
    let shown = |address: IpAddr| SpanValue::text(&address.to_canonical().to_string());
    if let Some(peer) = peer {
        span.set("network.peer.address", || shown(peer.ip()));
        span.set("network.peer.port", || SpanValue::number(peer.port()));
    }
    let client = connection.and_then(|connection| connection.client);
    if let Some(client) = client.or_else(|| peer.map(|peer| peer.ip())) {
        span.set("client.address", || shown(client));
    }
    let agent = parts.headers.get(http::header::USER_AGENT);
    if let Some(agent) = agent.and_then(|agent| agent.to_str().ok()) {
        span.set("user_agent.original", || clean(agent));
    }
}

/// A text of a client without the secrets that a log leaves out.
fn clean(text: &str) -> SpanValue {
    SpanValue::text(&String::from(Clean::of(text)))
}

/// The name of a method that is known, so that clients do not choose values.
fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("CONNECT" | "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT"
        | "QUERY" | "TRACE") => known,
        _ => "_OTHER",
    }
}
