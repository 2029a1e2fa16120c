//! HTTP/2 streams that their client keeps from going on: they end by `dispatch_timeout`, however often the
//! client answers pings, and the connection and its other streams go on (RFC 9113, sections 5.2 and 6.9).

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::{HUB_PATH, within};

/// The identifier of `SETTINGS_MAX_CONCURRENT_STREAMS` (section 6.5.2).
const MAX_STREAMS: u8 = 3;
/// The error code of a stream that is not needed any more (section 7).
const CANCEL: u32 = 8;

async fn get(hub: &Hub, frames: &mut Frames, stream: u32, path: &str) {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", path),
    ];
    frames.output.request(stream, &fields).await;
}

async fn reset(frames: &mut Frames, stream: u32) {
    let frame = frames.next_of(kind::RST_STREAM, stream).await;
    assert_eq!(frame.payload, CANCEL.to_be_bytes());
}

/// The hub says how many streams a connection may have: 250, or `max_streams_per_connection`.
#[tokio::test]
async fn the_number_of_streams_is_told() {
    for (directive, most) in [("", 250_u32), ("\nmax_streams_per_connection 7", 7)] {
        let hub = Hub::start(&format!("anonymous\ntransport memory{directive}"));
        let mut frames = Frames::connect(hub.address, 65_535).await;
        let told = frames
            .settings
            .chunks(6)
            .find(|setting| setting[..2] == [0, MAX_STREAMS])
            .map(|setting| setting[2..].to_vec());
        assert_eq!(told, Some(most.to_be_bytes().to_vec()));
        // One more is refused, and the others go on.
        for number in 0..=most {
            let path = format!("{HUB_PATH}?match=a");
            get(&hub, &mut frames, 2 * number + 1, &path).await;
        }
        let refused = frames.next_of(kind::RST_STREAM, 2 * most + 1).await;
        assert_eq!(refused.payload, 7_u32.to_be_bytes(), "REFUSED_STREAM");
    }
}

/// A subscription whose window is closed: from the beginning, within the first comment, within an update,
/// and one whose connection has no window left. Each is reset; the others receive what is published.
#[tokio::test]
async fn streams_without_a_window_are_reset() {
    let hub = Hub::start("anonymous\ntransport memory\ndispatch_timeout 1s");
    let path = format!("{HUB_PATH}?match=a");
    for window in [0, 1, 3, 40] {
        let mut frames = Frames::connect(hub.address, window).await;
        get(&hub, &mut frames, 1, &path).await;
        get(&hub, &mut frames, 3, &path).await;
        frames.output.widen(3, 60_000).await;
        frames.next_of(kind::DATA, 3).await;
        let publish = [("topic", "a"), ("data", "for both")];
        hub.publisher().published(&publish).await;
        reset(&mut frames, 1).await;
        hub.publisher()
            .published(&[("topic", "a"), ("data", "after it")])
            .await;
        let mut received = String::new();
        while !received.contains("after it") {
            let frame = frames.next_of(kind::DATA, 3).await;
            received += &String::from_utf8_lossy(&frame.payload);
        }
    }
}

/// What the connection's window keeps back is reset, too.
#[tokio::test]
async fn a_connection_without_a_window_loses_its_streams() {
    let hub = Hub::start("anonymous\ntransport memory\ndispatch_timeout 1s");
    let mut frames = Frames::connect(hub.address, 1 << 20).await;
    get(&hub, &mut frames, 1, &format!("{HUB_PATH}?match=a")).await;
    frames.next_of(kind::DATA, 1).await;
    let data = "x".repeat(40_000);
    for _ in 0..2 {
        hub.publisher()
            .published(&[("topic", "a"), ("data", &data)])
            .await;
    }
    reset(&mut frames, 1).await;
    // Answers without a body need no window.
    get(&hub, &mut frames, 3, "/healthz").await;
    frames.next_of(kind::HEADERS, 3).await;
}

/// An answer that is not a stream: a long one is reset, and with a short one, of which nothing is left to be
/// reset by, the connection ends.
#[tokio::test]
async fn answers_without_a_window_end() {
    let hub = Hub::start("anonymous\ntransport memory\ndispatch_timeout 1s");
    let mut frames = Frames::connect(hub.address, 1).await;
    get(&hub, &mut frames, 1, "/").await;
    reset(&mut frames, 1).await;
    get(&hub, &mut frames, 3, "/").await;
    frames.next_of(kind::HEADERS, 3).await;
    frames.output.widen(3, 60_000).await;
    let mut length = 0;
    loop {
        let frame = frames.next_of(kind::DATA, 3).await;
        length += frame.payload.len();
        if frame.ends_stream() {
            break;
        }
    }
    assert!(length > 256, "the page is a long answer: {length}");
    get(&hub, &mut frames, 5, "/robots.txt").await;
    within("the end of the connection", async {
        while let Ok(Some(_)) = frames.input.next().await {}
    })
    .await;
}

/// A client that gives its stream some window now and then keeps it, and so does one for which there is
/// nothing. Streams that are blocked, one after the other, say that enough time has passed.
#[tokio::test]
async fn slow_and_silent_streams_stay() {
    let hub = Hub::start("anonymous\ntransport memory\ndispatch_timeout 1s");
    let path = format!("{HUB_PATH}?match=a");
    let mut frames = Frames::connect(hub.address, 2).await;
    // After the comment of two bytes its window is closed, and nothing waits.
    get(&hub, &mut frames, 1, &format!("{HUB_PATH}?match=nothing")).await;
    frames.next_of(kind::DATA, 1).await;
    get(&hub, &mut frames, 3, &path).await;
    frames.next_of(kind::DATA, 3).await;
    let data = "x".repeat(1000);
    hub.publisher()
        .published(&[("topic", "a"), ("data", &data)])
        .await;
    let mut output = frames.output;
    let widening = async {
        loop {
            output.widen(3, 3).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let watching = async {
        let mut input = frames.input;
        loop {
            let frame = input.next().await.expect("no reset").expect("it goes on");
            assert_ne!(frame.kind, kind::RST_STREAM, "{frame:?}");
        }
    };
    let blocked = async {
        for _ in 0..2 {
            let mut other = Frames::connect(hub.address, 0).await;
            get(&hub, &mut other, 1, &path).await;
            reset(&mut other, 1).await;
        }
    };
    tokio::select! {
        () = blocked => {}
        () = widening => {}
        () = watching => {}
    }
}
