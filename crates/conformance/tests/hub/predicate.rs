//! The delivered set equals a naive predicate, in order, once, live and replayed.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use talaria_conformance::client::Client;
use talaria_conformance::count;
use talaria_conformance::hub::Hub;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Matcher, exact, pattern};

/// Topics of one case, below its own base.
const TOPICS: [&str; 6] = ["a/1", "a/2", "a/", "b/1", "b/1/c", "B/1"];

#[derive(Debug, Clone)]
struct Update {
    topics: Vec<usize>,
    private: bool,
}

/// A matcher in the two ways that it is needed: as asked, and as a plain function of the topic.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Topic(usize),
    Any,
    /// `<base>/a/:id`.
    OneSegment,
    /// `<base>/b/*`.
    Below,
    /// `<base>/:x/1{/c}?`.
    Optional,
}

impl Choice {
    fn matcher(self, base: &str) -> Matcher {
        match self {
            Self::Topic(index) => exact(format!("{base}/{}", TOPICS[index])),
            Self::Any => exact("*"),
            Self::OneSegment => pattern(format!("{base}/a/:id")),
            Self::Below => pattern(format!("{base}/b/*")),
            Self::Optional => pattern(format!("{base}/:x/1{{/c}}?")),
        }
    }

    fn matches(self, topic: usize) -> bool {
        match self {
            Self::Topic(index) => index == topic,
            Self::Any => true,
            Self::OneSegment => ["a/1", "a/2"].contains(&TOPICS[topic]),
            Self::Below => ["b/1", "b/1/c"].contains(&TOPICS[topic]),
            Self::Optional => ["a/1", "b/1", "b/1/c", "B/1"].contains(&TOPICS[topic]),
        }
    }
}

#[derive(Debug, Clone)]
struct Reader {
    matchers: Vec<Choice>,
    /// `None`: no token.
    grants: Option<Vec<Choice>>,
    /// It connects once this many updates are published …
    joins: usize,
    /// … and resumes after this many, if at all.
    resumes: Option<usize>,
    in_header: bool,
    http2: bool,
}

impl Reader {
    fn receives(&self, update: &Update) -> bool {
        let any = |choices: &[Choice]| {
            choices
                .iter()
                .any(|choice| update.topics.iter().any(|&topic| choice.matches(topic)))
        };
        any(&self.matchers) && (!update.private || self.grants.as_deref().is_some_and(any))
    }

    fn expected(&self, updates: &[Update]) -> Vec<String> {
        let from = self.resumes.unwrap_or(self.joins);
        let tail = updates.iter().enumerate().skip(from);
        tail.filter(|(_, update)| self.receives(update))
            .map(|(number, _)| number.to_string())
            .collect()
    }
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        4 => (0..TOPICS.len()).prop_map(Choice::Topic),
        1 => Just(Choice::Any),
        1 => Just(Choice::OneSegment),
        1 => Just(Choice::Below),
        1 => Just(Choice::Optional),
    ]
}

fn case() -> impl Strategy<Value = (Vec<Update>, Vec<Reader>)> {
    let topics = prop::collection::vec(0..TOPICS.len(), 1..4);
    let update = (topics, any::<bool>()).prop_map(|(topics, private)| Update { topics, private });
    prop::collection::vec(update, 1..20).prop_flat_map(|updates| {
        let length = updates.len();
        let reader = (
            prop::collection::vec(choice(), 1..4),
            prop::option::of(prop::collection::vec(choice(), 0..3)),
            0..=length,
            prop::option::of(0..=length),
            any::<bool>(),
            any::<bool>(),
        );
        let reader =
            reader.prop_map(
                |(matchers, grants, joins, resumes, in_header, http2)| Reader {
                    matchers,
                    grants,
                    joins,
                    resumes: resumes.map(|place| place.min(joins)),
                    in_header,
                    http2,
                },
            );
        (Just(updates), prop::collection::vec(reader, 1..6))
    })
}

async fn connect(hub: &Hub, reader: &Reader, base: &str, ids: &[String]) -> EventStream {
    let all = |choices: &[Choice]| {
        choices
            .iter()
            .map(|choice| choice.matcher(base))
            .collect::<Vec<_>>()
    };
    let mut client: Client = match &reader.grants {
        Some(grants) => hub.subscriber(&all(grants)),
        None => hub.client(),
    };
    if reader.http2 {
        client = client.http2();
    }
    let mut matchers = all(&reader.matchers);
    matchers.push(exact(format!("{base}/end")));
    let mut parameters: Vec<_> = matchers.iter().map(Matcher::parameter).collect();
    if let Some(place) = reader.resumes {
        if reader.in_header {
            client = client.last_event_id(&ids[place]);
        } else {
            parameters.push(("last_event_id", &ids[place]));
        }
    }
    client.subscribe_with(&parameters).await
}

async fn run(hub: &Hub, updates: &[Update], readers: &[Reader]) -> Result<(), TestCaseError> {
    static CASES: AtomicU64 = AtomicU64::new(0);
    let base = format!(
        "https://example.com/{}",
        CASES.fetch_add(1, Ordering::Relaxed)
    );
    let mut publisher = hub.publisher().keep().await;
    let mut ids = vec![
        publisher
            .publish(&[("topic", &format!("{base}/start")), ("private", "")])
            .await,
    ];
    let mut streams: Vec<(&Reader, EventStream)> = Vec::new();
    for published in 0..=updates.len() {
        for reader in readers.iter().filter(|reader| reader.joins == published) {
            streams.push((reader, connect(hub, reader, &base, &ids).await));
        }
        let Some(update) = updates.get(published) else {
            break;
        };
        let topics: Vec<_> = update
            .topics
            .iter()
            .map(|&topic| format!("{base}/{}", TOPICS[topic]))
            .collect();
        let data = published.to_string();
        let mut fields: Vec<_> = topics
            .iter()
            .map(|topic| ("topic", topic.as_str()))
            .collect();
        fields.push(("data", &data));
        if update.private {
            fields.push(("private", "on"));
        }
        ids.push(publisher.publish(&fields).await);
    }
    publisher
        .publish(&[("topic", &format!("{base}/end")), ("data", "end")])
        .await;
    for (reader, mut stream) in streams {
        prop_assert_eq!(
            stream.until("end").await,
            reader.expected(updates),
            "{:?}",
            reader
        );
    }
    Ok(())
}

/// 200 cases under `./test --full`, else 20.
#[test]
fn delivery_is_the_naive_predicate() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let hub = Hub::ordinary();
    let config = Config {
        cases: count(200, 20),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&case(), |(updates, readers)| {
            runtime.block_on(run(&hub, &updates, &readers))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
