//! Event streams as bytes and back (HTML standard, "Server-sent events"; specification,
//! "Subscription" and "Publication").

use proptest::prelude::*;
use talaria_protocol::Update;
use talaria_protocol::event::{COMMENT, DecodeError, Decoder, Event, Item, encode};

type Decoded = (Vec<Item>, Option<DecodeError>, String);

/// Decodes a stream in chunks of the given sizes, the last one repeated; also says how it ended.
fn decode_with(mut decoder: Decoder, stream: &[u8], sizes: &[usize]) -> Decoded {
    let mut items = Vec::new();
    let mut rest = stream;
    let mut turn = 0;
    while !rest.is_empty() {
        let size = sizes[turn.min(sizes.len() - 1)].clamp(1, rest.len());
        let (chunk, later) = rest.split_at(size);
        for item in decoder.feed(chunk) {
            match item {
                Ok(item) => items.push(item),
                Err(error) => return (items, Some(error), decoder.last_event_id().to_owned()),
            }
        }
        (rest, turn) = (later, turn + 1);
    }
    (items, None, decoder.last_event_id().to_owned())
}

fn decode(stream: impl AsRef<[u8]>) -> Vec<Item> {
    let (items, error, _) = decode_with(Decoder::default(), stream.as_ref(), &[usize::MAX]);
    assert_eq!(error, None);
    items
}

fn event(id: &str, event_type: &str, data: &str) -> Item {
    Item::Event(Event {
        id: id.to_owned(),
        event_type: event_type.to_owned(),
        data: data.to_owned(),
    })
}

/// The examples of the standard (HTML standard, "Interpreting an event stream").
#[test]
fn the_standards_own_examples() {
    assert_eq!(
        decode("data: YHOO\ndata: +2\ndata: 10\n\n"),
        [event("", "message", "YHOO\n+2\n10")]
    );
    let blocks = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n";
    assert_eq!(
        decode(blocks),
        [
            Item::Comment(" test stream".to_owned()),
            event("1", "message", "first event"),
            event("", "message", "second event"),
        ]
    );
    assert_eq!(
        decode("data\n\ndata\ndata\n\ndata:"),
        [event("", "message", ""), event("", "message", "\n")]
    );
    assert_eq!(
        decode("data:test\n\ndata: test\n\n"),
        [event("", "message", "test"), event("", "message", "test")]
    );
}

/// CR, LF and CRLF end a line, each blank line dispatches once (HTML standard, "Parsing an event
/// stream").
#[test]
fn every_line_end_is_one() {
    for end in ["\r", "\n", "\r\n"] {
        let stream = ["event: a", "data: 1", "data: 2", "", "data: 3", "", ""].join(end);
        assert_eq!(
            decode(stream),
            [event("", "a", "1\n2"), event("", "message", "3")]
        );
    }
}

/// A CR ends its line at once, so that an event is not held back for an LF that may never come
/// (HTML standard).
#[test]
fn a_blank_line_ended_by_cr_dispatches_at_once() {
    let mut decoder = Decoder::default();
    assert_eq!(
        decoder.feed(b"data: now\r\r").collect::<Vec<_>>(),
        [Ok(event("", "message", "now"))]
    );
    assert_eq!(decoder.feed(b"\n").collect::<Vec<_>>(), []);
}

/// One leading byte order mark is stripped, a later one belongs to the field name (HTML standard).
#[test]
fn one_leading_byte_order_mark_is_ignored() {
    assert_eq!(
        decode("\u{feff}data: a\n\n\u{feff}data: b\n\ndata: \u{feff}c\n\n"),
        [event("", "message", "a"), event("", "message", "\u{feff}c")]
    );
    assert_eq!(decode("\u{feff}\u{feff}data: a\n\n"), []);
}

/// The id persists until another is sent, also by an event without data; an id with NUL is ignored;
/// an event without data is not dispatched, and its type is forgotten (HTML standard).
#[test]
fn the_last_event_id_persists() {
    let stream =
        "id: 1\ndata: a\n\ndata: b\n\nid: 2\nevent: lost\n\nid: 3\0\ndata: c\n\nid: 4\ndata: d";
    let (items, error, last) = decode_with(Decoder::default(), stream.as_bytes(), &[3]);
    assert_eq!(error, None);
    assert_eq!(
        items,
        [
            event("1", "message", "a"),
            event("1", "message", "b"),
            event("2", "message", "c"),
        ]
    );
    assert_eq!(last, "2", "an incomplete event moves nothing");
}

/// Only ASCII digits are a `retry`; unknown fields and wrong case are ignored (HTML standard).
#[test]
fn only_digits_are_a_reconnection_time() {
    assert_eq!(
        decode(
            "retry: 10\nretry: -1\nretry: 1.5\nretry:  7\nretry\nretry: ٣\nRETRY: 8\nDATA: a\nfoo: b\n\n"
        ),
        [Item::Retry(10)]
    );
    assert_eq!(
        decode(format!("retry: {}0\n", u64::MAX)),
        [Item::Retry(u64::MAX)]
    );
}

/// The hub's data is UTF-8; a strict decoder refuses anything else, after the events before it, and
/// stays refused (specification, "Publication").
#[test]
fn invalid_utf8_is_an_error_that_stays() {
    let mut decoder = Decoder::default();
    assert_eq!(
        decoder
            .feed(b"data: a\n\ndata: \xff\n\n")
            .collect::<Vec<_>>(),
        [Ok(event("", "message", "a")), Err(DecodeError::Utf8)]
    );
    assert_eq!(
        decoder.feed(b"data: b\n\n").collect::<Vec<_>>(),
        [Err(DecodeError::Utf8)]
    );
}

/// A server cannot make a client buffer without bound, with one line or with many; comments and
/// finished events do not add up.
#[test]
fn an_event_is_bounded() {
    let too_large = Some(DecodeError::TooLarge { max: 16 });
    for stream in [
        "data: 12345678901",
        "data: 123\ndata: 4567890\n",
        ":                ",
    ] {
        let (items, error, _) =
            decode_with(Decoder::with_max_event_bytes(16), stream.as_bytes(), &[1]);
        assert_eq!((items, error), (vec![], too_large), "{stream:?}");
    }
    let stream = "data: 1234567890\n\n: 90123456789012\n".repeat(3);
    let (items, error, _) = decode_with(Decoder::with_max_event_bytes(16), stream.as_bytes(), &[5]);
    assert_eq!((items.len(), error), (6, None));
}

/// The heartbeat is an empty comment (B-354).
#[test]
fn the_heartbeat_is_a_comment() {
    assert_eq!(decode(COMMENT), [Item::Comment(String::new())]);
}

/// Bytes that are mostly event stream syntax, with some that are not even UTF-8.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "\r", "\n", "\r\n", "\n\n", "data:", "data: ", "data", "id: ", "id", "event: ", ":",
            "retry: ", "12", "\u{feff}", "\0", "é", "𝄞", " ", "x",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Texts in which line ends are frequent.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec!["\r", "\n", "\r\n", ":", " ", "data: ", "\u{feff}"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn single_lines() -> impl Strategy<Value = String> {
    "[^\\p{Cc}\\p{Cf}]{1,20}"
}

proptest! {
    /// A stream's meaning does not depend on how the network cuts it (HTML standard, "Parsing an
    /// event stream").
    #[test]
    fn chunking_never_changes_the_result(
        stream in streams(),
        sizes in prop::collection::vec(1_usize..9, 1..20),
        max in prop_oneof![Just(40_usize), Just(1 << 20)],
    ) {
        let whole = decode_with(Decoder::with_max_event_bytes(max), &stream, &[usize::MAX]);
        let cut = decode_with(Decoder::with_max_event_bytes(max), &stream, &sizes);
        prop_assert_eq!(whole, cut);
    }

    /// What a publisher sent arrives with its line ends normalised to LF, and with its type, id and
    /// reconnection time (specification, "Publication", `data`).
    #[test]
    fn an_encoded_update_decodes_to_itself(
        data in texts(),
        id in single_lines(),
        event_type in prop::option::of(single_lines()),
        retry in prop::option::of(any::<u64>()),
        sizes in prop::collection::vec(1_usize..20, 1..5),
    ) {
        let update = Update {
            topics: vec!["https://example.com/a".to_owned()],
            data: data.clone(),
            event_type: event_type.clone(),
            retry,
            ..Update::default()
        };
        let normalised = data.replace("\r\n", "\n").replace('\r', "\n");
        let mut expected: Vec<Item> = retry.map(Item::Retry).into_iter().collect();
        expected.push(event(&id, event_type.as_deref().unwrap_or("message"), &normalised));
        let (items, error, last) = decode_with(Decoder::default(), &encode(&update, &id), &sizes);
        prop_assert_eq!((items, error, last), (expected, None, id));
    }
}
