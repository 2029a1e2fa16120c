//! A receiver of OTLP, as a collector is one: it decodes what it is sent, and keeps it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as Message;
use prost::Message as _;
use talaria_conformance::within;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How a collector answers an export.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As it should.
    Taken,
    /// With this status.
    Status(u16),
    /// With bytes of another kind.
    Garbage,
    /// Never.
    Never,
}

/// A span that arrived, with its attributes as texts.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) message: Message,
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) resource: HashMap<String, String>,
}

impl Span {
    pub(crate) fn name(&self) -> &str {
        &self.message.name
    }

    pub(crate) fn trace(&self) -> String {
        hex(&self.message.trace_id)
    }

    pub(crate) fn id(&self) -> String {
        hex(&self.message.span_id)
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.message.parent_span_id)
    }

    /// The value of an attribute, or `""`.
    pub(crate) fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// The code of its status: 2 is an error.
    pub(crate) fn status(&self) -> i32 {
        self.message.status.as_ref().map_or(0, |status| status.code)
    }
}

#[derive(Default)]
struct Arrived {
    spans: Mutex<Vec<Span>>,
    heads: Mutex<Vec<HeaderMap>>,
    more: Notify,
}

/// A collector on a port of this machine.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    arrived: Arc<Arrived>,
    _task: tokio::task::JoinSet<()>,
}

impl Collector {
    /// Receives OTLP over HTTP.
    pub(crate) async fn start(answer: Answer) -> Self {
        Self::listen(answer, false).await
    }

    /// Receives OTLP over gRPC.
    pub(crate) async fn grpc() -> Self {
        Self::listen(Answer::Taken, true).await
    }

    async fn listen(answer: Answer, is_grpc: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let arrived = Arc::<Arrived>::default();
        let mut task = tokio::task::JoinSet::new();
        let kept = Arc::clone(&arrived);
        task.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| {
                    let kept = Arc::clone(&kept);
                    async move {
                        Ok::<_, std::convert::Infallible>(
                            take(&kept, request, answer, is_grpc).await,
                        )
                    }
                });
                let io = TokioIo::new(socket);
                connections.spawn(async move {
                    // A hub that is killed breaks its connections off.
                    _ = match is_grpc {
                        true => {
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                                .serve_connection(io, service)
                                .await
                        }
                        false => {
                            hyper::server::conn::http1::Builder::new()
                                .serve_connection(io, service)
                                .await
                        }
                    };
                });
            }
        });
        Self {
            address,
            arrived,
            _task: task,
        }
    }

    /// Waits until `find` finds something in what has arrived.
    pub(crate) async fn wait<T>(&self, what: &str, find: impl Fn(&[Span]) -> Option<T>) -> T {
        within(what, async {
            loop {
                let more = self.arrived.more.notified();
                if let Some(found) = find(&self.spans()) {
                    return found;
                }
                more.await;
            }
        })
        .await
    }

    /// Waits for the first span that `is_wanted` accepts.
    pub(crate) async fn span(&self, what: &str, is_wanted: impl Fn(&Span) -> bool) -> Span {
        self.wait(what, |spans| {
            spans.iter().find(|span| is_wanted(span)).cloned()
        })
        .await
    }

    /// What has arrived.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.arrived.spans.lock().unwrap().clone()
    }

    /// The heads of the exports.
    pub(crate) fn heads(&self) -> Vec<HeaderMap> {
        self.arrived.heads.lock().unwrap().clone()
    }

    /// Waits for an export, whatever becomes of it.
    pub(crate) async fn asked(&self) {
        within("an export", async {
            loop {
                let more = self.arrived.more.notified();
                if !self.heads().is_empty() {
                    return;
                }
                more.await;
            }
        })
        .await;
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

async fn take(
    kept: &Arrived,
    request: Request<Incoming>,
    answer: Answer,
    is_grpc: bool,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole export").to_bytes();
    kept.heads.lock().unwrap().push(head.headers.clone());
    let path = head.uri.path();
    let message = match is_grpc {
        true => {
            assert_eq!(
                path,
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            );
            assert_eq!(head.headers["content-type"], "application/grpc");
            assert_eq!(body[0], 0, "it is not compressed");
            body.slice(5..)
        }
        false => {
            assert_eq!(path, "/v1/traces");
            assert_eq!(head.headers["content-type"], "application/x-protobuf");
            body
        }
    };
    if head.headers.get("content-encoding").is_none() && answer == Answer::Taken {
        keep(kept, &message);
    }
    kept.more.notify_waiters();
    let text = |text: &'static str| Full::from(text).boxed();
    match answer {
        Answer::Taken if is_grpc => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [
                Frame::data(Bytes::from_static(&[0; 5])),
                Frame::trailers(trailers),
            ];
            let body = frames.into_iter().map(Ok);
            let body =
                http_body_util::StreamBody::new(Iterated(body.collect::<Vec<_>>().into_iter()));
            let mut response = Response::new(body.boxed());
            let kind = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert("content-type", kind);
            response
        }
        Answer::Taken => Response::new(text("")),
        Answer::Garbage => Response::new(text("<html>\u{0}\u{7f}")),
        Answer::Status(status) => {
            let mut response = Response::new(text(""));
            *response.status_mut() = status.try_into().unwrap();
            response
        }
        Answer::Never => std::future::pending().await,
    }
}

fn keep(kept: &Arrived, message: &Bytes) {
    let request = ExportTraceServiceRequest::decode(message.clone()).expect("a message of OTLP");
    let mut spans = kept.spans.lock().unwrap();
    for group in request.resource_spans {
        let resource = group.resource.unwrap_or_default();
        let resource = texts(&resource.attributes);
        for message in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                attributes: texts(&message.attributes),
                resource: resource.clone(),
                message,
            });
        }
    }
}

/// The items of an iterator as a stream.
struct Iterated<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Iterated<I> {
    type Item = I::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<I::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}

fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let pairs = attributes.iter();
    pairs
        .map(|pair| (pair.key.clone(), text(pair.value.as_ref())))
        .collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(array)) => {
            let texts: Vec<String> = array.values.iter().map(|one| text(Some(one))).collect();
            texts.join(" ")
        }
        other => panic!("no value of ours: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
