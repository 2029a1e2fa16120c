//! What a node knows of subscriptions where its log begins.

use std::sync::{Arc, Mutex};

use talaria_protocol::Update;
use talaria_transport::shared::simulated::Simulated;
use talaria_transport::shared::{Backend as _, Shared, SharedOptions};
use talaria_transport::{Frame, Position, Route, Transport as _};
use tokio::time::{advance, sleep};

use super::{Condition, SECOND, TWO, attached, batch, options, second, update};

/// The lists of subscriptions that were read anew, by their topics.
#[derive(Debug, Default)]
struct Lists(Mutex<Vec<Vec<String>>>);

impl Route for Lists {
    fn route(&self, _: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        acknowledge();
    }

    fn restore(&self, begun: &[Update]) {
        let topics = begun.iter().map(|update| update.topics[0].clone());
        self.0.lock().unwrap().push(topics.collect());
    }
}

impl Lists {
    fn read(&self) -> Vec<Vec<String>> {
        self.0.lock().unwrap().clone()
    }
}

async fn publish(log: &Shared<impl talaria_transport::shared::Backend>) {
    while log.append(update("a")).await.is_err() {
        sleep(SECOND / 10).await;
    }
}

/// A new log has no subscriptions, so the list that its events make needs no reading; a further run may have lost some.
#[tokio::test(start_paused = true)]
async fn a_new_log_is_followed_from_its_first_record() {
    let world = Simulated::new(options(|_| ()));
    let log = Shared::open(Arc::new(world.node("one")), SharedOptions::default()).await;
    let (log, lists) = (log.unwrap(), Arc::new(Lists::default()));
    log.start(Arc::clone(&lists) as _);
    publish(&log).await;
    publish(&log).await;
    assert_eq!(lists.read(), [[""; 0]], "what the start has read");
    world.restart();
    publish(&log).await;
    assert_eq!(lists.read(), [[""; 0]; 2]);
}

/// A subscription that began while a node entered an empty log, and that a failover loses before any record is shown,
/// is not active: the first record that is shown has the list read anew.
#[tokio::test(start_paused = true)]
async fn what_is_lost_before_the_first_record_is_not_active() {
    let mut ahead = 0;
    for seed in 0..100 {
        let (world, node) = attached(options(|options| {
            (options.seed, options.copies) = (seed, 1)
        }))
        .await;
        let other = second(&world).await;
        advance(2 * SECOND).await;
        world.cut_replica(0);
        let begins = batch(TWO, 1, &[("/s", Condition::Begins)]);
        let opening = Shared::open(Arc::new(world.node("three")), SharedOptions::default());
        let (log, begun) = tokio::join!(opening, other.append(&begins));
        begun.expect("it is stored");
        let (log, lists) = (log.unwrap(), Arc::new(Lists::default()));
        let is_at_origin = log.bounds().head == Position::ORIGIN;
        world.fail_over(None, &[]);
        log.start(Arc::clone(&lists) as _);
        publish(&log).await;
        let read = lists.read();
        ahead += u32::from(is_at_origin && read[0] == ["/s"]);
        assert_eq!(read.last().unwrap(), &[""; 0], "seed {seed}: {read:?}");
        drop(node);
    }
    assert!(ahead > 5, "{ahead} have read what came after the origin");
}
