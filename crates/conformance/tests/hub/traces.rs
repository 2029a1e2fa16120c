//! Traces: from a publish with a W3C context to its deliveries, as a collector receives them by OTLP.

mod collector;
mod exporting;
mod passing;

use serde_json::json;
use talaria_conformance::HUB_PATH;
use talaria_conformance::client::{Client, target};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{ISSUER, Token, exact};

use self::collector::{Answer, Collector, Span};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The variables of a hub whose site is traced, and whose spans go to `collector`.
fn variables(collector: &Collector) -> Vec<(&'static str, String)> {
    vec![
        ("MERCURE_TRUSTED_ISSUERS", ISSUER.to_owned()),
        ("CADDY_SERVER_EXTRA_DIRECTIVES", "tracing".to_owned()),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", collector.address),
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
        ("OTEL_SERVICE_NAME", "a hub".to_owned()),
    ]
}

fn start(home: &Home, directives: &str, variables: &[(&'static str, String)]) -> Hub {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    home.start("http://127.0.0.1:0", directives, &variables)
        .expect("it starts")
}

fn traced(collector: &Collector, directives: &str) -> Hub {
    start(&Home::new(), directives, &variables(collector))
}

/// A client whose requests are sampled operations of the trace.
fn in_trace(client: Client) -> Client {
    client
        .header("traceparent", &format!("00-{TRACE}-{CALLER}-01"))
        .header("tracestate", "vendor=1")
}

fn delivered(span: &Span) -> bool {
    span.name() == "mercure.deliver"
}

/// An update is published and received.
async fn works(hub: &Hub) {
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    in_trace(hub.publisher())
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    assert_eq!(stream.data().await, "1");
}

/// The spans of the trace by name: the request, the publish below it, and the delivery below that.
async fn chain(collector: &Collector) -> [Span; 3] {
    let of = |name: &'static str| move |span: &Span| span.trace() == TRACE && span.name() == name;
    let request = collector.span("the request", of("handler")).await;
    let publish = collector.span("the publish", of("mercure.publish")).await;
    let deliver = collector.span("the delivery", of("mercure.deliver")).await;
    assert_eq!(request.parent(), CALLER);
    assert_eq!(publish.parent(), request.id());
    assert_eq!(deliver.parent(), publish.id());
    [request, publish, deliver]
}

/// One trace goes from the caller over request and publish to the delivery, and says what was published; clients
/// notice nothing (W3C Trace Context, "Processing Model"; B-740, B-741, B-744).
#[tokio::test]
async fn one_trace_goes_from_publish_to_delivery() {
    let collector = Collector::start(Answer::Taken).await;
    let hub = traced(&collector, "anonymous\ntransport memory");
    let token = Token::new(&hub.audience).grant("subscribe", &[exact("*")]);
    let reader = hub.client().bearer(&hub.sign_as_subscriber(&token));
    let mut stream = reader.subscribe(&[exact("a")]).await;
    let publisher = in_trace(hub.publisher());
    let id = publisher
        .published(&[
            ("topic", "a"),
            ("topic", "b"),
            ("data", "1"),
            ("private", "on"),
        ])
        .await;
    let event = stream.event().await;
    assert_eq!((event.data.as_str(), event.id.as_str()), ("1", id.as_str()));
    let [request, publish, deliver] = chain(&collector).await;
    for span in [&publish, &deliver] {
        assert_eq!(span.attribute("mercure.update.id"), id);
        assert_eq!(span.attribute("mercure.topics"), "a b");
        assert_eq!(span.attribute("mercure.private"), "true");
        assert_eq!(span.message.trace_state, "vendor=1");
        assert_eq!(span.status(), 0);
        assert_eq!(span.resource["service.name"], "a hub");
    }
    assert_eq!(deliver.attribute("mercure.replayed"), "false");
    assert_eq!(request.attribute("http.request.method"), "POST");
    assert_eq!(request.attribute("http.response.status_code"), "200");
    assert_eq!(request.attribute("url.path"), HUB_PATH);
    // Server 2, producer 4, consumer 5.
    let kinds = [&request, &publish, &deliver].map(|span| span.message.kind);
    assert_eq!(kinds, [2, 4, 5]);
    let is_subscribe = |span: &Span| span.name() == "mercure.subscribe";
    let subscribe = collector.span("the subscription", is_subscribe).await;
    assert_eq!(subscribe.attribute("mercure.topics"), "exact:a");
    let subscriber = subscribe.attribute("mercure.subscriber.id");
    assert!(subscriber.starts_with("urn:uuid:"), "{subscriber}");
    assert_ne!(subscribe.trace(), TRACE);
    let link = deliver
        .message
        .links
        .first()
        .expect("a link to the subscription");
    assert_eq!(link.span_id, subscribe.message.span_id);
    hub.stop().await;
}

/// The context is in the record: a subscriber that comes after a restart is part of the trace, and its replay has a
/// span (B-743).
#[tokio::test]
async fn a_replay_after_a_restart_is_part_of_the_trace() {
    let collector = Collector::start(Answer::Taken).await;
    let home = Home::new();
    let directives = "anonymous\ntransport bolt";
    let hub = start(&home, directives, &variables(&collector));
    let id = in_trace(hub.publisher())
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    hub.stop().await;
    assert!(!collector.spans().iter().any(delivered));
    let hub = start(&home, directives, &variables(&collector));
    let reader = hub.client().last_event_id("earliest");
    let mut stream = reader.subscribe(&[exact("a")]).await;
    assert_eq!(stream.data().await, "1");
    let [.., deliver] = chain(&collector).await;
    assert_eq!(deliver.attribute("mercure.update.id"), id);
    assert_eq!(deliver.attribute("mercure.replayed"), "true");
    assert_eq!(deliver.message.trace_state, "vendor=1");
    let is_replay = |span: &Span| span.name() == "mercure.transport.history";
    let replay = collector.span("the replay", is_replay).await;
    assert_eq!(replay.attribute("mercure.transport"), "bolt");
    assert_eq!(
        replay.attribute("mercure.last_event_id.requested"),
        "earliest"
    );
    assert_eq!(replay.attribute("mercure.history.updates"), "1");
    assert_eq!(replay.status(), 0);
    hub.stop().await;
}

/// Over HTTP/2, and for each update of a batch.
#[tokio::test]
async fn batches_over_http2_are_part_of_the_trace() {
    let collector = Collector::start(Answer::Taken).await;
    let hub = traced(&collector, "anonymous\ntransport memory");
    let mut stream = hub.client().http2().subscribe(&[exact("*")]).await;
    let lines: String = (0..3)
        .map(|n| {
            format!(
                "{}\n",
                json!({ "topic": format!("t{n}"), "data": n.to_string() })
            )
        })
        .collect();
    let answer = in_trace(hub.publisher().http2())
        .header("content-type", "application/x-ndjson")
        .send("POST", HUB_PATH, lines)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(stream.several().await, ["0", "1", "2"]);
    let [_, publish, _] = chain(&collector).await;
    assert_eq!(publish.attribute("mercure.updates"), "3");
    assert_eq!(publish.attribute("mercure.topics"), "t0 t1 t2");
    let deliveries = collector.wait("three deliveries", |spans| {
        let all: Vec<Span> = spans
            .iter()
            .filter(|span| delivered(span))
            .cloned()
            .collect();
        (all.len() == 3).then_some(all)
    });
    for deliver in deliveries.await {
        assert_eq!(
            (deliver.trace(), deliver.parent()),
            (TRACE.to_owned(), publish.id())
        );
    }
    let is_request = |span: &Span| span.name() == "handler" && span.trace() == TRACE;
    let request = collector.span("the request", is_request).await;
    assert_eq!(request.attribute("network.protocol.version"), "2");
    hub.stop().await;
}

/// However many streams an update goes to, it has a bounded number of spans.
#[tokio::test]
async fn the_deliveries_of_an_update_are_bounded() {
    let collector = Collector::start(Answer::Taken).await;
    let hub = traced(&collector, "anonymous\ntransport memory");
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(hub.client().subscribe(&[exact("a")]).await);
    }
    in_trace(hub.publisher())
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    for stream in &mut streams {
        assert_eq!(stream.data().await, "1");
    }
    drop(streams);
    // What waits is exported before the program ends.
    hub.stop().await;
    let spans = collector.spans();
    assert_eq!(spans.iter().filter(|span| delivered(span)).count(), 16);
    let subscribed = spans
        .iter()
        .filter(|span| span.name() == "mercure.subscribe");
    assert_eq!(subscribed.count(), 40);
}

/// A caller that does not record the trace is followed; without the directive there are no spans at all.
#[tokio::test]
async fn only_what_is_sampled_and_asked_for_has_spans() {
    let collector = Collector::start(Answer::Taken).await;
    let hub = traced(&collector, "anonymous\ntransport memory");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let unsampled = format!("00-{TRACE}-{CALLER}-00");
    let publisher = hub.publisher().header("traceparent", &unsampled);
    publisher.published(&[("topic", "a"), ("data", "1")]).await;
    assert_eq!(stream.data().await, "1");
    hub.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name() == "mercure.subscribe"));
    assert!(
        !spans
            .iter()
            .any(|span| span.trace() == TRACE || delivered(span))
    );

    let silent = Collector::start(Answer::Taken).await;
    let mut without = variables(&silent);
    without.retain(|(name, _)| !name.starts_with("CADDY"));
    let mut disabled = variables(&silent);
    disabled.push(("OTEL_SDK_DISABLED", "true".to_owned()));
    for variables in [without, disabled] {
        let hub = start(&Home::new(), "anonymous\ntransport memory", &variables);
        in_trace(hub.publisher())
            .published(&[("topic", "a"), ("data", "1")])
            .await;
        hub.stop().await;
    }
    assert!(silent.spans().is_empty());
}

/// A refusal is an error of the hub's span, with an exception; neither says anything of the token (B-744).
#[tokio::test]
async fn refusals_are_errors_without_secrets() {
    let collector = Collector::start(Answer::Taken).await;
    let directives = "subscriptions\nprotocol_version_compatibility 7\ntransport memory";
    let mut variables = variables(&collector);
    variables.push((
        "CADDY_SERVER_EXTRA_DIRECTIVES",
        "tracing {\n span \"{method} {path}\"\n span_attributes {\n target {uri}\n jwt {query.jwt}\n }\n}".to_owned(),
    ));
    variables.push((
        "OTEL_EXPORTER_OTLP_HEADERS",
        "x-api-key=canary%2Ckey,x-tenant=t".to_owned(),
    ));
    let hub = start(&Home::new(), directives, &variables);
    let token = Token::new(&hub.audience).grant("publish", &[exact("b")]);
    let token = hub.sign_as_publisher(&token);
    let secret = token.rsplit('.').next().unwrap_or_default().to_owned();
    let publisher = hub.client().bearer(&token);
    let refused = publisher.publish(&[("topic", "a"), ("data", "canary-data")]);
    assert_eq!(refused.await.status, 403);
    let query = target(&[("topic", "a"), ("authorization", &token)]);
    assert_eq!(hub.client().get(&query).await.status, 401);
    for hidden in [
        format!("/other/{token}?x=1"),
        "/other?%61uthorization=canary-1".to_owned(),
        "/other?JWT=canary-2&access_token=canary-3".to_owned(),
    ] {
        let agent = hub.client().header("user-agent", "Bearer canary-4");
        assert_eq!(agent.get(&hidden).await.status, 404);
    }
    let of = |name: &'static str| move |span: &Span| span.name() == name;
    collector
        .span("a token in a path", of("GET /other/REDACTED"))
        .await;
    let publish = collector.span("the publish", of("mercure.publish")).await;
    assert_eq!(publish.status(), 2);
    let exception = publish.message.events.first().expect("an exception");
    assert_eq!(exception.name, "exception");
    let subscribe = collector
        .span("the subscription", of("mercure.subscribe"))
        .await;
    assert_eq!(subscribe.status(), 2);
    let request = collector
        .span("a request", of("GET /.well-known/mercure"))
        .await;
    assert_eq!(request.attribute("http.response.status_code"), "401");
    assert_eq!(
        request.status(),
        0,
        "a client's fault is not an error of the server"
    );
    assert!(
        request
            .attribute("target")
            .ends_with("authorization=REDACTED")
    );
    let head = collector.heads().remove(0);
    assert_eq!(head["x-api-key"], "canary,key");
    assert_eq!(head["x-tenant"], "t");
    let log = hub.log_to_the_end().await.join("\n");
    let spans = format!("{:?}", collector.spans());
    for word in [secret.as_str(), "canary"] {
        assert!(!spans.contains(word), "{word} is in a span");
        assert!(!log.contains(word), "{word} is in the log:\n{log}");
    }
}
