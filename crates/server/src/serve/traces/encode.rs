//! Spans as messages of OTLP.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind as Kind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as Message, SpanFlags, Status,
};
use prost::Message as _;
use talaria_hub::trace::{Span, SpanKind, SpanValue};
use talaria_protocol::TraceContext;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What produces the spans: these attributes, and the version of the program.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let own = [
        ("service.version", VERSION),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.name", "talaria"),
        ("telemetry.sdk.version", VERSION),
    ];
    let is_missing = |key: &str| attributes.iter().all(|(known, _)| known != key);
    let own = own.into_iter().filter(|(key, _)| is_missing(key));
    let written = attributes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    Resource {
        attributes: written
            .chain(own)
            .map(|(key, value)| pair(key, Value::StringValue(value.to_owned())))
            .collect(),
        ..Resource::default()
    }
}

/// The message that exports these spans.
pub(super) fn request(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "talaria".to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.into_iter().map(message).collect(),
        ..ScopeSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}

fn message(span: Span) -> Message {
    let attributes = span.attributes.into_iter();
    let attributes = attributes.map(|(key, of)| pair(&key, value(of)));
    let mut flags = u32::from(span.context.flags);
    if span.parent.is_some() {
        flags |= SpanFlags::ContextHasIsRemoteMask as u32;
        if span.is_parent_remote {
            flags |= SpanFlags::ContextIsRemoteMask as u32;
        }
    }
    let failure = span.failure.as_ref();
    let exception = failure.map(|failure| Event {
        time_unix_nano: nanoseconds(span.ended),
        name: "exception".to_owned(),
        attributes: vec![
            pair(
                "exception.type",
                Value::StringValue(failure.kind.clone().into_owned()),
            ),
            pair(
                "exception.message",
                Value::StringValue(failure.message.clone()),
            ),
        ],
        dropped_attributes_count: 0,
    });
    let status = failure.map(|failure| Status {
        message: failure.message.clone(),
        code: StatusCode::Error.into(),
    });
    Message {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        trace_state: span.context.state.to_string(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags,
        name: span.name.into_owned(),
        kind: kind(span.kind).into(),
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes: attributes.collect(),
        events: exception.into_iter().collect(),
        links: span.links.iter().map(|link| linked(link)).collect(),
        status,
        ..Message::default()
    }
}

fn linked(context: &TraceContext) -> Link {
    Link {
        trace_id: context.trace_id.to_vec(),
        span_id: context.span_id.to_vec(),
        trace_state: context.state.to_string(),
        flags: context.flags.into(),
        ..Link::default()
    }
}

fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Server => Kind::Server,
        SpanKind::Internal => Kind::Internal,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
    }
}

fn value(value: SpanValue) -> Value {
    match value {
        SpanValue::Text(text) => Value::StringValue(text),
        SpanValue::Texts(texts) => {
            let values = texts.into_iter().map(|text| any(Value::StringValue(text)));
            Value::ArrayValue(ArrayValue {
                values: values.collect(),
            })
        }
        SpanValue::Flag(flag) => Value::BoolValue(flag),
        SpanValue::Number(number) => Value::IntValue(number),
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
