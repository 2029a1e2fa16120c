//! The context of a request that is passed on to another server.

use talaria_conformance::hub::Home;

use super::collector::{Answer, Collector, Span};
use super::{CALLER, TRACE, start, variables};

/// What is passed on to another server carries the context, by each notation that is asked for, and placeholders have
/// its ids.
#[tokio::test]
async fn the_context_is_passed_on() {
    let collector = Collector::start(Answer::Taken).await;
    let backend = Backend::start().await;
    let mut variables = variables(&collector);
    variables.push((
        "CADDY_SERVER_EXTRA_DIRECTIVES",
        format!(
            "tracing\nrequest_header X-Trace {{http.vars.trace_id}}/{{vars.span_id}}\nreverse_proxy /app {}",
            backend.0
        ),
    ));
    variables.push(("OTEL_PROPAGATORS", "b3,tracecontext".to_owned()));
    let hub = start(&Home::new(), "anonymous", &variables);
    let client = hub.client().header("b3", &format!("{TRACE}-{CALLER}-1"));
    let head = client.get("/app").await.text;
    let of_trace = |span: &Span| span.trace() == TRACE;
    let request = collector.span("the request", of_trace).await;
    assert_eq!(request.parent(), CALLER);
    let id = request.id();
    for line in [
        format!("traceparent: 00-{TRACE}-{id}-01"),
        format!("b3: {TRACE}-{id}-1"),
        format!("x-trace: {TRACE}/{id}"),
    ] {
        assert!(
            head.to_lowercase().contains(&line),
            "{line} is not in\n{head}"
        );
    }
    hub.stop().await;
}

/// Answers with the head of the request.
struct Backend(
    std::net::SocketAddr,
    #[expect(dead_code, reason = "it ends with this")] tokio::task::JoinSet<()>,
);

impl Backend {
    async fn start() -> Self {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match socket.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    head.len()
                );
                _ = socket.write_all(&[answer.as_bytes(), &head].concat()).await;
            }
        });
        Self(address, task)
    }
}
