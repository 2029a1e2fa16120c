//! A server that answers what no Redis does.

use std::net::SocketAddr;

use talaria_conformance::servers::{Program, Redis as Server};
use talaria_conformance::within;
use talaria_redis::Redis;
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Batch, Continue, Member};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{LAST, Node, always, at, contents, on, run, update};

/// A server whose answer is always the same, except that it is a primary.
struct Hostile {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Hostile {
    async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                clients.spawn(serve(client, answer));
            }
        });
        Self {
            address,
            _serving: serving,
        }
    }
}

async fn serve(mut client: TcpStream, answer: &[u8]) {
    let mut bytes = vec![0; 64 << 10];
    let mut is_known = false;
    while let Ok(count @ 1..) = client.read(&mut bytes).await {
        let answer: &[u8] = if is_known {
            answer
        } else {
            b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
        };
        is_known = true;
        // Several commands come at once.
        let commands = bytes[..count]
            .windows(3)
            .filter(|three| three.starts_with(b"\n*") || three.starts_with(b"*"))
            .count();
        for _ in 0..commands.max(1) {
            if client.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

fn is_error<T: std::fmt::Debug>(answer: &'static [u8], found: &Result<T, BackendError>) {
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(40)]);
    assert!(found.is_err(), "{shown:?}: {found:?}");
}

async fn all_calls_fail(answer: &'static [u8]) {
    let server = Hostile::start(answer).await;
    let backend = Redis::new(at(server.address)).expect("it can be used");
    let member = Member(1);
    let batch = Batch {
        after: talaria_transport::Position::ORIGIN,
        member,
        number: 1,
        entries: vec![always(update("a"))],
    };
    let start = Position::ORIGIN;
    is_error(answer, &backend.survey().await);
    is_error(answer, &backend.attach(member, start).await);
    is_error(answer, &backend.append(&batch).await);
    is_error(answer, &backend.settle(member, 1).await);
    is_error(answer, &backend.tail(start).await);
    is_error(answer, &backend.page(start, LAST, 10, 1 << 20).await);
    is_error(answer, &backend.newest(LAST, 1 << 20).await);
    is_error(answer, &backend.find("a").await);
    is_error(answer, &backend.beat(member).await);
    is_error(answer, &backend.bury(member, 0).await);
    is_error(answer, &backend.leave(member).await);
    is_error(
        answer,
        &backend.subscriptions(None, &Continue::default()).await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_another_form_are_errors() {
    let answers: [&'static [u8]; 14] = [
        b"+OK\r\n",
        b":1\r\n",
        b":-1\r\n",
        b"$-1\r\n",
        b"$3\r\nabc\r\n",
        b"$2\r\n\xff\xfe\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*1\r\n*1\r\n*1\r\n:1\r\n",
        b"*2\r\n$2\r\nok\r\n*1\r\n$-1\r\n",
        b"*2\r\n$2\r\nok\r\n$4\r\nS1-0\r\n",
        b"-ERR\r\n",
        b"-\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(answer);
        within(&format!("the calls end: {shown:?}"), all_calls_fail(answer)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_length_is_not_believed() {
    for answer in [
        &b"*9223372036854775807\r\n"[..],
        b"$9223372036854775807\r\n",
        b"*1000000000\r\n",
    ] {
        let server = Hostile::start(answer).await;
        let backend = Redis::new(at(server.address)).expect("it can be used");
        is_error(answer, &within("the call ends", backend.find("a")).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_an_error() {
    let server = Hostile::start(Box::leak(endless().into_boxed_slice())).await;
    let backend = Redis::new(at(server.address)).expect("it can be used");
    let found = within(
        "the answer is given up",
        backend.page(Position::ORIGIN, LAST, 10, 1 << 20),
    )
    .await;
    is_error(b"$1000000000", &found);
}

fn endless() -> Vec<u8> {
    let mut bytes = b"$1000000000\r\n".to_vec();
    bytes.resize(300 << 20, b'x');
    bytes
}

/// Another program has stored something, or a later version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_left_out() {
    let server = Server::start(Program::Redis7);
    let mut node = Node::enter(on(&server), 1).await;
    let place = node.publish(&["a"]).await[0];
    for number in 2..200 {
        let id = format!("{}-{number}", run(place));
        server.ask(&["XADD", "{hub}:log", &id, "topics", "not a list"]);
    }
    server.ask(&["HSET", "{hub}:meta", "number", "199"]);
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    let waiting = within("the tail goes on", node.backend.tail(node.read)).await;
    assert_eq!(waiting, Ok(Vec::new()));
    let last = node.publish(&["b"]).await[0];
    assert_eq!(node.tail(1).await[0].position, last);
    assert_eq!(node.kept().await, ["a", "b"]);
    let page = node.backend.page(place, LAST, 1, 1).await.expect("a page");
    assert_eq!(contents(&page.records), ["b"]);
    let newest = node.backend.newest(LAST, 200).await.expect("the newest");
    assert_eq!(contents(&newest.records), ["a", "b"]);

    let own = format!("{{hub}}:subs:{}", node.member);
    server.ask(&["HSET", &own, "/subscription", "7-1 not a document"]);
    let start = Continue::default();
    let all = node.backend.subscriptions(None, &start).await;
    assert_eq!(all.expect("they are read").begun, []);
    let orphans = node.backend.subscriptions(Some(node.member), &start).await;
    let (_, begun) = orphans.expect("they are read").begun.remove(0);
    assert_eq!(begun.topics, ["/subscription"]);
    assert_eq!(begun.data, r#"{"active":true,"id":"/subscription"}"#);
    assert!(begun.by_hub);
}
