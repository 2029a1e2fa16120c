//! A log with what was imported: appended to, read and asked for ids.

use std::sync::Arc;

use talaria_protocol::Update;
use talaria_transport::{
    Admit, Appended, Frame, Lookup, Position, Ring, Route, Transport, Verdict,
};

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

struct Routed(Arc<Ring>);

impl Route for Routed {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.0.extend(group);
        acknowledge();
    }
}

/// Makes what is committed visible.
pub fn start(transport: &Arc<dyn Transport>) {
    transport.start(Arc::new(Routed(Arc::clone(transport.ring()))));
}

/// Appends an update to which the log gives an id.
pub fn append(transport: &Arc<dyn Transport>) -> Appended {
    let update = Update {
        topics: vec!["https://example.com/books/1".to_owned()],
        data: "x".to_owned(),
        ..Update::default()
    };
    block_on(transport.append(update)).expect("the update is stored")
}

pub fn look_up(transport: &Arc<dyn Transport>, id: &str) -> Lookup {
    block_on(transport.position_of(id)).expect("the log is readable")
}

struct Everything;

impl Admit for Everything {
    fn judge(&self, _: &Frame) -> Verdict {
        Verdict::Admitted
    }
}

/// All that a log holds.
pub fn frames(transport: &Arc<dyn Transport>) -> Vec<Arc<Frame>> {
    let head = transport.bounds().head;
    let page = transport.read(Position::ORIGIN, head, usize::MAX, Arc::new(Everything));
    block_on(page).expect("a page").frames
}
