//! Each reason for which a stream ends has its counter and its line of the log.

use rustix::process::Signal;
use serde_json::json;
use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::{Home, SUBSCRIBER_KEY};
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::{HUB_PATH, within};

use super::{Scrape, audience, publisher, start, until};
use crate::running::{Running, caddyfile};

/// Waits until `count` streams have ended for a reason, and for the line of the log; each series but this one is 0.
async fn ends(hub: &Running, reason: &str, count: f64) -> Scrape {
    let labels = [("hub", "default"), ("reason", reason)];
    let scrape = until(hub, "talaria_hub_disconnects_total", &labels, count).await;
    hub.logs(0, &format!("reason=\"{reason}\""));
    hub.logs(0, "subscriber disconnected");
    let all = scrape.value("talaria_hub_disconnects_total", &[]);
    assert_eq!(all, count, "{}", scrape.0);
    assert_eq!(
        scrape.value("talaria_hub_stream_duration_seconds_count", &[]),
        count
    );
    scrape
}

/// Begins a stream of an HTTP/2 connection that the test writes itself.
async fn open(hub: &Running, window: u32) -> Frames {
    let mut frames = Frames::connect(hub.address, window).await;
    request(hub, &mut frames, 1).await;
    frames
}

async fn request(hub: &Running, frames: &mut Frames, stream: u32) {
    let path = format!("{HUB_PATH}?match=a");
    let authority = hub.address.to_string();
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", &*authority),
        (":path", &*path),
    ];
    frames.output.request(stream, &fields).await;
    frames.next_of(kind::HEADERS, stream).await;
}

/// A client closes its connection, over HTTP/1.1 and HTTP/2. The lines of one subscriber have one name.
#[tokio::test]
async fn a_client_goes() {
    let hub = start("", "");
    let mut stream = hub.client().subscribe(&[exact("a"), exact("b")]).await;
    publisher(&hub)
        .published(&[("topic", "b"), ("data", "1")])
        .await;
    stream.data().await;
    drop(stream);
    ends(&hub, "client_gone", 1.0).await;
    let find = |words: &'static str| {
        let line = hub.log.find(0, talaria_conformance::PATIENCE, move |line| {
            line.contains(words).then(|| line.to_owned())
        });
        line.unwrap_or_else(|said| panic!("no {words}: {said}"))
    };
    let came = find("subscriber connected");
    let left = find("subscriber disconnected");
    let name = |line: &str| {
        let (_, name) = line.split_once("subscriber=").unwrap();
        name.split(' ').next().unwrap().to_owned()
    };
    assert!(name(&came).starts_with("urn:uuid:"), "{came}");
    assert_eq!(name(&came), name(&left));
    for words in [
        "matchers=[exact:\"a\", exact:\"b\"]",
        "generation=\"1.0\"",
        "protocol=\"HTTP/1.1\"",
        "peer=",
    ] {
        assert!(came.contains(words), "{words} in {came}");
    }
    for words in ["updates=1 ", "seconds=", "bytes="] {
        assert!(left.contains(words), "{words} in {left}");
    }
    drop(open(&hub, 1 << 20).await);
    ends(&hub, "client_gone", 2.0).await;
}

/// A client resets one stream of its connection, and another one goes on.
#[tokio::test]
async fn a_client_resets() {
    let hub = start("", "");
    let mut frames = open(&hub, 1 << 20).await;
    request(&hub, &mut frames, 3).await;
    let cancel = 8_u32.to_be_bytes();
    frames.output.send(kind::RST_STREAM, 0, 1, &cancel).await;
    let scrape = ends(&hub, "reset_by_client", 1.0).await;
    assert_eq!(scrape.value("mercure_subscribers_connected", &[]), 1.0);
}

/// A connection that is reset breaks off.
#[tokio::test]
async fn a_connection_breaks() {
    let hub = start("", "");
    let (mut socket, _) = hub.client().connect().await.unwrap();
    let request = format!(
        "GET {HUB_PATH}?match=a HTTP/1.1\r\nHost: {}\r\n\r\n",
        hub.address
    );
    talaria_conformance::raw::begin(&mut socket, request.as_bytes()).await;
    until(&hub, "mercure_subscribers_connected", &[], 1.0).await;
    // With a linger of zero the kernel sends a reset.
    socket.set_zero_linger().unwrap();
    drop(socket);
    ends(&hub, "connection_error", 1.0).await;
}

/// A client that takes nothing is cut, over HTTP/1.1 and on one stream of HTTP/2.
#[tokio::test]
async fn a_client_is_slow() {
    let hub = start("", "dispatch_timeout 300ms");
    let _slow = hub
        .client()
        .receive_buffer(4096)
        .subscribe(&[exact("a")])
        .await;
    let _blocked = open(&hub, 1).await;
    let data = "x".repeat(64 * 1024);
    let publisher = publisher(&hub);
    let mut publisher = publisher.keep().await;
    let labels = [("reason", "slow")];
    within("the end of both", async {
        while Scrape::of(&hub)
            .await
            .value("talaria_hub_disconnects_total", &labels)
            < 2.0
        {
            publisher.publish(&[("topic", "a"), ("data", &data)]).await;
        }
    })
    .await;
    ends(&hub, "slow", 2.0).await;
}

/// A stream whose client blocks its end takes the connection with it, and so the other stream on that. A stream that
/// must have ended has that as its reason.
#[tokio::test]
async fn a_connection_is_cut() {
    let hub = start("", "dispatch_timeout 0s");
    let exp = now_exactly().floor() + 3.0;
    let token = Token::new(&audience(&hub))
        .claim("exp", json!(exp))
        .sign(SUBSCRIBER_KEY);
    let mut frames = Frames::connect(hub.address, 0).await;
    let authority = hub.address.to_string();
    let path = format!("{HUB_PATH}?match=a");
    let bearer = format!("Bearer {token}");
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", &*authority),
        (":path", &*path),
        ("authorization", &*bearer),
    ];
    frames.output.request(1, &fields).await;
    frames.next_of(kind::HEADERS, 1).await;
    request(&hub, &mut frames, 3).await;
    let one = [("reason", "connection_cut")];
    let scrape = until(&hub, "talaria_hub_disconnects_total", &one, 1.0).await;
    let other = [("reason", "token_expired")];
    assert_eq!(scrape.value("talaria_hub_disconnects_total", &other), 1.0);
    hub.logs(0, "reason=\"connection_cut\"");
    hub.logs(0, "reason=\"token_expired\"");
}

/// A lifetime is over, and a token expires.
#[tokio::test]
async fn a_lifetime_is_over() {
    let hub = start("", "write_timeout 1s");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    stream.end().await;
    ends(&hub, "rotated", 1.0).await;

    let hub = start("", "");
    let exp = now_exactly().floor() + 2.0;
    let token = Token::new(&audience(&hub)).claim("exp", json!(exp));
    let client = hub.client().bearer(&token.sign(SUBSCRIBER_KEY));
    let mut stream = client.subscribe(&[exact("a")]).await;
    stream.end().await;
    ends(&hub, "token_expired", 1.0).await;
}

/// A new configuration does not permit the stream.
#[tokio::test]
async fn a_stream_is_revoked() {
    let hub = start("", "");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let text = std::fs::read_to_string(hub.file()).unwrap();
    hub.home.configure(text.replace("anonymous\n", ""));
    let file = hub.file().display().to_string();
    let (code, said) = hub.verb(&["reload", "--config", &file]);
    assert_eq!(code, Some(0), "{said}");
    stream.end().await;
    ends(&hub, "revoked", 1.0).await;
}

/// The hub stops; the admin listener answers while streams end.
#[tokio::test]
async fn the_hub_stops() {
    let hub = start("", "drain_timeout 2s");
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(hub.client().subscribe(&[exact("a")]).await);
    }
    hub.signal(Signal::TERM);
    for mut stream in streams {
        stream.end().await;
    }
    hub.logs(0, "reason=\"drained\"");
}

/// The log no longer holds what a reader has not seen: it was behind a ring that turned.
#[tokio::test]
async fn the_log_passes_a_reader() {
    let keys = "dispatch_timeout 0s";
    let text =
        caddyfile("", keys).replace("transport memory", "transport memory {\nmax_bytes 1MiB\n}");
    let hub = Running::start(&text, &[]);
    let mut stream = hub
        .client()
        .receive_buffer(4096)
        .subscribe(&[exact("a")])
        .await;
    let mut publisher = publisher(&hub).keep().await;
    let data = "x".repeat(64 * 1024);
    for _ in 0..200 {
        publisher.publish(&[("topic", "a"), ("data", &data)]).await;
    }
    // It reads on, and finds that what follows is gone.
    within("the end of the stream", async {
        while let Ok(Some(_)) = stream.try_item().await {}
    })
    .await;
    ends(&hub, "log_passed", 1.0).await;
}

/// The log cannot be read: its files are gone when a reader needs them.
#[tokio::test]
async fn the_log_cannot_be_read() {
    let text = caddyfile("", "").replace("transport memory", "transport bolt");
    let mut hub = Running::start(&text, &[]);
    for _ in 0..2 {
        let mut publisher = publisher(&hub).keep().await;
        for data in ["1", "2"] {
            publisher.publish(&[("topic", "a"), ("data", data)]).await;
        }
        drop(publisher);
        hub.signal(Signal::TERM);
        hub.exit().await;
        let home = std::mem::replace(&mut hub.home, Home::new());
        hub = Running::start_in(home, &[]);
    }
    let folder = hub.home.path().join("data/caddy/mercure.db.talaria");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|kind| kind == "segment" || kind == "index")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    let client = hub.client().last_event_id("earliest");
    let mut stream = client.subscribe(&[exact("a")]).await;
    stream.end().await;
    ends(&hub, "log_unreadable", 1.0).await;
}
