//! Hubs, their server and their clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use talaria_hub::Hub;
use talaria_hub::access::{Algorithm, Issuer, Issuers, SigningKey, VerificationKey};
use talaria_hub::clock::{Clock, UnixTime};
use talaria_transport::shared::simulated::{Direction, Faults, Simulated};
use talaria_transport::shared::{Shared, SharedOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::case::{Case, NODES, Reader, TOPICS, Update, pattern};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";
const PATH: &str = "/.well-known/mercure";
const NOW: f64 = 2_000_000_000.0;
/// The data of the last update.
const END: &str = "end";
/// Far beyond what a case takes.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// The time of the runtime, which is virtual.
struct Virtual;

impl Clock for Virtual {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::from_seconds(NOW)
    }
}

/// A reader, the update after which it began, and what it received.
type Delivered = (Reader, Option<usize>, Vec<usize>);

pub struct Site {
    pub server: Simulated,
    /// The ids of acknowledged updates.
    pub acknowledged: BTreeMap<usize, String>,
    hubs: Vec<Arc<Hub>>,
    publishes: JoinSet<Option<(usize, String)>>,
    readers: JoinSet<Delivered>,
    is_done: watch::Sender<bool>,
}

impl Site {
    pub async fn start(case: &Case) -> Self {
        let server = Simulated::new(case.server());
        let mut hubs = Vec::new();
        for (number, name) in NODES.into_iter().enumerate() {
            let mut options = SharedOptions::default();
            options.ring_bytes = case.ring_bytes;
            options.seed = Some(case.seed ^ number as u64);
            let log = Shared::open(Arc::new(server.node(name)), options).await;
            hubs.push(Arc::new(hub(log.expect("nothing fails yet"))));
        }
        Self {
            server,
            acknowledged: BTreeMap::new(),
            hubs,
            publishes: JoinSet::new(),
            readers: JoinSet::new(),
            is_done: watch::Sender::new(false),
        }
    }

    /// Publishes an update while other things happen. A publish that is refused is not repeated.
    pub fn publish(&mut self, node: usize, number: usize, update: &Update) {
        let mut form = format!("data={number} {}", "x".repeat(update.bytes));
        for topic in &update.topics {
            form += &format!("&topic={}", TOPICS[*topic]);
        }
        if update.private {
            form += "&private=on";
        }
        let hub = Arc::clone(&self.hubs[node]);
        self.publishes
            .spawn(async move { Some((number, publish(&hub, form).await?)) });
    }

    /// A reader comes, and comes again until the hub lets it in.
    pub fn join(&mut self, node: usize, reader: &Reader) {
        while let Some(answered) = self.publishes.try_join_next() {
            self.answered(answered.expect("no panic"));
        }
        let count = self.acknowledged.len();
        let after = reader.after.and_then(|place| place.checked_rem(count));
        let after = after.and_then(|place| self.acknowledged.iter().nth(place));
        let (after, id) = match after {
            Some((number, id)) => (Some(*number), id.clone()),
            None => (None, "earliest".to_owned()),
        };
        let (hub, reader) = (Arc::clone(&self.hubs[node]), reader.clone());
        let mut done = self.is_done.subscribe();
        self.readers.spawn(async move {
            let body = subscribe(&hub, &reader, &id).await;
            if reader.is_late {
                done.wait_for(|is_done| *is_done)
                    .await
                    .expect("the site lives");
            }
            let delivered = read(body).await;
            (reader, after, delivered)
        });
    }

    /// Waits until all publishes are answered.
    pub async fn settle(&mut self) {
        while let Some(answered) = self.publishes.join_next().await {
            self.answered(answered.expect("no panic"));
        }
    }

    fn answered(&mut self, answered: Option<(usize, String)>) {
        self.acknowledged.extend(answered);
    }

    pub fn cut(&self, node: usize, direction: Direction) {
        self.server.cut(NODES[node], direction);
    }

    pub fn mend(&self, node: usize) {
        self.server.mend(NODES[node]);
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.server.set_faults(Faults::default());
        (0..NODES.len()).for_each(|node| self.mend(node));
    }

    /// Publishes the update that ends all readers, and has the late ones read.
    pub async fn publish_the_end(&self) {
        let form = || {
            TOPICS.iter().fold(format!("data={END}"), |form, topic| {
                form + "&topic=" + topic
            })
        };
        let published = async {
            while publish(&self.hubs[0], form()).await.is_none() {
                sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(PATIENCE, published)
            .await
            .expect("the end is taken");
        self.is_done.send_replace(true);
    }

    /// What each reader received before the end.
    pub async fn delivered(self) -> Vec<Delivered> {
        let all = self.readers.join_all();
        timeout(PATIENCE, all)
            .await
            .expect("all readers come to the end")
    }

    /// The numbers of the updates in the log before the end.
    pub fn log(&self) -> Vec<usize> {
        let held = self.server.held().expect("there is a log");
        let all = held
            .records
            .iter()
            .map(|record| number_of(&record.update.data));
        all.map_while(|number| number).collect()
    }
}

fn hub(log: Shared<talaria_transport::shared::simulated::SimulatedNode>) -> Hub {
    let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let issuers = Issuers::new([Issuer::new(ISSUER).publisher(key.clone()).subscriber(key)]);
    Hub::builder(issuers.expect("an issuer"))
        .anonymous()
        .configure(|options| {
            options.write_timeout = None;
            options.heartbeat = None;
        })
        .transport(Arc::new(log))
        .clock(Arc::new(Virtual))
        .build()
        .expect("a hub")
}

/// The number at the beginning of data; `None` is the end.
fn number_of(data: &str) -> Option<usize> {
    let word = data.split(' ').next().filter(|word| *word != END)?;
    Some(word.parse().expect("a number"))
}

fn token(action: &str, topics: &[&str]) -> String {
    let topics: Vec<_> = topics
        .iter()
        .map(|topic| json!({ "match": topic }))
        .collect();
    let claims = json!({
        "iss": ISSUER,
        "sub": "client",
        "aud": "http://hub.example/.well-known/mercure",
        "exp": NOW + 1e6,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": [action],
            "topics": topics,
        }],
    });
    SigningKey::from_secret(SECRET, Algorithm::HS256)
        .and_then(|key| key.sign(&claims))
        .expect("a token")
}

async fn ask(hub: &Hub, request: http::request::Builder, body: Body) -> Response<Body> {
    let request = request.header("host", "hub.example").body(body);
    hub.handle(request.expect("a request")).await
}

/// The id of the update, if it is acknowledged.
async fn publish(hub: &Hub, form: String) -> Option<String> {
    let request = Request::post(PATH)
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!("Bearer {}", token("publish", &["*"])),
        );
    let answer = ask(hub, request, Body::from(form)).await;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some(String::from_utf8(body.to_vec()).expect("an id"))
}

async fn subscribe(hub: &Hub, reader: &Reader, id: &str) -> Body {
    let query = reader
        .matchers
        .iter()
        .map(|place| format!("match={}", pattern(*place)));
    let target = format!("{PATH}?{}", query.collect::<Vec<_>>().join("&"));
    loop {
        let mut request = Request::get(&target).header("last-event-id", id);
        if let Some(grants) = &reader.grants {
            let topics: Vec<_> = grants.iter().map(|place| pattern(*place)).collect();
            let token = token("subscribe", &topics);
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = ask(hub, request, Body::empty()).await;
        if answer.status() == StatusCode::OK {
            assert_eq!(answer.headers()["mercure-last-event-id"], id);
            return answer.into_body();
        }
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        sleep(Duration::from_millis(500)).await;
    }
}

/// What a stream delivers before the end.
async fn read(mut body: Body) -> Vec<usize> {
    let mut text = String::new();
    let mut delivered = Vec::new();
    loop {
        let frame = body
            .frame()
            .await
            .expect("the stream goes on")
            .expect("a frame");
        let bytes = frame.into_data().expect("data");
        text += std::str::from_utf8(&bytes).expect("UTF-8");
        while let Some((line, rest)) = text.split_once('\n') {
            if let Some(data) = line
                .strip_prefix("data: ")
                .or_else(|| line.strip_prefix("data:"))
            {
                match number_of(data) {
                    Some(number) => delivered.push(number),
                    None => return delivered,
                }
            }
            text = rest.to_owned();
        }
    }
}
