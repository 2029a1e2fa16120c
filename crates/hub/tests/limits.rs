//! What clients may hold: who counts as one client, and that everything is given back.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use talaria_hub::access::{Issuer, Issuers, VerificationKey, mint};
use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_hub::limits::{BudgetOptions, Used};
use talaria_hub::{Connection, Handover, Hub, HubOptions};
use talaria_transport::{Memory, MemoryOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";
const HOST: &str = "hub.example";
const FORM: &str = "application/x-www-form-urlencoded";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hub with these bounds that anyone may subscribe to.
fn hub(bound: impl FnOnce(&mut BudgetOptions)) -> Hub {
    let key = VerificationKey::new(SECRET, None).expect("a key");
    let issuers = Issuers::new(vec![Issuer {
        identifier: ISSUER.to_owned(),
        authorization_server: false,
        judges_unnamed: false,
        publisher: Some(key.clone().into()),
        subscriber: Some(key.into()),
    }])
    .expect("an issuer");
    let mut options = HubOptions::new(issuers);
    options.anonymous = true;
    bound(&mut options.budgets);
    let transport = Memory::open(MemoryOptions::default()).expect("a log");
    Hub::new(options, Arc::new(transport), Arc::new(SystemClock))
}

/// A token with these claims besides those that every token needs.
fn token(more: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": format!("http://{HOST}/.well-known/mercure"),
        "exp": SystemClock.unix_time() + 600.0,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
        }],
    });
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    mint(&claims, SECRET, None, None).expect("a token")
}

/// Who asks: from where, on which connection, with which token.
#[derive(Clone)]
struct Asker {
    connection: Connection,
    token: Option<String>,
}

/// A client at this address, on a connection of its own.
fn at(ip: &str) -> Asker {
    let peer = (ip.parse::<std::net::IpAddr>().expect("an address"), 4711);
    Asker {
        connection: Connection::new(false, peer.into()),
        token: None,
    }
}

impl Asker {
    fn with(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    async fn ask(&self, hub: &Hub, method: Method, query: &str, body: Body) -> Response<Body> {
        self.send(hub, method, query, FORM, body).await
    }

    async fn batch(&self, hub: &Hub, lines: &str) -> Response<Body> {
        let body = Body::from(lines.to_owned());
        self.send(hub, Method::POST, "", "application/x-ndjson", body)
            .await
    }

    async fn send(
        &self,
        hub: &Hub,
        method: Method,
        query: &str,
        media_type: &str,
        body: Body,
    ) -> Response<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/.well-known/mercure{query}"))
            .header("host", HOST)
            .header("content-type", media_type)
            .extension(self.connection);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).expect("a request");
        timeout(PATIENCE, hub.handle(request))
            .await
            .expect("an answer")
    }

    async fn subscribe(&self, hub: &Hub, query: &str) -> Response<Body> {
        self.ask(hub, Method::GET, query, Body::empty()).await
    }

    /// Subscribes, and must be let in.
    async fn enter(&self, hub: &Hub, query: &str) -> Response<Body> {
        let response = self.subscribe(hub, query).await;
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    /// Subscribes, and must be refused; what it is told.
    async fn fail(&self, hub: &Hub, query: &str) -> String {
        refused(self.subscribe(hub, query).await).await
    }
}

async fn refused(response: Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds = response.headers()["retry-after"].to_str().expect("digits");
    assert!(seconds.parse::<u64>().expect("seconds") > 0);
    let body = response.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

/// However a stream ends, and if it never begins, all that it held is free again.
#[tokio::test]
async fn what_a_stream_held_is_given_back() {
    let hub = hub(|budgets| budgets.streams.total = Some(10));
    let one = at("192.0.2.1").with(&token(&json!({ "sub": "a" })));
    let query = "?match=a&match_urlpattern=/b/:c";
    let full = std::env::var_os("TALARIA_FULL").is_some_and(|value| value != "0");
    for _ in 0..if full { 2_500 } else { 100 } {
        let unread = one.enter(&hub, query).await;
        assert_eq!(hub.used().streams, 1);
        assert!(hub.used().matcher_memory > 0 && hub.used().matcher_states > 0);
        drop(unread);
        let mut read = one.enter(&hub, query).await;
        let opening = read.body_mut().frame().await.expect("the comment");
        assert!(opening.is_ok());
        drop(read);
        let mut taken = one.enter(&hub, query).await;
        let handover: Handover = taken.extensions_mut().remove().expect("a handover");
        let cursor = handover.take();
        drop((taken, handover));
        assert_eq!(hub.used().streams, 1, "the cursor is the subscription");
        drop(cursor);
        let head = one.ask(&hub, Method::HEAD, query, Body::empty()).await;
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(hub.used(), Used::default());
    }
}

/// What streams select is in memory once if they select the same, and so it counts once.
#[tokio::test]
async fn equal_selections_count_once() {
    let hub = hub(|_| ());
    let query = "?match_urlpattern=/a/:b&match_urlpattern=/c/:d&match_urlpattern=/e/*";
    let first = at("192.0.2.1").enter(&hub, query).await;
    let (bytes, states) = (hub.used().matcher_memory, hub.used().matcher_states);
    let mut streams = Vec::new();
    for number in 0..100_u8 {
        streams.push(at(&format!("198.51.100.{number}")).enter(&hub, query).await);
        streams.push(at("192.0.2.1").enter(&hub, query).await);
    }
    drop(first);
    let used = hub.used();
    assert_eq!(
        (used.streams, used.matcher_memory, used.matcher_states),
        (200, bytes, states)
    );
    let other = at("192.0.2.1").enter(&hub, "?match_urlpattern=/a/:b").await;
    assert!(hub.used().matcher_memory > bytes, "another selection");
    drop(other);
    drop(streams);
    assert_eq!(hub.used(), Used::default());
}

/// A subject is an issuer's `sub`, wherever it comes from; a token without one stands for itself.
#[tokio::test]
async fn a_token_subject_counts_wherever_it_comes_from() {
    let hub = hub(|budgets| budgets.streams.per_subject = Some(1));
    let subject = |name: &str, id: u8| token(&json!({ "sub": name, "jti": id.to_string() }));
    let _held = at("192.0.2.1")
        .with(&subject("a", 1))
        .enter(&hub, "?match=x")
        .await;
    let told = at("192.0.2.2")
        .with(&subject("a", 2))
        .fail(&hub, "?match=x")
        .await;
    assert_eq!(
        told,
        "streams: the limit for one token subject is 1, and this request needs 1 more; close some, try again later, or raise max_streams_per_subject\n"
    );
    let _other = at("192.0.2.2")
        .with(&subject("b", 1))
        .enter(&hub, "?match=x")
        .await;
    let _anonymous = at("192.0.2.2").enter(&hub, "?match=x").await;
    let without = [
        json!({ "jti": "1" }),
        json!({ "jti": "2" }),
        json!({ "sub": "", "jti": "3" }),
    ];
    let mut held = Vec::new();
    for token in without.each_ref().map(token) {
        held.push(at("192.0.2.3").with(&token).enter(&hub, "?match=x").await);
        at("192.0.2.4").with(&token).fail(&hub, "?match=x").await;
    }
}

/// One customer has a network of IPv6 addresses, and one IPv4 address in either form. Clients of a
/// listener that tells no addresses are one client.
#[tokio::test]
async fn an_address_is_what_one_customer_has() {
    let hub = hub(|budgets| budgets.streams.per_address = Some(1));
    for (one, same, other) in [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("::1", "::2", "::ffff:0.0.0.2"),
    ] {
        let _held = at(one).enter(&hub, "?match=x").await;
        let told = at(same).fail(&hub, "?match=x").await;
        assert!(
            told.contains("streams: the limit for one address is 1,"),
            "{told}"
        );
        let _other = at(other).enter(&hub, "?match=x").await;
    }
    let unknown = Asker {
        connection: Connection::default(),
        token: None,
    };
    let _held = unknown.enter(&hub, "?match=x").await;
    unknown.clone().fail(&hub, "?match=x").await;
    let mut forwarded = at("192.0.2.9");
    forwarded.connection.client = Some([192, 0, 2, 1].into());
    let _held = at("192.0.2.1").enter(&hub, "?match=x").await;
    forwarded.fail(&hub, "?match=x").await;
}

/// Each bound is one of its own resource and scope, and says which.
#[tokio::test]
async fn every_bound_names_itself() {
    let token = token(&json!({ "sub": "a" }));
    let costly = "?match_urlpattern=/a/:b&match_urlpattern=/c{/:d}%3F";
    type Bound = fn(&mut BudgetOptions) -> &mut Option<u64>;
    let bounds: [(&str, Bound); 11] = [
        ("max_streams", |budgets| &mut budgets.streams.total),
        ("max_streams_per_address", |budgets| {
            &mut budgets.streams.per_address
        }),
        ("max_streams_per_subject", |budgets| {
            &mut budgets.streams.per_subject
        }),
        ("max_matcher_memory", |budgets| {
            &mut budgets.matcher_memory.total
        }),
        ("max_matcher_memory_per_address", |budgets| {
            &mut budgets.matcher_memory.per_address
        }),
        ("max_matcher_memory_per_subject", |budgets| {
            &mut budgets.matcher_memory.per_subject
        }),
        ("max_matcher_memory_per_connection", |budgets| {
            &mut budgets.matcher_memory.per_connection
        }),
        ("max_matcher_states", |budgets| {
            &mut budgets.matcher_states.total
        }),
        ("max_matcher_states_per_address", |budgets| {
            &mut budgets.matcher_states.per_address
        }),
        ("max_matcher_states_per_subject", |budgets| {
            &mut budgets.matcher_states.per_subject
        }),
        ("max_matcher_states_per_connection", |budgets| {
            &mut budgets.matcher_states.per_connection
        }),
    ];
    for (name, bound) in bounds {
        let hub = hub(|budgets| *bound(budgets) = Some(0));
        let told = at("192.0.2.1").with(&token).fail(&hub, costly).await;
        assert!(told.contains(" is 0,"), "{name}: {told}");
        assert!(
            told.ends_with(&format!("or raise {name}\n")),
            "{name}: {told}"
        );
        assert_eq!(hub.used(), Used::default(), "{name}");
    }
}

/// The streams of one connection count together, each with all that it selects: another connection
/// is not concerned.
#[tokio::test]
async fn a_connection_has_a_budget_of_its_own() {
    let hub = hub(|_| ());
    let one = at("192.0.2.1");
    let mut streams = Vec::new();
    let told = loop {
        // 250 patterns of some 50 states each.
        let number = streams.len();
        let pattern = |part| format!("&match_urlpattern=/{number}/{part}{{/:a}}%3F{{/:b}}%3F/:c/*");
        let query: String = (0..250).map(pattern).collect();
        let response = one.subscribe(&hub, &query.replacen('&', "?", 1)).await;
        match response.status() {
            StatusCode::OK => streams.push(response),
            _ => break refused(response).await,
        }
        assert!(streams.len() < 150, "no bound");
    };
    assert!(told.contains("the limit for one connection is "), "{told}");
    assert!(!streams.is_empty());
    let used = hub.used();
    assert!(used.matcher_memory <= 16 << 20, "{used:?}");
    assert!(used.matcher_states <= 1 << 17, "{used:?}");
    one.enter(&hub, "?match=a").await;
    at("192.0.2.1").enter(&hub, "?match_urlpattern=/a/:b").await;
}

/// Twenty addresses that take what they can leave room for those that come.
#[tokio::test]
async fn a_newcomer_finds_room_beside_twenty_that_take_all_they_can() {
    let hub = hub(|budgets| budgets.streams.total = Some(2_000));
    let mut streams = Vec::new();
    // One after the other, and all over again, until none of them gets any more.
    loop {
        let before = streams.len();
        for number in 1..=20 {
            loop {
                let response = at(&format!("192.0.2.{number}"))
                    .subscribe(&hub, "?match=a")
                    .await;
                if response.status() != StatusCode::OK {
                    let told = refused(response).await;
                    assert!(
                        told.contains("streams: the limit for one address is now 10, because more than four fifths of 2000 are taken, "),
                        "{told}"
                    );
                    break;
                }
                streams.push(response);
                assert!(streams.len() <= 2_000, "no bound");
            }
        }
        if streams.len() == before {
            break;
        }
    }
    assert_eq!(streams.len(), 1_600 + 19 * 10);
    let mut honest = Vec::new();
    for number in 0..5 {
        honest.push(
            at(&format!("198.51.100.{number}"))
                .enter(&hub, "?match=a")
                .await,
        );
    }
}

/// A body without a length that comes in pieces.
struct Pieces(mpsc::Receiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A request whose body has begun with `bytes` bytes, once they are charged or refused.
async fn begin(hub: &Hub, asker: Asker, method: Method, bytes: usize) -> Slow {
    let (sender, body) = mpsc::channel(8);
    let before = hub.used().body_memory;
    let own = hub.clone();
    let body = Body::new(Pieces(body));
    let answer = tokio::spawn(async move { asker.ask(&own, method, "", body).await });
    let first = sender.send(Bytes::from(vec![b'a'; bytes]));
    first.await.expect("there is room");
    let slow = Slow { sender, answer };
    let charged = async {
        while hub.used().body_memory == before && !slow.answer.is_finished() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, charged).await.expect("it is charged");
    slow
}

struct Slow {
    sender: mpsc::Sender<Bytes>,
    answer: JoinHandle<Response<Body>>,
}

impl Slow {
    /// Ends the body; the answer.
    async fn end(self) -> Response<Body> {
        drop(self.sender);
        let answer = timeout(PATIENCE, self.answer).await;
        answer.expect("an answer").expect("no panic")
    }
}

/// Bodies under way are charged for what has come of them; those without a token have a quarter, so
/// that they do not stand in the way of publishers, be it from the same address.
#[tokio::test]
async fn bodies_without_a_token_leave_room_for_publishers() {
    const TOTAL: u64 = 1 << 20;
    let hub = hub(|budgets| budgets.body_memory.total = Some(TOTAL));
    let query = Method::from_bytes(b"QUERY").expect("a method");
    let mut under_way = Vec::new();
    let told = loop {
        let asker = at(&format!("192.0.2.{}", under_way.len() % 20));
        let slow = begin(&hub, asker, query.clone(), 30_000).await;
        if slow.answer.is_finished() {
            break refused(slow.end().await).await;
        }
        under_way.push(slow);
        assert!(hub.used().body_memory <= TOTAL / 4);
    };
    assert!(told.ends_with("or raise max_body_memory\n"), "{told}");
    assert!(under_way.len() > 5, "{}", under_way.len());
    let publisher = at("192.0.2.1").with(&token(&json!({ "sub": "p" })));
    let body = format!("topic=a&data={}", "d".repeat(200_000));
    for _ in 0..3 {
        let answer = publisher
            .ask(&hub, Method::POST, "", Body::from(body.clone()))
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    // A body that ends and a client that is gone give it back.
    for (number, slow) in under_way.into_iter().enumerate() {
        if number % 2 == 0 {
            slow.answer.abort();
            assert!(slow.answer.await.is_err());
        } else {
            let answer = slow.end().await;
            assert_eq!(
                answer.status(),
                StatusCode::BAD_REQUEST,
                "it names no topic"
            );
        }
    }
    assert_eq!(hub.used(), Used::default());
}

/// A batch of short lines costs more than its bytes, until its results are read or its publisher is
/// gone.
#[tokio::test]
async fn a_batch_is_charged_until_its_results_are_sent() {
    let hub = hub(|budgets| budgets.body_memory.per_subject = Some(10 << 20));
    let publisher = at("192.0.2.1").with(&token(&json!({ "sub": "p" })));
    let lines = "{}\n".repeat(9_000);
    let mut unread = Vec::new();
    let told = loop {
        let response = publisher.batch(&hub, &lines).await;
        if response.status() != StatusCode::OK {
            break refused(response).await;
        }
        unread.push(response);
        assert!(unread.len() < 10, "{:?}", hub.used());
    };
    assert!(
        told.ends_with("or raise max_body_memory_per_subject\n"),
        "{told}"
    );
    let results = unread
        .pop()
        .expect("a response")
        .into_body()
        .collect()
        .await;
    let results = results.expect("the results").to_bytes();
    assert_eq!(results.iter().filter(|byte| **byte == b'\n').count(), 9_000);
    assert_eq!(publisher.batch(&hub, &lines).await.status(), StatusCode::OK);
    drop(unread);
    assert_eq!(hub.used(), Used::default());
}

/// The topics of a batch are charged as well, because short ones take more than their bytes.
#[tokio::test]
async fn the_topics_of_a_batch_are_charged() {
    let hub = hub(|budgets| budgets.body_memory.per_subject = Some(1 << 20));
    let publisher = at("192.0.2.1").with(&token(&json!({ "sub": "p" })));
    let line = format!("{}\n", json!({ "topic": vec!["a"; 900] }));
    let answer = publisher.batch(&hub, &line.repeat(5)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    drop(answer);
    let told = refused(publisher.batch(&hub, &line.repeat(60)).await).await;
    assert!(told.contains("max_body_memory_per_subject"), "{told}");
    assert_eq!(hub.used(), Used::default());
}

/// A publisher is bounded, too, by what others leave.
#[tokio::test]
async fn bodies_of_one_subject_leave_room_for_others() {
    const TOTAL: u64 = 16 << 20;
    let hub = hub(|budgets| budgets.body_memory.total = Some(TOTAL));
    let one = token(&json!({ "sub": "one" }));
    let mut under_way = Vec::new();
    let told = loop {
        let asker = at(&format!("192.0.2.{}", under_way.len())).with(&one);
        let slow = begin(&hub, asker, Method::POST, 800_000).await;
        if slow.answer.is_finished() {
            break refused(slow.end().await).await;
        }
        under_way.push(slow);
        assert!(hub.used().body_memory <= TOTAL * 4 / 5);
    };
    assert!(
        told.contains("the limit for one token subject is now"),
        "{told}"
    );
    let other = at("192.0.2.1").with(&token(&json!({ "sub": "other" })));
    let body = format!("topic=a&data={}", "d".repeat(60_000));
    let answer = other.ask(&hub, Method::POST, "", Body::from(body)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // A body in many small pieces is charged for no more than twice its bytes.
    drop(under_way);
    let given_back = async {
        while hub.used() != Used::default() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, given_back)
        .await
        .expect("it is given back");
    let pieces = begin(&hub, other, Method::POST, 10).await;
    for _ in 0..10_000 {
        let piece = Bytes::from_static(b"topic=a&x=");
        pieces.sender.send(piece).await.expect("it is read");
    }
    assert!(hub.used().body_memory <= 4 * 100_010);
    pieces.end().await;
    assert_eq!(hub.used(), Used::default());
}
