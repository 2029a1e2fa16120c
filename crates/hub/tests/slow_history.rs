//! A transport that reads slowly, or has nothing more to read. Heads do not wait for it, and streams go on or
//! end as it says.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use talaria_hub::access::Issuers;
use talaria_hub::{Hub, SubscribeOptions};
use talaria_protocol::Update;
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Frame, Health, Lookup, Page, Pending, Position,
    ReadError, Ring, Route, Transport, Unavailable,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
const NEWEST: Position = Position(3);

/// A log of three updates that answers single reads as the test says.
struct Scripted {
    ring: Arc<Ring>,
    pages: Mutex<VecDeque<Result<Page, ReadError>>>,
    /// One permit for each read that may be answered.
    permits: Semaphore,
    /// The client of each read.
    clients: Mutex<Vec<u64>>,
}

impl Scripted {
    fn new(pages: impl IntoIterator<Item = Result<Page, ReadError>>, permits: usize) -> Arc<Self> {
        Arc::new(Self {
            ring: Arc::new(Ring::new(1 << 20, NEWEST)),
            pages: Mutex::new(pages.into_iter().collect()),
            permits: Semaphore::new(permits),
            clients: Mutex::default(),
        })
    }
}

impl Transport for Scripted {
    fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    fn start(&self, _: Arc<dyn Route>) {}

    fn append(&self, _: Update) -> Pending<'static, Result<Appended, AppendError>> {
        Box::pin(async { Err(AppendError::Refused("it only reads")) })
    }

    fn append_all(&self, _: Vec<Update>) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        Box::pin(async { Err(AppendError::Refused("it only reads")) })
    }

    fn read(
        &self,
        from: Position,
        _: Position,
        _: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        self.clients.lock().expect("no panic").push(filter.client());
        Box::pin(async move {
            self.permits.acquire().await.expect("it is open").forget();
            let next = self.pages.lock().expect("no panic").pop_front();
            next.unwrap_or(Err(ReadError::Passed(from)))
        })
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        let lookup = match event_id {
            "lost" => Ok(Lookup::Past {
                position: Position(1),
                event_id: "1".to_owned(),
            }),
            "unreadable" => Err(Unavailable),
            "slow" => return Box::pin(std::future::pending()),
            _ => Ok(Lookup::Unknown),
        };
        Box::pin(std::future::ready(lookup))
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            floor: Position::ORIGIN,
            head: NEWEST,
        }
    }

    fn newest_id(&self) -> Option<String> {
        Some("3".to_owned())
    }

    fn health(&self) -> Health {
        Health::Refusing("it only reads")
    }
}

fn page(positions: &[u64], looked_up_to: u64) -> Result<Page, ReadError> {
    let frame = |position: &u64| {
        let update = Update {
            topics: vec!["t".to_owned()],
            ..Update::default()
        };
        Arc::new(Frame::new(
            Position(*position),
            position.to_string(),
            update,
        ))
    };
    Ok(Page {
        frames: positions.iter().map(frame).collect(),
        looked_up_to: Position(looked_up_to),
    })
}

async fn subscribe(transport: &Arc<Scripted>, cursor: &str) -> Response<Body> {
    ask(transport, cursor, Method::GET, None).await
}

async fn ask(
    transport: &Arc<Scripted>,
    cursor: &str,
    method: Method,
    accept: Option<&str>,
) -> Response<Body> {
    let hub = Hub::builder(Issuers::default()).anonymous();
    let hub = hub.transport(Arc::clone(transport) as _).build();
    let hub = hub.expect("a hub");
    let mut request = Request::builder()
        .method(method)
        .uri("/.well-known/mercure?match=t")
        .header("host", "hub.example")
        .header("last-event-id", cursor);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let request = request.body(Body::empty()).expect("a request");
    let answered = timeout(PATIENCE, hub.handle(request)).await;
    answered.expect("the head does not wait for the history")
}

/// The next chunk; `None` at the end.
async fn chunk(response: &mut Response<Body>) -> Option<String> {
    let frame = timeout(PATIENCE, response.body_mut().frame()).await;
    let frame = frame.expect("a chunk or the end")?.expect("no error");
    let bytes = frame.into_data().expect("data");
    Some(String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

/// Head and opening comment are sent at once, and not after a replay, so that a slow log does not delay the
/// `open` event of a browser.
#[tokio::test]
async fn the_head_leaves_before_the_replay() {
    let transport = Scripted::new([page(&[1, 2, 3], 3)], 0);
    let mut response = subscribe(&transport, "earliest").await;
    assert_eq!(response.headers()["mercure-last-event-id"], "earliest");
    assert_eq!(chunk(&mut response).await.as_deref(), Some(":\n"));
    let replay = chunk(&mut response);
    tokio::pin!(replay);
    tokio::select! {
        biased;
        early = &mut replay => panic!("{early:?} is replayed before it was read"),
        () = tokio::task::yield_now() => {}
    }
    transport.permits.add_permits(1);
    let replayed = replay.await.expect("the replay");
    assert_eq!(replayed.matches("id: ").count(), 3);
}

/// A page that holds nothing for the reader is followed by the next one.
#[tokio::test]
async fn an_empty_page_is_not_the_end() {
    let pages = [page(&[], 1), page(&[], 2), page(&[3], 3)];
    let transport = Scripted::new(pages, 3);
    let mut response = subscribe(&transport, "earliest").await;
    assert_eq!(chunk(&mut response).await.as_deref(), Some(":\n"));
    let replayed = chunk(&mut response).await.expect("the replay");
    assert!(replayed.starts_with("id: 3\n"), "{replayed}");
}

/// What the log no longer holds ends the stream cleanly, so that the client comes back.
#[tokio::test]
async fn a_log_that_has_passed_ends_the_stream() {
    let pages = [page(&[1], 1), Err(ReadError::Passed(Position(1)))];
    let transport = Scripted::new(pages, 2);
    let mut response = subscribe(&transport, "earliest").await;
    assert_eq!(chunk(&mut response).await.as_deref(), Some(":\n"));
    assert!(
        chunk(&mut response)
            .await
            .is_some_and(|text| text.starts_with("id: 1\n"))
    );
    assert_eq!(chunk(&mut response).await, None);
}

/// A transport lets clients take turns. Each stream of the application is a client there, and remains
/// the same one.
#[tokio::test]
async fn streams_of_the_application_do_not_wait_for_each_other() {
    let pages = [page(&[], 1), page(&[2], 2), page(&[], 1), page(&[2], 2)];
    let transport = Scripted::new(pages, 4);
    let hub = Hub::builder(Issuers::default()).transport(Arc::clone(&transport) as _);
    let hub = hub.build().expect("a hub");
    for _ in 0..2 {
        let options = SubscribeOptions::new().topic("t").resume_after("earliest");
        let mut updates = hub.subscribe(options).await.expect("a stream");
        let update = timeout(PATIENCE, updates.next()).await.expect("in time");
        assert!(update.is_some());
    }
    let clients = transport.clients.lock().expect("no panic").clone();
    assert_eq!(clients.len(), 4, "{clients:?}");
    assert!(clients[0] == clients[1] && clients[2] == clients[3]);
    assert_ne!(clients[0], clients[2]);
}

/// A client that sends the id of a lost update is told its new position (specification, "Reconnection").
#[tokio::test]
async fn a_lost_id_resumes_where_its_run_ended() {
    let transport = Scripted::new([page(&[2, 3], 3)], 1);
    let mut response = subscribe(&transport, "lost").await;
    assert_eq!(response.headers()["mercure-last-event-id"], "1");
    assert_eq!(chunk(&mut response).await.as_deref(), Some(":\n"));
    assert!(
        chunk(&mut response)
            .await
            .is_some_and(|text| text.starts_with("id: 2\n"))
    );
}

/// The milliseconds that an `EventSource` is told to wait before it comes back.
fn retry(text: &str) -> u64 {
    let retry = text.lines().find_map(|line| line.strip_prefix("retry: "));
    let retry = retry.unwrap_or_else(|| panic!("no retry in {text:?}"));
    retry.parse().expect("a number")
}

/// An id that cannot be looked up is neither unknown nor deleted. A browser, which does not reconnect after
/// any status but 200, gets a stream that ends, with its cursor as asked, and another client gets 503.
#[tokio::test]
async fn an_id_that_cannot_be_looked_up_is_refused_for_now() {
    let transport = Scripted::new([], 0);
    let browser = Some("text/event-stream");
    let mut response = ask(&transport, "unreadable", Method::GET, browser).await;
    assert_is_told_to_come_back(&mut response, "unreadable").await;
    let head = ask(&transport, "unreadable", Method::HEAD, browser).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["mercure-last-event-id"], "unreadable");
    for accept in [None, Some("*/*"), Some("text/*")] {
        let response = ask(&transport, "unreadable", Method::GET, accept).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        assert!(!response.headers().contains_key("mercure-last-event-id"));
    }
}

/// The head of a stream waits for a look-up for a bounded time only.
#[tokio::test]
async fn a_look_up_that_takes_too_long_is_refused_for_now() {
    let transport = Scripted::new([], 0);
    let mut response = ask(&transport, "slow", Method::GET, Some("text/event-stream")).await;
    assert_is_told_to_come_back(&mut response, "slow").await;
}

async fn assert_is_told_to_come_back(response: &mut Response<Body>, id: &str) {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["mercure-last-event-id"], id);
    let text = chunk(response).await.expect("a reason");
    assert!(text.starts_with(": the log cannot be read now\n"), "{text}");
    assert!((2_000..=5_000).contains(&retry(&text)), "{text}");
    assert!(!text.contains("data:") && !text.contains("id:"), "{text}");
    assert_eq!(chunk(response).await, None);
}

/// A page that cannot be read ends the stream after what was sent, so that the client resumes there, without
/// a gap.
#[tokio::test]
async fn a_page_that_cannot_be_read_ends_the_stream() {
    let pages = [page(&[1], 1), Err(Unavailable.into())];
    let transport = Scripted::new(pages, 2);
    let mut response = subscribe(&transport, "earliest").await;
    assert_eq!(chunk(&mut response).await.as_deref(), Some(":\n"));
    let first = chunk(&mut response).await.expect("the first update");
    assert!(first.starts_with("id: 1\n"), "{first}");
    let last = chunk(&mut response).await.expect("a reason");
    assert!(last.starts_with(": the log cannot be read now\n"), "{last}");
    assert!((2_000..=5_000).contains(&retry(&last)), "{last}");
    assert_eq!(chunk(&mut response).await, None);
}

/// The hub tries to find the subscriptions that an earlier run left open until the log can be read.
#[tokio::test]
async fn recovery_waits_for_a_log_that_cannot_be_read() {
    let transport = Scripted::new([Err(Unavailable.into()), page(&[], 3)], 2);
    let hub = Hub::builder(Issuers::default()).configure(|options| options.subscriptions = true);
    let _hub = hub.transport(Arc::clone(&transport) as _).build();
    let both_are_read = async {
        while transport.permits.available_permits() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, both_are_read).await.expect("it reads on");
}
