//! A visit: the subscriptions that one request announces, within the bound of a request.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::{ProtocolError, Subscription};
use uuid::Uuid;

use crate::access::Access;
use crate::engine::active::{Document, Payload};
use crate::limits::ClientAddress;

/// The client for which events are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Visitor {
    /// A client whose token names a subject, by a hash of the subject and of the issuer.
    Subject(u64),
    /// Any other client, by its address. If the application that embeds the hub tells no addresses, these
    /// clients are one.
    Address(Option<ClientAddress>),
}

impl Visitor {
    pub(crate) fn of(access: Option<&Access>, address: Option<ClientAddress>) -> Self {
        if let Some(access) = access
            && let Some(subject) = &access.subject
        {
            let mut hasher = DefaultHasher::new();
            (&access.issuer, subject).hash(&mut hasher);
            return Self::Subject(hasher.finish());
        }
        Self::Address(address)
    }
}

/// The subscriptions of one subscriber, whose events take a bounded number of bytes.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(super) visitor: Visitor,
    pub(super) documents: Vec<Arc<Document>>,
    /// The bytes that all events take.
    pub(super) bytes: usize,
    most_bytes: usize,
    subscriber: Arc<str>,
    answers_older: bool,
}

/// The events of a request would take too many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch {
    most_bytes: usize,
}

impl From<TooMuch> for ProtocolError {
    fn from(TooMuch { most_bytes }: TooMuch) -> Self {
        Self::malformed(
            "match",
            format!(
                "this hub announces subscriptions, and the subscription events of this request would take more than {most_bytes} bytes (`subscription_events_per_request`); open several streams with fewer matchers, or have a token issued with a shorter `payload`"
            ),
        )
    }
}

impl Visit {
    /// A visit without subscriptions. `answers_older`: whether the hub answers 0.x clients in 0.x at
    /// all.
    pub(crate) fn new(
        visitor: Visitor,
        most_bytes: usize,
        subscriber: Uuid,
        answers_older: bool,
    ) -> Self {
        Self {
            visitor,
            documents: Vec::new(),
            bytes: 0,
            most_bytes,
            subscriber: subscriber.urn().to_string().into(),
            answers_older,
        }
    }

    /// Adds a subscription.
    ///
    /// # Errors
    /// When the events of all would take too many bytes.
    pub(crate) fn add(
        &mut self,
        subscription: Subscription,
        payload: Option<&Arc<Value>>,
    ) -> Result<(), TooMuch> {
        let too_much = TooMuch {
            most_bytes: self.most_bytes,
        };
        let left = self.most_bytes.saturating_sub(self.bytes);
        let measured = |payload| Payload::measure(payload, left).ok_or(too_much);
        let payload = payload.map(measured).transpose()?;
        let subscriber = Arc::clone(&self.subscriber);
        let document = Document::new(subscription, subscriber, payload, self.answers_older);
        // There is one event for the beginning and one for the end.
        let bytes = 2 * document.event_bytes();
        if bytes > left {
            return Err(too_much);
        }
        self.bytes += bytes;
        self.documents.push(Arc::new(document));
        Ok(())
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use serde_json::json;
    use talaria_protocol::MatcherType;
    use talaria_transport::{Frame, Position};

    use super::*;
    use crate::presence::PresenceOptions;

    fn asked(text: &str) -> Subscription {
        Subscription {
            matcher_type: MatcherType::Exact,
            text: text.to_owned(),
        }
    }

    fn visit(most_bytes: usize) -> Visit {
        Visit::new(Visitor::Address(None), most_bytes, Uuid::new_v4(), true)
    }

    /// The counted bytes cover what a log stores: the events as they are sent, topics and ids.
    #[test]
    fn an_event_is_not_larger_than_it_is_counted() {
        let nested = (0..100).fold(json!([1, 2, 3]), |inner, _| json!([inner, "\n\"é"]));
        let payloads = [None, Some(json!({ "user": "ann" })), Some(nested)];
        let texts = ["a", "https://example.com/é?\"\\", &"%/\"".repeat(1_000)];
        let kinds = [
            MatcherType::Exact,
            MatcherType::UrlPattern,
            MatcherType::Selector,
        ];
        for (payload, text, matcher_type) in payloads.iter().flat_map(|payload| {
            let texts = texts.iter().map(move |text| (payload, *text));
            texts.flat_map(|(payload, text)| kinds.map(|kind| (payload, text, kind)))
        }) {
            let subscription = Subscription {
                matcher_type,
                text: text.to_owned(),
            };
            let mut visit = visit(usize::MAX);
            let payload = payload.clone().map(Arc::new);
            visit.add(subscription, payload.as_ref()).expect("no bound");
            let document = &visit.documents[0];
            let id = format!("urn:uuid:{}", Uuid::new_v4());
            let frame = Frame::new(Position(1), id.clone(), document.update(false));
            // Beside these a record has a head and a checksum.
            let stored = frame.bytes.len() + document.topic.len() + id.len() + 48;
            let counted = document.event_bytes();
            assert!(stored <= counted, "{stored} > {counted}: {document:?}");
            assert!(counted <= stored + 60, "{counted} > {stored}: {document:?}");
        }
    }

    #[test]
    fn a_visit_is_refused_when_its_events_take_too_much() {
        let payload = Arc::new(json!({ "text": "x".repeat(1_000) }));
        let mut one = visit(usize::MAX);
        one.add(asked("a"), Some(&payload)).expect("no bound");
        let mut some = visit(3 * one.bytes);
        for _ in 0..3 {
            some.add(asked("a"), Some(&payload))
                .expect("room for three");
        }
        assert_eq!(some.bytes, 3 * one.bytes);
        let refused = some.add(asked("a"), Some(&payload));
        assert_eq!(
            refused,
            Err(TooMuch {
                most_bytes: 3 * one.bytes
            })
        );
    }

    /// The payload of a small token can be large when it is indented: it is measured without being written
    /// out.
    #[test]
    fn a_payload_that_grows_when_it_is_indented_is_refused() {
        let wide = Value::Array(vec![json!(1); 10_000]);
        let deep = (0..120).fold(wide, |inner, _| json!([inner]));
        assert!(deep.to_string().len() < 21_000);
        let refused = visit(2 * 1024 * 1024).add(asked("a"), Some(&Arc::new(deep)));
        assert!(refused.is_err());
    }

    /// The default has room for requests and tokens within their own default limits.
    #[test]
    fn honest_visits_fit_into_the_default() {
        let most = PresenceOptions::default().bytes_per_request;
        let mut plain = visit(most);
        for number in 0..256 {
            let text = format!("https://example.com/{number:0180}");
            plain
                .add(asked(&text), None)
                .expect("256 matchers of 200 bytes");
        }
        let mut roles = visit(most);
        let names: Vec<_> = (0..20)
            .map(|number| format!("ROLE_EDITOR_OF_{number}"))
            .collect();
        let payload = Arc::new(json!({ "user": "a.reader@example.com", "roles": names }));
        for number in 0..256 {
            let text = format!("https://example.com/books/{number}");
            roles
                .add(asked(&text), Some(&payload))
                .expect("256 matchers and 20 roles");
        }
        let mut laravel = visit(most);
        let user = Arc::new(json!({ "user_id": 17, "user_info": { "name": "n".repeat(500) } }));
        for number in 0..60 {
            let channel = format!("https://laravel.alt/echo/channel/presence-{number}");
            let events = format!("/.well-known/mercure/subscriptions/:match_type/{channel}");
            laravel
                .add(asked(&channel), Some(&user))
                .expect("60 channels");
            laravel
                .add(asked(&events), Some(&user))
                .expect("60 channels");
        }
    }

    /// Clients that share an address and have a subject each are counted apart. A subject is the same client
    /// at every address.
    #[test]
    fn visitors_are_subjects_or_addresses() {
        let access = |issuer: &str, subject: Option<&str>| Access {
            generation: talaria_protocol::Generation::V1,
            expires_at: None,
            details: Arc::default(),
            issuer: issuer.to_owned(),
            subject: subject.map(str::to_owned),
            id: None,
            issued_at: None,
            ignores_older_claim: false,
            basis: Arc::default(),
            lifetime: None,
        };
        let at = |address: &str| {
            let address: std::net::IpAddr = address.parse().expect("one");
            Some(ClientAddress::from(address))
        };
        let ann = access("https://a.example", Some("ann"));
        let (here, there) = (at("192.0.2.1"), at("198.51.100.1"));
        let visitor = Visitor::of(Some(&ann), here);
        assert_eq!(visitor, Visitor::of(Some(&ann), there));
        for (issuer, subject) in [("https://a.example", "bob"), ("https://b.example", "ann")] {
            let other = access(issuer, Some(subject));
            assert_ne!(visitor, Visitor::of(Some(&other), here));
        }
        let nameless = access("https://a.example", None);
        let anonymous = Visitor::of(None, here);
        assert_eq!(anonymous, Visitor::of(Some(&nameless), here));
        assert_ne!(anonymous, Visitor::of(None, there));
        let one_network =
            ["2001:db8::1", "2001:db8::ffff:1"].map(|address| Visitor::of(None, at(address)));
        assert_eq!(one_network[0], one_network[1]);
        assert_eq!(Visitor::of(None, None), Visitor::Address(None));
    }
}
