//! The one call of OTLP over gRPC, which needs no more than a frame around the message and a status behind the answer.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use http::header::{CONTENT_TYPE, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri, request};
use hyper::body::Body as _;

use super::outcome::{Outcome, taken};

const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Codes after which another attempt may succeed (OTLP, "Failures"): cancelled, deadline exceeded, aborted, out of
/// range, unavailable, data loss. Also that of exhausted resources, of which the collector may have more later.
const PASSING: &[&str] = &["1", "4", "8", "10", "11", "14", "15"];

/// Where the call goes.
pub(super) fn uri(endpoint: &str) -> Result<Uri, http::Error> {
    let mut parts = endpoint.parse::<Uri>()?.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static(METHOD));
    Ok(Uri::from_parts(parts)?)
}

/// The head of the call.
pub(super) fn request(uri: &Uri, gzip: bool) -> request::Builder {
    let request = Request::post(uri.clone())
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers");
    match gzip {
        true => request.header("grpc-encoding", "gzip"),
        false => request,
    }
}

/// A message in its frame.
pub(super) fn framed(message: &[u8], gzip: bool) -> Vec<u8> {
    // A batch is far from four GiB.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(PREFIX + message.len());
    frame.push(u8::from(gzip));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// Reads the answer, of at most `most` bytes.
pub(super) async fn outcome(answer: Response<Body>, most: usize) -> Result<Outcome, String> {
    let (head, mut body) = answer.into_parts();
    let mut content = Vec::new();
    // Without a message the status is in the head.
    let mut status = status(&head.headers);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        match frame.into_data() {
            Ok(data) if content.len() + data.len() > most => {
                return Ok(Outcome::Refused("it answers too much".to_owned()));
            }
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                status = self::status(&trailers).or(status);
            }
        }
    }
    Ok(match status {
        Some((code, _)) if code == "0" => taken(content.get(PREFIX..).unwrap_or_default()),
        Some((code, says)) => {
            let why = format!("it answers the gRPC status {code} {says}");
            match PASSING.contains(&code.as_str()) {
                true => Outcome::Later { why, after: None },
                false => Outcome::Refused(why),
            }
        }
        None => Outcome::Refused(format!(
            "it answers {} without a gRPC status; is this a collector's port for gRPC?",
            head.status
        )),
    })
}

/// The code and the message.
fn status(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name| headers.get(name)?.to_str().ok();
    let code = text("grpc-status")?.to_owned();
    Some((code, text("grpc-message").unwrap_or_default().to_owned()))
}
