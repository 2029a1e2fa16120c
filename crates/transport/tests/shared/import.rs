//! What another log held is taken over once, whatever happens to the network and the server.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::shared::simulated::{Faults, Simulated, SimulatedNode, SimulatedOptions};
use talaria_transport::shared::{Import, Imported};
use tokio::time::sleep;

const COUNT: u64 = 1_000;
const BATCH: u64 = 20;

fn updates(range: std::ops::Range<u64>) -> Vec<(Update, u64)> {
    let update = |number: u64| Update {
        topics: vec!["https://example.com/1".to_owned()],
        data: number.to_string(),
        id: Some(format!("urn:{number}")),
        ..Update::default()
    };
    range
        .map(|number| (update(number), 1_000 + number))
        .collect()
}

async fn begin(world: &Simulated) -> Import<SimulatedNode> {
    loop {
        if let Ok(import) = Import::begin(Arc::new(world.node("import"))).await {
            return import;
        }
    }
}

async fn import(world: &Simulated) -> Imported {
    let mut import = begin(world).await;
    for from in (0..COUNT).step_by(BATCH as usize) {
        import.append(updates(from..from + BATCH)).await.unwrap();
    }
    import.end().await.unwrap()
}

/// The number and the time of each update that is kept.
fn kept(world: &Simulated) -> Vec<(u64, u64)> {
    let held = world.held().unwrap();
    let records = held.records.iter();
    records
        .map(|record| (record.update.data.parse().unwrap(), record.time))
        .collect()
}

fn all() -> Vec<(u64, u64)> {
    (0..COUNT).map(|number| (number, 1_000 + number)).collect()
}

/// Requests and answers are lost or late, and the server is away for a while: each update is stored once, in order and
/// with its time.
#[tokio::test(start_paused = true)]
async fn an_import_survives_a_bad_network() {
    for seed in 0..20 {
        let mut options = SimulatedOptions::default();
        options.seed = seed;
        let world = Simulated::new(options);
        let mut faults = Faults::default();
        faults.lost_requests = 50;
        faults.late_requests = 50;
        faults.lost_answers = 50;
        world.set_faults(faults);
        let servers = world.clone();
        let trouble = tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            servers.kill();
            sleep(Duration::from_secs(3)).await;
            servers.start();
        });
        let done = import(&world).await;
        trouble.await.unwrap();
        assert_eq!(done.stored + done.known, COUNT, "seed {seed}");
        // Requests of a connection that died may still arrive.
        sleep(Duration::from_secs(60)).await;
        assert_eq!(kept(&world), all(), "seed {seed}");
        world.set_faults(Faults::default());
        let again = import(&world).await;
        assert_eq!((again.stored, again.known), (0, COUNT), "seed {seed}");
    }
}

/// An older copy of the log takes the place of the one that had a part of the import: the import says so, and the same
/// import brings what is missing.
#[tokio::test(start_paused = true)]
async fn an_import_that_lost_a_part_is_repeated() {
    let mut options = SimulatedOptions::default();
    options.copies = 1;
    let world = Simulated::new(options);
    let mut begun = begin(&world).await;
    begun.append(updates(0..BATCH)).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    world.cut_replica(0);
    begun.append(updates(BATCH..2 * BATCH)).await.unwrap();
    world.fail_over(Some(0), &[]);
    begun.append(updates(2 * BATCH..3 * BATCH)).await.unwrap();
    let done = begun.end().await.unwrap();
    assert!(done.was_interrupted, "{done:?}");
    assert_eq!(kept(&world).len() as u64, 2 * BATCH);
    let again = import(&world).await;
    assert_eq!(again.known, 2 * BATCH);
    assert!(!again.was_interrupted, "{again:?}");
    let mut kept = kept(&world);
    kept.sort_unstable();
    let numbers: Vec<u64> = kept.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>());
}
