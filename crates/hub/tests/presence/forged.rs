//! Only events of the hub itself begin and end subscriptions (specification, "Publication" and "Active
//! Subscriptions"). What others put into the log changes nothing, however it got there: by another rule,
//! another base path, an imported database or a batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use talaria_protocol::Update;
use talaria_transport::Transport as _;

use super::faulty::{Fate, Faulty, Log};
use super::restarts::{all_ended, left_behind};
use super::{API, hub, said, subscribe, until, until_listed, until_said};

/// The event that the hub would write, without its mark.
fn event(id: &str, name: &str, active: bool) -> Update {
    let document = json!({
        "id": id,
        "type": "subscription",
        "subscriber": "urn:uuid:00000000-0000-4000-8000-000000000000",
        "match": name,
        "match_type": "exact",
        "active": active,
    });
    Update {
        topics: vec![id.to_owned()],
        data: format!("{document:#}"),
        event_type: Some("mercure".to_owned()),
        private: true,
        ..Update::default()
    }
}

async fn forge(log: &Arc<Faulty>, updates: Vec<Update>) {
    let appended = Log(Arc::clone(log)).append_all(updates).await;
    appended.expect("they are stored");
}

/// The ids of the events of a name.
async fn id_of(log: &Faulty, name: &str) -> String {
    let events = log.events().await;
    let event = events.into_iter().find(|event| event.name == name);
    event.expect("an event").id
}

/// A forged end does not take a subscriber out of the list, and does not replace the real one.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_end_ends_nothing() {
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub(&log);
    let victim = subscribe(&hub, "victim").await;
    until_listed(&log, &hub, &["victim"]).await;
    let id = id_of(&log, "victim").await;
    forge(&log, vec![event(&id, "victim", false)]).await;
    // Other updates that look like it: without a type as in 0.x, public, one of several topics.
    let end = event(&id, "victim", false);
    let untyped = Update {
        event_type: None,
        ..end.clone()
    };
    let beside = Update {
        topics: vec![id.clone(), "https://example.com/a".to_owned()],
        ..end.clone()
    };
    forge(&log, vec![untyped, beside, end]).await;
    until_listed(&log, &hub, &["victim"]).await;
    drop(victim);
    let forged_and_real = [true, false, false, false, false, false].to_vec();
    let expected = BTreeMap::from([("victim".to_owned(), forged_and_real)]);
    until_said(&log, &expected).await;
    until_listed(&log, &hub, &[]).await;
}

/// A forged beginning does not put a subscriber into the list, neither a stranger nor one whose own beginning
/// is not stored yet, and does not replace that.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_beginning_begins_nothing() {
    let refused = Arc::new(Mutex::new(None));
    let log = Faulty::new({
        let refused = Arc::clone(&refused);
        move |event| match event.name.as_str() {
            "late" => {
                *refused.lock().expect("no panic") = Some(event.id.clone());
                Fate::Refuse
            }
            _ => Fate::Store,
        }
    });
    let hub = hub(&log);
    let _late = subscribe(&hub, "late").await;
    let tried = || async { refused.lock().expect("no panic").is_some() };
    until(&log, "a try", tried).await;
    let id = refused.lock().expect("no panic").clone().expect("a topic");
    let stranger = format!("{API}/exact/stranger/urn%3Auuid%3A1");
    log.plan(|event| match event.name.as_str() {
        "late" => Fate::Refuse,
        _ => Fate::Store,
    });
    let forged = vec![
        event(&stranger, "stranger", true),
        event(&id, "forged", true),
    ];
    forge(&log, forged).await;
    let _marker = subscribe(&hub, "marker").await;
    until_listed(&log, &hub, &["marker"]).await;
    log.plan(|_| Fate::Store);
    until_listed(&log, &hub, &["late", "marker"]).await;
}

/// After a restart the hub ends all subscriptions that it had begun, and no others, whatever the log says
/// besides.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_believes_the_hub_alone() {
    let log = left_behind(10, 3).await;
    log.plan(|_| Fate::Store);
    let open = id_of(&log, "t0007").await;
    let stranger = format!("{API}/exact/stranger/urn%3Auuid%3A1");
    let older = format!("{API}/https%3A%2F%2Fexample.com%2Fa/urn%3Auuid%3A2");
    let untyped = Update {
        event_type: None,
        ..event(&older, "older", true)
    };
    // A topic of 0.x that only resolves to another place, and what another base path made of it.
    let dots = format!("{API}/../../a");
    let forged = vec![
        event(&open, "t0007", false),
        event(&stranger, "stranger", true),
        untyped,
        event(&dots, "dots", true),
    ];
    forge(&log, forged).await;
    let mut expected = all_ended(10);
    expected.insert("t0007".to_owned(), vec![true, false, false]);
    for name in ["stranger", "older", "dots"] {
        expected.insert(name.to_owned(), vec![true]);
    }
    for marker in ["marker0", "marker1"] {
        let next = hub(&log);
        drop(subscribe(&next, marker).await);
        expected.insert(marker.to_owned(), vec![true, false]);
        until_said(&log, &expected).await;
        until(&log, "an idle hub", || async { next.is_idle() }).await;
    }
    assert_eq!(said(&log).await, expected);
}
