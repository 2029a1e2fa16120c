//! Clients take turns with what is costly (ADR 0031).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::{at, hub};

/// How many requests one client sends before the other's.
const MANY: usize = 80;

/// The place in which the request of another client is answered, which comes after [`MANY`] costly ones of one client.
async fn place_behind_many(query: &'static str) -> usize {
    let hub = hub(|_| ());
    let answered = Arc::new(Mutex::new(Vec::new()));
    let patterns = |number: usize| {
        let each = (0..32).map(|part| format!("match_urlpattern=/{number}/{part}/:a{{/:b}}?/*"));
        format!("?{}", each.collect::<Vec<_>>().join("&"))
    };
    let costly = (0..MANY).map(|number| ("192.0.2.1", patterns(number)));
    let asked = costly.chain([("198.51.100.1", query.to_owned())]);
    let mut tasks = JoinSet::new();
    for (address, query) in asked {
        let (hub, answered) = (hub.clone(), Arc::clone(&answered));
        tasks.spawn(async move {
            let stream = at(address).enter(&hub, &query).await;
            let mut answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.push(address);
            // It stays open until all have begun, as those of an attacker do.
            stream
        });
    }
    let streams = tasks.join_all().await;
    assert_eq!(streams.len(), MANY + 1);
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
    let place = answered.iter().position(|address| *address != "192.0.2.1");
    place.expect("it is answered")
}

/// A subscription to a topic needs no turn, so hundreds of others do not delay it.
#[tokio::test]
async fn what_is_cheap_does_not_wait() {
    let place = place_behind_many("?match=a").await;
    assert!(place < MANY / 10, "answered after {place} others");
}

/// A subscription with a pattern waits for one turn of each other client, not for all their requests.
#[tokio::test]
async fn clients_take_turns() {
    let place = place_behind_many("?match_urlpattern=/a/:b").await;
    assert!(place < MANY / 10, "answered after {place} others");
}
