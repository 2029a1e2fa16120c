//! HTTP/2 without TLS, with prior knowledge.

use std::time::Duration;

use http::Version;
use serde_json::json;
use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::{HUB_PATH, within, within_time};

/// A subscription to `a` with this token on a connection whose streams begin with this window,
/// once its head has come.
async fn subscribed(hub: &Hub, token: &str, window: u32) -> Frames {
    let mut frames = Frames::connect(hub.address, window).await;
    let target = format!("{HUB_PATH}?match=a");
    let bearer = format!("Bearer {token}");
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", &target),
        ("authorization", &bearer),
    ];
    frames.output.request(1, &fields).await;
    loop {
        let frame = within("the head", frames.input.next()).await;
        let frame = frame.unwrap().expect("the connection goes on");
        if frame.kind == kind::HEADERS {
            assert!(!frame.ends_stream(), "the hub accepts");
            return frames;
        }
    }
}

/// The bytes of the stream up to its end, or that of the connection, whichever way it comes. When
/// `opens_at` has come, in seconds since the epoch, the client lets everything through.
async fn rest(mut frames: Frames, opens_at: f64) -> Vec<u8> {
    let wait = Duration::from_secs_f64((opens_at - now_exactly()).max(0.0));
    let opens = tokio::time::Instant::now() + wait;
    let mut opened = false;
    let mut bytes = Vec::new();
    loop {
        tokio::select! {
            frame = frames.input.next() => {
                let Ok(Some(frame)) = frame else { return bytes };
                if frame.kind == kind::DATA {
                    bytes.extend_from_slice(&frame.payload);
                }
                if frame.stream == 1 && frame.ends_stream() {
                    return bytes;
                }
            }
            () = tokio::time::sleep_until(opens), if !opened => {
                frames.output.widen(1, 65_535).await;
                opened = true;
            }
        }
    }
}

/// The windows of streams, and what comes through them: nothing, the comment, and the first byte of
/// an update whose others then wait in the hub's HTTP/2 layer.
const WINDOWS: [(u32, &[u8]); 3] = [(0, b""), (2, b":\n"), (3, b":\ni")];

/// Subscriptions to `a` with each window, once an update was published and has filled them.
async fn filled(hub: &Hub, token: &str) -> Vec<Frames> {
    let mut all = Vec::new();
    for (window, _) in WINDOWS {
        all.push(subscribed(hub, token, window).await);
    }
    hub.publisher()
        .published(&[("topic", "a"), ("data", "secret"), ("private", "on")])
        .await;
    for (frames, (_, fits)) in all.iter_mut().zip(WINDOWS) {
        let mut bytes = Vec::new();
        while bytes.len() < fits.len() {
            let frame = within("what the window lets through", frames.input.next()).await;
            let frame = frame.unwrap().expect("the connection goes on");
            if frame.kind == kind::DATA {
                bytes.extend(frame.payload);
            }
        }
        assert_eq!(bytes, fits);
    }
    all
}

/// "The connection SHOULD use HTTP version 2 or higher": publish and subscribe, also resuming.
#[tokio::test]
async fn everything_works_over_http2() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().http2().subscribe(&[exact("a")]).await;
    assert_eq!(stream.version, Version::HTTP_2);
    assert_eq!(
        stream.header("connection"),
        "",
        "HTTP/2 has no connection fields"
    );
    let mut publisher = hub.publisher().http2().keep().await;
    let id = publisher.publish(&[("topic", "a"), ("data", "1")]).await;
    publisher.publish(&[("topic", "a"), ("data", "2")]).await;
    assert_eq!(stream.several().await, ["1", "2"]);
    let mut resumed = hub
        .client()
        .http2()
        .last_event_id(&id)
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(resumed.data().await, "2");
    let mut queried = hub
        .client()
        .http2()
        .query(&[("last_event_id", &id)], &[("match", "a")])
        .await;
    assert_eq!(queried.data().await, "2");
    let refused = hub.client().http2().publish(&[("topic", "a")]).await;
    assert_eq!(refused.status, 401);
}

/// "the hub MUST close the connection no later than the token's `exp` time": what flow control held
/// back until then never leaves, although the client opens its window right after. (The hub's timer
/// gets a moment, since both clocks tick in whole milliseconds and the machine may be busy.)
#[tokio::test]
async fn nothing_leaves_after_exp() {
    let hub = Hub::ordinary();
    let exp = now_exactly().floor() + 4.0;
    let token = Token::new(&hub.audience)
        .grant("subscribe", &[exact("a")])
        .claim("exp", json!(exp));
    let mut ends = tokio::task::JoinSet::new();
    for (number, frames) in filled(&hub, &hub.sign_as_subscriber(&token))
        .await
        .into_iter()
        .enumerate()
    {
        ends.spawn(async move { (WINDOWS[number], rest(frames, exp + 0.2).await) });
    }
    while let Some(end) =
        within_time(Duration::from_secs(20), "the end at exp", ends.join_next()).await
    {
        let ((window, _), bytes) = end.unwrap();
        let bytes = String::from_utf8_lossy(&bytes);
        assert_eq!(bytes, "", "came after exp with a window of {window}");
        let late = now_exactly() - exp;
        assert!((-0.6..2.0).contains(&late), "ended {late} s after exp");
    }
}

/// `write_timeout` bounds the life of a stream that flow control keeps from ending, too.
#[tokio::test]
async fn rotation_ends_a_stream_without_window() {
    let hub = Hub::start("anonymous\ntransport memory\nwrite_timeout 1s");
    let token = hub.subscriber_token(&[exact("a")]);
    let mut ends = tokio::task::JoinSet::new();
    for frames in filled(&hub, &token).await {
        ends.spawn(rest(frames, f64::from(u32::MAX)));
    }
    while let Some(end) = within_time(Duration::from_secs(30), "the end", ends.join_next()).await {
        assert_eq!(end.unwrap(), b"", "nothing more fits");
    }
}

/// An answer may come before the body, but then the stream is reset, which curl (and so PHP) takes
/// for an error while it still sends (RFC 9113, section 8.1). So a short body is taken first.
#[tokio::test]
async fn a_refused_publish_is_answered_after_its_body() {
    let hub = Hub::ordinary();
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", HUB_PATH),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    frames.output.request_with_body(1, &fields).await;
    // Its acknowledgement says that the hub has the head, and has had time to refuse it.
    frames.output.send(kind::PING, 0, 0, &[0; 8]).await;
    loop {
        let frame = within("the acknowledgement", frames.input.next()).await;
        let frame = frame.unwrap().expect("the connection goes on");
        assert_ne!(frame.stream, 1, "{frame:?}");
        if frame.kind == kind::PING {
            break;
        }
    }
    frames
        .output
        .send(kind::DATA, 1, 1, b"topic=a&data=b")
        .await;
    let mut ended = false;
    frames.output.send(kind::PING, 0, 0, &[1; 8]).await;
    loop {
        let frame = within("the answer", frames.input.next()).await;
        let frame = frame.unwrap().expect("the connection goes on");
        assert_ne!(frame.kind, kind::RST_STREAM, "{frame:?}");
        ended |= frame.stream == 1 && frame.ends_stream();
        if ended {
            break;
        }
    }
    // A second one, after which a reset would have come.
    frames.output.send(kind::PING, 0, 0, &[2; 8]).await;
    loop {
        let frame = within("the acknowledgement", frames.input.next()).await;
        let frame = frame.unwrap().expect("the connection goes on");
        assert_ne!(frame.kind, kind::RST_STREAM, "{frame:?}");
        if frame.kind == kind::PING && frame.payload == [2; 8] {
            return;
        }
    }
}
