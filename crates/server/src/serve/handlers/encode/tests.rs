//! Tests of the compression.

use std::process::{Command, Stdio};
use std::time::Duration;

use axum::body::to_bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, VARY};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

fn answer(kind: &str, bytes: usize) -> Response<Body> {
    let response = Response::builder().header(CONTENT_TYPE, kind);
    response
        .header(ETAG, "\"a\"")
        .body(Body::from("x".repeat(bytes)))
        .unwrap()
}

async fn encoded(response: Response<Body>, accept: &str, codings: &[Coding]) -> Response<Body> {
    let accept = HeaderValue::try_from(accept).unwrap();
    encode(response, Some(&accept), codings).await
}

fn coding(response: &Response<Body>) -> &str {
    let coding = response.headers().get(CONTENT_ENCODING);
    coding.map_or("", |coding| coding.to_str().unwrap())
}

/// The client's preference and the site's codings decide.
#[tokio::test]
async fn the_client_prefers() {
    for (accept, codings, expected) in [
        ("gzip", &ALL[..], "gzip"),
        ("gzip, deflate, br, zstd", &ALL, "zstd"),
        ("gzip, br", &ALL, "br"),
        ("gzip;q=1, br;q=0.5", &ALL, "gzip"),
        ("gzip, br, zstd", &[Coding::Gzip], "gzip"),
        ("gzip;q=0", &ALL, ""),
        ("br", &[Coding::Gzip], ""),
        ("deflate", &ALL, ""),
        ("identity", &ALL, ""),
        ("", &ALL, ""),
        ("gzip", &[], ""),
    ] {
        let response = encoded(answer("text/html", 4096), accept, codings).await;
        assert_eq!(coding(&response), expected, "{accept}");
        let headers = response.headers();
        assert_eq!(headers.contains_key(VARY), !codings.is_empty(), "{accept}");
        let is_encoded = !expected.is_empty();
        assert_eq!(headers[ETAG], if is_encoded { "W/\"a\"" } else { "\"a\"" });
        assert_eq!(response.body().size_hint().exact().is_none(), is_encoded);
    }
    let response = encode(answer("text/html", 4096), None, &ALL).await;
    assert_eq!(
        (coding(&response), &response.headers()[VARY]),
        ("", &HeaderValue::from_static("accept-encoding"))
    );
}

/// What is decoded by another program is what was encoded.
#[tokio::test]
async fn gzip_is_gzip() {
    let text = "The hub sends updates. ".repeat(1000);
    let response = Response::builder()
        .header(CONTENT_TYPE, "text/plain")
        .header(CONTENT_LENGTH, text.len());
    let response = encoded(
        response.body(Body::from(text.clone())).unwrap(),
        "gzip",
        &ALL,
    )
    .await;
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    assert!(bytes.len() < text.len() / 10);
    let mut gunzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut gunzip.stdin.take().unwrap(), &bytes).unwrap();
    assert_eq!(gunzip.wait_with_output().unwrap().stdout, text.as_bytes());
}

#[tokio::test]
async fn only_text_is_compressed() {
    for kind in [
        "text/html",
        "Text/CSS; charset=utf-8",
        "application/json",
        "application/ld+json",
        "application/javascript",
        "application/xml",
        "application/atom+xml",
        "image/svg+xml",
        "application/wasm",
        "font/ttf",
    ] {
        let response = encoded(answer(kind, 4096), "gzip", &ALL).await;
        assert_eq!(coding(&response), "gzip", "{kind}");
    }
    for kind in [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "text/event-stream ; x",
        "image/png",
        "font/woff2",
        "application/octet-stream",
        "video/mp4",
        "application/grpc",
        "nonsense",
        "",
    ] {
        let response = encoded(answer(kind, 4096), "gzip", &ALL).await;
        assert_eq!(coding(&response), "", "{kind}");
        assert!(!response.headers().contains_key(VARY), "{kind}");
    }
}

#[tokio::test]
async fn the_rest_is_left_alone() {
    assert_eq!(
        coding(&encoded(answer("text/html", 511), "gzip", &ALL).await),
        ""
    );
    assert_eq!(
        coding(&encoded(answer("text/html", 512), "gzip", &ALL).await),
        "gzip"
    );
    for (name, value, status) in [
        (CONTENT_ENCODING, "br", StatusCode::OK),
        (CACHE_CONTROL, "public, No-Transform", StatusCode::OK),
        (
            CONTENT_RANGE,
            "bytes 0-4095/9999",
            StatusCode::PARTIAL_CONTENT,
        ),
    ] {
        let mut response = answer("text/html", 4096);
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(name.clone(), HeaderValue::from_static(value));
        let response = encoded(response, "gzip", &ALL).await;
        let expected = if name == CONTENT_ENCODING { "br" } else { "" };
        assert_eq!(coding(&response), expected, "{name}");
        assert_eq!(response.headers()[ETAG], "\"a\"");
    }
}

/// A body that comes from a channel.
struct Channel(UnboundedReceiver<Result<Bytes, axum::Error>>);

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0
            .poll_recv(context)
            .map(|next| next.map(|next| next.map(Frame::data)))
    }
}

/// What a slow source sends reaches the client before the source goes on, and a failure stays one.
#[tokio::test]
async fn nothing_is_held_back() {
    for accept in ["gzip", "br", "zstd"] {
        let (sender, receiver) = unbounded_channel();
        let response = Response::builder().header(CONTENT_TYPE, "text/html");
        let response = response.body(Body::new(Channel(receiver))).unwrap();
        let mut response = encoded(response, accept, &ALL).await;
        assert_eq!(coding(&response), accept);
        for _ in 0..2 {
            sender.send(Ok(Bytes::from_static(b"a part"))).unwrap();
            let next =
                std::future::poll_fn(|context| Pin::new(response.body_mut()).poll_frame(context));
            let next = tokio::time::timeout(Duration::from_secs(10), next)
                .await
                .unwrap();
            assert!(next.unwrap().is_ok(), "{accept}");
        }
        sender
            .send(Err(axum::Error::new(std::io::Error::other("broken"))))
            .unwrap();
        assert!(
            to_bytes(response.into_body(), 1 << 20).await.is_err(),
            "{accept}"
        );
    }
}
