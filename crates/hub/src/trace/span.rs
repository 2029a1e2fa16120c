//! A finished span, and where it goes.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use talaria_protocol::TraceContext;
use talaria_transport::Position;

/// The most bytes of a text.
const TEXT_BYTES: usize = 256;
/// The most texts of a list.
const TEXTS: usize = 16;

/// Takes what is recorded. It must not block: the hub calls it while it answers requests and writes streams.
pub trait SpanSink: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Takes a span that has ended.
    fn record(&self, span: Span);

    /// Whether one more delivery of the update at `position`, which `of` published, gets a span. Called once for
    /// each stream that an update of a sampled publish is sent to, so that the sink can bound them.
    fn admits_delivery(&self, of: &TraceContext, position: Position) -> bool;
}

/// An operation that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its place in the trace.
    pub context: Arc<TraceContext>,
    /// The operation that caused it; `None` for the first of a trace.
    pub parent: Option<[u8; 8]>,
    /// Whether the parent is an operation of another process.
    pub is_parent_remote: bool,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its part in the conversation between processes.
    pub kind: SpanKind,
    /// When it began.
    pub began: SystemTime,
    /// When it ended, not before it began.
    pub ended: SystemTime,
    /// What else is known.
    pub attributes: Vec<(Cow<'static, str>, SpanValue)>,
    /// Operations of other traces that it belongs with.
    pub links: Vec<Arc<TraceContext>>,
    /// Why it failed, if it did.
    pub failure: Option<SpanFailure>,
}

/// The part of a span in the conversation between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// It answers a request.
    Server,
    /// It is within the process.
    Internal,
    /// It hands a message over.
    Producer,
    /// It receives a message.
    Consumer,
}

/// The value of an attribute, of bounded length.
#[derive(Debug, Clone, PartialEq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
}

impl SpanValue {
    /// A text, shortened to 256 bytes.
    pub fn text(text: &str) -> Self {
        Self::Text(shortened(text))
    }

    /// The first 16 texts, each as in [`Self::text`].
    pub fn texts<'t>(texts: impl IntoIterator<Item = Cow<'t, str>>) -> Self {
        let texts = texts.into_iter().take(TEXTS);
        Self::Texts(texts.map(|text| shortened(&text)).collect())
    }

    /// A number.
    pub fn number(number: impl TryInto<i64>) -> Self {
        Self::Number(number.try_into().unwrap_or(i64::MAX))
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanFailure {
    /// The class of the failure, for machines.
    pub kind: Cow<'static, str>,
    /// What is wrong, shortened to 256 bytes; empty if the class says it.
    pub message: String,
}

impl SpanFailure {
    /// A failure.
    pub fn new(kind: impl Into<Cow<'static, str>>, message: &str) -> Self {
        Self {
            kind: kind.into(),
            message: shortened(message),
        }
    }
}

fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    /// Publishers choose topics and ids, so no value is longer than its bound.
    #[test]
    fn values_are_bounded() {
        let long = "é".repeat(200);
        assert_eq!(SpanValue::text(&long), SpanValue::Text("é".repeat(128)));
        let many = vec![Cow::Borrowed("t"); 100];
        assert_eq!(
            SpanValue::texts(many),
            SpanValue::Texts(vec!["t".to_owned(); 16])
        );
        assert_eq!(SpanValue::number(u64::MAX), SpanValue::Number(i64::MAX));
    }
}
