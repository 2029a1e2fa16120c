//! What the hub learns of a request, for the access log of the server around it.

use std::sync::{Arc, OnceLock};

use http::request::Parts;
use talaria_protocol::Subscription;

/// The most topics that are kept, and bytes of each.
const MOST: usize = 8;
const LONGEST: usize = 1024;

/// What the hub learns of a request. A server that puts one into the extensions of the request may ask its clone once
/// there is an answer. Texts are those of clients, of a bounded length.
#[derive(Debug, Clone, Default)]
pub struct Noted(Arc<Learnt>);

#[derive(Debug, Default)]
struct Learnt {
    subject: OnceLock<String>,
    topics: OnceLock<Topics>,
}

/// The topics of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics {
    /// The first of them: those of the updates, or what a subscription asks for, as `<type>:<text>`.
    pub first: Vec<String>,
    /// How many there are in all.
    pub count: usize,
}

impl Noted {
    /// The subject of the token, if it was accepted and has one.
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.get().map(String::as_str)
    }

    /// The topics of the publish or the subscription, if the request is one.
    pub fn topics(&self) -> Option<&Topics> {
        self.0.topics.get()
    }
}

/// Notes the subject of the token, if a server asks for it.
pub(crate) fn note_subject(parts: &Parts, subject: Option<&str>) {
    if let (Some(Noted(learnt)), Some(subject)) = (parts.extensions.get(), subject) {
        learnt.subject.get_or_init(|| cut(subject));
    }
}

/// Notes the topics, if a server asks for them.
pub(crate) fn note_topics<T: AsRef<str>>(parts: &Parts, topics: impl Iterator<Item = T>) {
    let Some(Noted(learnt)) = parts.extensions.get() else {
        return;
    };
    let mut noted = Topics::default();
    for topic in topics {
        if noted.first.len() < MOST {
            noted.first.push(cut(topic.as_ref()));
        }
        noted.count += 1;
    }
    learnt.topics.get_or_init(|| noted);
}

/// Notes what a subscription asks for, if a server asks for it.
pub(crate) fn note_subscriptions(parts: &Parts, subscriptions: &[Subscription]) {
    let shown = |one: &Subscription| format!("{}:{}", one.matcher_type.name(), one.text);
    note_topics(parts, subscriptions.iter().map(shown));
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    /// What is noted is bounded, and nothing is where no server asks.
    #[test]
    fn what_is_noted_is_bounded() {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        note_subject(&parts, Some("a"));
        let noted = Noted::default();
        parts.extensions.insert(noted.clone());
        assert_eq!((noted.subject(), noted.topics()), (None, None));
        let long = "ä".repeat(LONGEST);
        note_subject(&parts, Some(&long));
        note_topics(&parts, (0..100).map(|_| &long));
        assert!(
            noted
                .subject()
                .is_some_and(|subject| subject.len() <= LONGEST)
        );
        let topics = noted.topics().expect("topics");
        assert_eq!((topics.first.len(), topics.count), (MOST, 100));
    }
}
