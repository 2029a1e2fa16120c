//! Serialisation of updates (specification, "Publication"; B-356, B-357; HTML standard,
//! "Parsing an event stream").

use proptest::prelude::*;
use talaria_protocol::Update;
use talaria_protocol::event::{COMMENT, encode};

fn text(update: &Update, id: &str) -> String {
    String::from_utf8(encode(update, id)).unwrap_or_default()
}

fn data(data: &str) -> Update {
    Update {
        data: data.to_owned(),
        ..Update::default()
    }
}

/// A decoder of one event, independent of ours: the fields in order, by the standard's line ends.
fn fields(stream: &str) -> Vec<(String, String)> {
    let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
    lines
        .split('\n')
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (
                name.to_owned(),
                value.strip_prefix(' ').unwrap_or(value).to_owned(),
            )
        })
        .collect()
}

/// The fields come in order, and none comes that the update does not have (B-356).
#[test]
fn fields_have_their_order() {
    let update = Update {
        event_type: Some("t".to_owned()),
        retry: Some(10),
        ..data("a")
    };
    assert_eq!(
        text(&update, "x"),
        "event: t\nretry: 10\nid: x\ndata: a\n\n"
    );
    assert_eq!(text(&data(""), "x"), "id: x\ndata: \n\n");
}

/// Each line of content is one `data`, split on CR, LF or CRLF (specification, "Publication").
#[test]
fn data_is_split_at_every_line_end() {
    assert_eq!(
        text(&data("a\nb\rc\r\nd\n\re\n"), "x"),
        "id: x\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\ndata: \n\n"
    );
    assert_eq!(text(&data(" a: b"), "x"), "id: x\ndata:  a: b\n\n");
}

/// A comment dispatches nothing (B-354).
#[test]
fn the_comment_is_empty() {
    assert_eq!(COMMENT, b":\n");
}

proptest! {
    /// A receiver gets the data with its line ends normalised to LF, whatever they are, and the
    /// stream carries nothing else (specification, "Publication").
    #[test]
    fn a_receiver_gets_the_lines(content in "([ab: é\u{feff}]|data|id|\r|\n|\r\n){0,12}") {
        let stream = text(&data(&content), "urn:x");
        let fields = fields(&stream);
        prop_assert_eq!(&fields[0], &("id".to_owned(), "urn:x".to_owned()));
        let received: Vec<&str> = fields[1..]
            .iter()
            .map(|(name, value)| {
                assert_eq!(name, "data");
                &**value
            })
            .collect();
        let expected = content.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(received.join("\n"), expected);
        prop_assert!(stream.ends_with("\n\n") && !stream.contains('\r'));
        prop_assert_eq!(stream.matches("\n\n").count(), 1);
    }
}
