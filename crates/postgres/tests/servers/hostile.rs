//! What others put into the tables, and a server that answers what no PostgreSQL does.

use std::net::SocketAddr;

use talaria_conformance::within;
use talaria_postgres::Postgres;
use talaria_protocol::Update;
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Batch, Member};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::site::{Kind, Site};
use crate::support::{LAST, Node, always, at, contents, on, run, tests_on, update};

tests_on!(Direct:
    texts_of_all_kinds_are_kept,
    what_cannot_be_read_is_left_out,
    an_id_that_many_updates_have_is_found_soon,
);
tests_on!(Pooled:
    what_cannot_be_read_is_left_out,
);
tests_on!(Newest:
    texts_of_all_kinds_are_kept,
    an_id_that_many_updates_have_is_found_soon,
);

async fn texts_of_all_kinds_are_kept(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    // A text that does not compress, and is longer than an index takes.
    let long: String = (0..4_096_u32)
        .map(|n| char::from(b'!' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 90))
        .collect();
    let odd = [
        "{}",
        "NULL",
        "a,b",
        "\"",
        "\\",
        "a\\\"b",
        "",
        " ",
        "{\"a\"}",
        "ä\u{1F600}",
    ];
    let mut all = Vec::new();
    for text in odd.into_iter().chain([long.as_str()]) {
        all.push(Update {
            topics: vec![text.to_owned(), "second".to_owned()],
            data: format!("{text}\0"),
            id: Some(text.to_owned()),
            event_type: Some(text.to_owned()),
            ..Update::default()
        });
        all.push(update(text));
    }
    node.append(all.iter().cloned().map(always).collect()).await;
    let records = node.tail(all.len()).await;
    let found: Vec<Update> = records.iter().map(|record| record.update.clone()).collect();
    assert_eq!(found, all);
    for record in records.iter().step_by(2) {
        let id = record.update.id.as_deref().expect("it has one");
        assert_eq!(node.backend.find(id).await, Ok(Some(record.position)));
    }
    assert_eq!(node.backend.find("a\0b").await, Ok(None));
    let mut zero = update("a");
    zero.topics = vec!["a\0".to_owned()];
    let batch = node.refused_batch(vec![always(zero)]);
    let refused = node.backend.append(&batch).await;
    assert!(
        matches!(refused, Err(BackendError::Refusing(_))),
        "{refused:?}"
    );
}

async fn what_cannot_be_read_is_left_out(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let place = node.publish(&["a"]).await[0];
    server.run_sql(&format!(
        "INSERT INTO talaria.log (position, at, updates, events, batch, node, entry, private, by_hub, is_indexed, topics, bytes)
         SELECT {}::bigint + n, now(), 1, 0, 1, gen_random_uuid(), 0, false, false, false, '{{a}}', '\\xff'
         FROM generate_series(1, 200) n",
        place.0
    ));
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    let waiting = within("the tail goes on", node.backend.tail(node.read)).await;
    assert_eq!(waiting, Ok(Vec::new()));
    let last = node.publish(&["b"]).await[0];
    assert_eq!(run(last), run(place));
    assert_eq!(node.tail(1).await[0].position, last);
    assert_eq!(node.kept().await, ["a", "b"]);
    let page = node.backend.page(place, LAST, 1, 1).await.expect("a page");
    assert_eq!(contents(&page.records), ["b"]);
    let newest = node.backend.newest(LAST, 400).await.expect("the newest");
    assert_eq!(contents(&newest.records), ["a", "b"]);
}

async fn an_id_that_many_updates_have_is_found_soon(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let mut same = update("a");
    same.id = Some("same".to_owned());
    let first = node.append(vec![always(same.clone()); 1_000]).await[0];
    for _ in 0..10 {
        node.append(vec![always(same.clone()); 1_000]).await;
    }
    let place = node.backend.find("same").await;
    assert_eq!(place, Ok(Some(crate::support::position(first))));
    server.run_sql("ANALYZE talaria.log");
    let plan = server.ask(
        "EXPLAIN SELECT position FROM talaria.log WHERE hashtextextended(id, 0) = hashtextextended('same', 0) \
         AND id = 'same' AND id IS NOT NULL AND NOT by_hub ORDER BY position LIMIT 1",
    );
    assert!(plan.contains("log_id") && !plan.contains("Sort"), "{plan}");
}

/// A server whose answer is always the same.
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
            while let Ok((mut client, _)) = listener.accept().await {
                clients.spawn(async move {
                    let mut bytes = vec![0; 64 << 10];
                    while let Ok(1..) = client.read(&mut bytes).await {
                        if client.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            address,
            _serving: serving,
        }
    }
}

const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_an_error() {
    // A row, of which about a gigabyte is announced and 300 MiB come.
    let mut endless = WELCOME.to_vec();
    endless.extend(b"D\x3f\xff\xff\xff");
    endless.resize(300 << 20, b'x');
    let server = Hostile::start(Box::leak(endless.into_boxed_slice())).await;
    let mut options = at(server.address);
    options.connect_timeout = std::time::Duration::from_secs(60);
    let backend = Postgres::new(options).expect("it can be used");
    let found = within("the answer is given up", backend.find("a")).await;
    assert!(
        matches!(&found, Err(BackendError::Away(said)) if said.contains("too large")),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_another_form_are_errors() {
    let answers: [&'static [u8]; 8] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"N",
        b"R\0\0\0\x08\0\0\0\x63",
        b"E\0\0\0\x05\0",
        b"\0\0\0\0\0\0\0\0\0",
        b"R\xff\xff\xff\xff",
        b"D\0\0\0\x04",
        WELCOME,
    ];
    for answer in answers {
        let server = Hostile::start(answer).await;
        let mut options = at(server.address);
        options.connect_timeout = std::time::Duration::from_millis(300);
        let backend = Postgres::new(options).expect("it can be used");
        let batch = Batch {
            after: Position::ORIGIN,
            member: Member(1),
            number: 1,
            entries: vec![always(update("a"))],
        };
        let shown = String::from_utf8_lossy(answer);
        within(&format!("the calls end: {shown:?}"), async {
            assert!(backend.survey().await.is_err(), "{shown:?}");
            assert!(backend.attach(Member(1), Position::ORIGIN).await.is_err());
            assert!(backend.append(&batch).await.is_err());
            assert!(backend.tail(Position::ORIGIN).await.is_err());
            assert!(backend.find("a").await.is_err());
            assert!(backend.beat(Member(1)).await.is_err());
        })
        .await;
    }
}
