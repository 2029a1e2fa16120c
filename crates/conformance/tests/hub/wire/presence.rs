//! Replays the exchanges of the subscription API, while clients come and go.

use std::collections::BTreeSet;

use serde_json::Value;
use talaria_conformance::client::Client;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Matcher, exact};

use super::page::{Exchange, Message};
use super::replay::{BOOK, Replay, Speaks, normal};

impl Replay {
    /// The subscription API while one client watches and another subscribes to two topics. Then the
    /// second one leaves, and the watcher has seen both.
    pub async fn presence(&mut self, api: &[&Exchange], events: &Exchange) {
        let (answer, local) = self.ask(&events.request).await;
        self.compare_head(events, answer.status().as_u16(), &answer.headers().clone());
        let mut watcher = EventStream::new(answer, local);
        let ann = self.hub.client().bearer(&self.ann());
        let topics: [Matcher; 2] = [exact(BOOK), exact("a b/ü")];
        let asked = match self.speaks {
            Speaks::Older => {
                ann.subscribe_with(&[("topic", BOOK), ("topic", "a b/ü")])
                    .await
            }
            Speaks::Modern => ann.subscribe(&topics).await,
        };
        self.settle(3).await;
        let token = self.token("subscriber token, all topics");
        let current = self
            .hub
            .client()
            .bearer(&token)
            .get("/.well-known/mercure/subscriptions")
            .await;
        let tag = current.header("etag").to_owned();
        for exchange in api {
            let exchange = self.present_exchange(exchange, &current.text, &tag);
            Box::pin(self.replay(&exchange)).await;
        }
        drop(asked);
        self.settle(1).await;
        let theirs: BTreeSet<String> = events
            .answer
            .events()
            .iter()
            .map(|event| told(event))
            .collect();
        let seen = until_two_ends(&mut watcher).await;
        let shown = |events: &BTreeSet<String>| {
            let events: Vec<_> = events.iter().map(String::as_str).collect();
            normal(&events.join("\n"), &self.hub.host)
        };
        let (theirs, ours) = (shown(&theirs), shown(&seen));
        self.differs(events, "events", &theirs, &ours);
    }

    /// The exchange with the path and the entity tag of now instead of the recorded ones.
    fn present_exchange(&self, exchange: &Exchange, list: &str, tag: &str) -> Exchange {
        let request = Message {
            start: self.present(&exchange.request.start, list),
            fields: exchange
                .request
                .fields
                .iter()
                .map(|(name, value)| match name.as_str() {
                    "if-none-match" => (name.clone(), tag.to_owned()),
                    _ => (name.clone(), value.clone()),
                })
                .collect(),
            body: String::new(),
        };
        Exchange {
            number: exchange.number,
            title: exchange.title.clone(),
            request,
            answer: Message {
                start: exchange.answer.start.clone(),
                fields: exchange.answer.fields.clone(),
                body: exchange.answer.body.clone(),
            },
        }
    }

    /// The path of the subscription that is there now instead of the recorded one.
    fn present(&self, start: &str, list: &str) -> String {
        let list: Value = serde_json::from_str(list).expect("JSON");
        let recorded = start.split(' ').nth(1).expect("a target");
        let Some((stem, _)) = recorded.split_once("/urn%3Auuid%3A") else {
            return start.to_owned();
        };
        let ours = list["subscriptions"]
            .as_array()
            .expect("an array")
            .iter()
            .filter_map(|one| one["id"].as_str())
            .find(|id| id.starts_with(stem));
        ours.map_or(start.to_owned(), |id| start.replace(recorded, id))
    }

    /// Waits until `count` subscriptions are listed.
    pub async fn settle(&self, count: usize) {
        let token = self.token("subscriber token, all topics");
        let client: Client = self.hub.client().bearer(&token);
        let settled = async {
            loop {
                let list = client.get("/.well-known/mercure/subscriptions").await;
                let list: Value = serde_json::from_str(&list.text).expect("JSON");
                if list["subscriptions"].as_array().expect("an array").len() == count {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        talaria_conformance::within("the subscriptions", settled).await;
    }
}

/// The events up to two ends: two beginnings and two ends, and perhaps the watcher's own beginning.
async fn until_two_ends(watcher: &mut EventStream) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut ends = 0;
    while ends < 2 {
        let event = watcher.event().await;
        let document: Value = serde_json::from_str(&event.data).expect("JSON");
        ends += usize::from(document["active"] == false);
        let data: String = event
            .data
            .lines()
            .map(|line| format!("data: {line}\n"))
            .collect();
        seen.insert(told(&format!("event: {}\n{data}", event.event_type)));
    }
    seen
}

/// Type and document of an event, on one line.
fn told(event: &str) -> String {
    let kind = event.lines().find_map(|line| line.strip_prefix("event: "));
    let data: String = event
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let document: Value = serde_json::from_str(&data).expect("JSON");
    format!("{} {document}", kind.unwrap_or_default())
}
