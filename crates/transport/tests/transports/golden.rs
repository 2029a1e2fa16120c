//! A history that version 1 of the format wrote: every later release reads it, byte for byte.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::event::decode_update;
use talaria_transport::history::inspect::verify;
use talaria_transport::history::{Directory, History, HistoryOptions};
use talaria_transport::{Lookup, Position, Transport};

use crate::folder::Folder;
use crate::suite::{Everything, look_up, read};

#[test]
fn version_1_is_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = Folder::new();
    for file in fs::read_dir(fixtures.join("history-v1")).expect("the golden files") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.path().join(file.file_name())).expect("a copy");
    }
    let lines = fs::read_to_string(fixtures.join("history-v1.ndjson")).expect("what is in them");
    let expected: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let directory = Arc::new(Directory::open(folder.path()).expect("a directory"));
    assert_eq!(verify(&*directory).expect("it is readable"), []);
    let history = History::open(directory, HistoryOptions::new(Arc::new(|| 1))).expect("it opens");
    let history: Arc<dyn Transport> = Arc::new(history);
    let head = expected.len() as u64;
    let page = read(&history, 0, head, usize::MAX, Everything).expect("a page");
    assert_eq!(page.frames.len(), expected.len());
    for (frame, expected) in page.frames.iter().zip(&expected) {
        let (update, id) = decode_update(&frame.bytes).expect("an event");
        assert_eq!(Value::from(frame.position.0), expected["position"]);
        assert_eq!(
            (&*id, &*frame.event_id),
            (&*frame.event_id, expected["id"].as_str().expect("an id"))
        );
        assert_eq!(
            Value::from(
                frame
                    .topics
                    .iter()
                    .map(|topic| &**topic)
                    .collect::<Vec<_>>()
            ),
            expected["topics"]
        );
        assert_eq!(Value::from(frame.private), expected["private"]);
        assert_eq!(Value::from(update.data), expected["data"]);
        assert_eq!(update.event_type.as_deref(), expected["type"].as_str());
        assert_eq!(update.retry, expected["retry"].as_u64());
        assert_eq!(look_up(&history, &id), Lookup::Found(frame.position));
    }
    assert_eq!(history.bounds().head, Position(head));
}
