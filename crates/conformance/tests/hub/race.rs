//! Publishers and subscribers at full speed, with reconnections in between: no update is lost.
//!
//! Each topic has one publisher, so its list is the order that every subscriber must see. Odd
//! numbers are private. A subscriber checks that each number follows its last one, that a start
//! without cursor begins between what was answered before it asked and what began after it was
//! answered, and that the ids it resumes from are the publisher's.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use talaria_conformance::client::Client;
use talaria_conformance::hub::Hub;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::exact;
use talaria_conformance::{count, within_time};
use tokio::task::JoinSet;

/// Subscribers of each topic.
const AUDIENCE: usize = 20;

#[derive(Default)]
struct Topic {
    name: String,
    started: AtomicUsize,
    answered: AtomicUsize,
    ids: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Race {
    over: AtomicBool,
    reconnects: AtomicUsize,
    deliveries: AtomicUsize,
}

async fn publish(hub: Arc<Hub>, topics: Vec<Arc<Topic>>, race: Arc<Race>) {
    let mut connection = hub.publisher().keep().await;
    while !race.over.load(Ordering::SeqCst) {
        for topic in &topics {
            let number = topic.started.fetch_add(1, Ordering::SeqCst);
            let data = number.to_string();
            let mut fields = vec![("topic", topic.name.as_str()), ("data", &data)];
            if number % 2 == 1 {
                fields.push(("private", "on"));
            }
            let id = connection.publish(&fields).await;
            topic.ids.lock().unwrap().push(id);
            topic.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
    for topic in &topics {
        topic.started.fetch_add(1, Ordering::SeqCst);
        let id = connection
            .publish(&[("topic", &topic.name), ("data", "end")])
            .await;
        topic.ids.lock().unwrap().push(id);
    }
}

/// The first number at or after `number` that a subscriber may see.
fn visible(number: usize, granted: bool) -> usize {
    if granted {
        number
    } else {
        number.next_multiple_of(2)
    }
}

/// Subscribes to a topic, after an id if there is one, which the hub must know.
async fn open(client: &Client, topic: &str, id: Option<&String>) -> EventStream {
    let Some(id) = id else {
        return client.subscribe(&[exact(topic)]).await;
    };
    let client = client.clone().last_event_id(id);
    let stream = client.subscribe(&[exact(topic)]).await;
    let field = stream.header("mercure-last-event-id");
    assert_eq!(field, id, "the cursor is known");
    stream
}

async fn subscribe(hub: Arc<Hub>, topic: Arc<Topic>, granted: bool, seed: u64, race: Arc<Race>) {
    let grants = if granted {
        vec![exact(&topic.name)]
    } else {
        vec![]
    };
    let client = hub.subscriber(&grants);
    let mut random = Random(seed);
    let mut resume_points: Vec<(usize, String)> = Vec::new();
    let mut last: Option<(usize, String)> = None;
    let mut expected: Option<usize>;
    'connections: loop {
        let fresh = random.below(4) == 0 && !race.over.load(Ordering::SeqCst);
        let cursor = last.take_if(|_| !fresh);
        let answered = topic.answered.load(Ordering::SeqCst);
        let mut stream = open(&client, &topic.name, cursor.as_ref().map(|(_, id)| id)).await;
        if cursor.is_none() && race.over.load(Ordering::SeqCst) {
            // The end may have gone by before this start without cursor, so the last one counts.
            continue;
        }
        let started = topic.started.load(Ordering::SeqCst);
        expected = cursor
            .as_ref()
            .map(|(number, _)| visible(number + 1, granted));
        resume_points.extend(cursor);
        for _ in 0..20 + random.below(180) {
            // Shorter than a heartbeat, so that a bell that did not ring shows.
            let event = within_time(Duration::from_secs(20), "an update", stream.event()).await;
            race.deliveries.fetch_add(1, Ordering::Relaxed);
            if event.data == "end" {
                let all = topic.started.load(Ordering::SeqCst) - 1;
                if let Some(expected) = expected {
                    assert_eq!(
                        visible(all, granted),
                        expected,
                        "the end came too early on {}",
                        topic.name
                    );
                }
                break 'connections;
            }
            let number: usize = event.data.parse().expect("data is a number");
            let first = visible(answered, granted)..=visible(started, granted);
            match expected {
                Some(expected) => assert_eq!(number, expected, "the next update of {}", topic.name),
                None => assert!(
                    first.contains(&number),
                    "started at {number}, not in {first:?} of {}",
                    topic.name
                ),
            }
            expected = Some(visible(number + 1, granted));
            last = Some((number, event.id));
        }
        race.reconnects.fetch_add(1, Ordering::Relaxed);
    }
    let ids = topic.ids.lock().unwrap();
    for (number, id) in resume_points {
        assert_eq!(
            ids.get(number),
            Some(&id),
            "the id of {number} on {}",
            topic.name
        );
    }
}

/// A small generator, so that a run can be repeated by its seeds.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Starts the subscribers of each topic, and the publishers, each of which has its own topics.
fn spawn(
    hub: &Arc<Hub>,
    topics: &[Arc<Topic>],
    publishers: usize,
    race: &Arc<Race>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (number, topic) in topics.iter().enumerate() {
        for member in 0..AUDIENCE {
            let seed = (number * AUDIENCE + member) as u64;
            let granted = member % 4 != 0;
            tasks.spawn(subscribe(
                hub.clone(),
                topic.clone(),
                granted,
                seed,
                race.clone(),
            ));
        }
    }
    for publisher in 0..publishers {
        let own = topics
            .iter()
            .skip(publisher)
            .step_by(publishers)
            .cloned()
            .collect();
        tasks.spawn(publish(hub.clone(), own, race.clone()));
    }
    tasks
}

/// No update is lost, doubled or reordered: for 60 s at least, until 200,000 updates and 20,000
/// reconnections are reached, under `./test --full`; else for 5 s at least, until a few are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_reordered() {
    let (topics, publishers) = count((20, 10), (6, 3));
    let (updates, reconnects) = count((200_000, 20_000), (500, 100));
    let (least, most) = count((60, 300), (5, 60));
    let hub = Arc::new(Hub::start(
        "anonymous\ntransport memory {\nmax_bytes 256MiB\n}",
    ));
    let race = Arc::new(Race::default());
    let topics: Vec<Arc<Topic>> = (0..topics)
        .map(|number| {
            Arc::new(Topic {
                name: format!("https://example.com/race/{number}"),
                ..Topic::default()
            })
        })
        .collect();
    let mut tasks = spawn(&hub, &topics, publishers, &race);
    let published = || {
        topics
            .iter()
            .map(|topic| topic.answered.load(Ordering::SeqCst))
            .sum::<usize>()
    };
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            Some(done) = tasks.join_next() => done.expect("no task gives up before the end"),
            _ = tick.tick() => {}
        }
        let reached =
            published() >= updates && race.reconnects.load(Ordering::Relaxed) >= reconnects;
        let passed = start.elapsed().as_secs();
        if passed >= most || (passed >= least && reached) {
            break;
        }
    }
    let took = start.elapsed();
    race.over.store(true, Ordering::SeqCst);
    while let Some(done) = within_time(
        Duration::from_secs(120),
        "the last update",
        tasks.join_next(),
    )
    .await
    {
        done.expect("every check holds");
    }
    let (published, again) = (published(), race.reconnects.load(Ordering::Relaxed));
    let deliveries = race.deliveries.load(Ordering::Relaxed);
    println!(
        "race: {published} updates, {deliveries} deliveries, {again} reconnections in {took:?}: \
         {:.0} updates/s",
        published as f64 / took.as_secs_f64()
    );
    assert!(published >= updates, "only {published} updates in {took:?}");
    assert!(
        again >= reconnects,
        "only {again} reconnections in {took:?}"
    );
}
