//! What the bodies of requests may hold.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde_json::json;
use talaria_hub::Hub;
use talaria_hub::limits::Used;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{Asker, PATIENCE, at, hub, refused, token};

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
    /// Ends the body. Returns the answer.
    async fn end(self) -> Response<Body> {
        drop(self.sender);
        let answer = timeout(PATIENCE, self.answer).await;
        answer.expect("an answer").expect("no panic")
    }
}

/// Bodies under way are charged for what has arrived. Those without a token may have a quarter of all, so
/// that they leave room for publishers, even of the same address.
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
    // The memory is free again when a body ends and when a client is gone.
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

/// A publisher may not take what is left for others.
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
