//! Floods of frames that ask for nothing (RFC 9113, section 10.5), and what a connection can make the hub hold
//! before its token was judged.

use std::fmt::Write as _;
use std::time::Duration;

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::kernel::connections;
use talaria_conformance::{HUB_PATH, count, within, within_time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// `ENHANCE_YOUR_CALM` (section 7).
const CALM: u8 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Sends what `next` makes, again and again, until the hub ends the connection; the code that it gives.
async fn flooded(hub: &Hub, mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u8> {
    let Frames {
        mut output,
        mut input,
        ..
    } = Frames::connect(hub.address, 65_535).await;
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", "/nowhere"),
    ];
    output.request_with_body(1, &fields).await;
    let mut code = None;
    tokio::select! {
        () = async {
            loop {
                match within("the end", input.next()).await {
                    Ok(Some(frame)) if frame.kind == kind::GOAWAY => {
                        code = frame.payload.get(7).copied();
                    }
                    Ok(Some(_)) => {}
                    _ => return,
                }
            }
        } => {}
        () = async {
            for number in 0..1_000_000 {
                output.raw(&next(number)).await;
            }
        } => panic!("a million frames were taken"),
    }
    code
}

#[tokio::test]
async fn floods_end_the_connection() {
    let hub = Hub::ordinary();
    let head = b"\x82\x86\x84\x41\x01a";
    type Make<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let floods: [(&str, Make<'_>); 12] = [
        ("SETTINGS", &|_| frame(kind::SETTINGS, 0, 0, b"")),
        ("SETTINGS of a value", &|number| {
            let value = [&[0, 4][..], &(number % 1000).to_be_bytes()].concat();
            frame(kind::SETTINGS, 0, 0, &value)
        }),
        ("acknowledgements", &|_| frame(kind::PING, 1, 0, &[0; 8])),
        ("PING", &|_| frame(kind::PING, 0, 0, &[0; 8])),
        ("PRIORITY", &|_| {
            frame(kind::PRIORITY, 0, 5, &[0, 0, 0, 0, 1])
        }),
        ("WINDOW_UPDATE", &|_| {
            frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
        }),
        ("unknown frames", &|_| frame(0xbe, 0, 0, b"")),
        ("empty DATA", &|_| frame(kind::DATA, 0, 1, b"")),
        ("padding", &|_| frame(kind::DATA, 8, 1, &[1, 0])),
        ("rapid reset", &|number| {
            let stream = 2 * number + 3;
            let cancel = frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]);
            [frame(kind::HEADERS, 5, stream, head), cancel].concat()
        }),
        ("resets of one stream", &|_| {
            frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])
        }),
        ("CONTINUATION", &|number| match number {
            0 => frame(kind::HEADERS, 1, 3, head),
            _ => frame(kind::CONTINUATION, 0, 3, b""),
        }),
    ];
    for (name, make) in floods {
        let code = flooded(&hub, make).await;
        println!("floods: {name}: {code:?}");
        // A block that breaks off is one that cannot be read.
        assert!(
            code == Some(CALM) || name == "CONTINUATION",
            "{name}: {code:?}"
        );
        assert_eq!(hub.client().http2().get("/healthz").await.status, 200);
    }
}

/// A client that acknowledges each byte that it receives, and sends pings between, does not flood.
#[tokio::test]
async fn busy_clients_do_not_flood() {
    let hub = Hub::ordinary();
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let path = format!("{HUB_PATH}?match=a");
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", path.as_str()),
    ];
    frames.output.request(1, &fields).await;
    while within("the head", frames.input.next())
        .await
        .expect("no reset")
        .expect("it goes on")
        .kind
        != kind::HEADERS
    {}
    let mut publisher = hub.publisher().keep().await;
    for number in 0..1500 {
        publisher.publish(&[("topic", "a"), ("data", "b")]).await;
        let mut received = Vec::new();
        while !received.ends_with(b"data: b\n\n") {
            let frame = within("an update", frames.input.next()).await;
            let frame = frame.expect("no reset").expect("it goes on");
            assert!(!frame.is_failure(), "{number}: {frame:?}");
            // The hub asks after 20 s whether the client is there.
            if frame.kind == kind::PING && frame.flags == 0 {
                frames.output.send(kind::PING, 1, 0, &frame.payload).await;
            }
            if frame.kind == kind::DATA {
                let length = u32::try_from(frame.payload.len()).unwrap();
                frames.output.widen(1, length).await;
                frames.output.widen(0, length).await;
                received.extend(frame.payload);
            }
        }
        if number % 10 == 0 {
            frames.output.send(kind::PING, 0, 0, &[0; 8]).await;
        }
    }
}

/// Resident memory of the hub, in bytes.
fn resident(hub: &Hub) -> usize {
    status(hub, "VmRSS:")
}

/// An amount of memory that Linux tells of the hub's process, in bytes.
fn status(hub: &Hub, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse::<usize>().unwrap() * 1024
}

/// Opens connections that send this, and returns by how many bytes the hub grew for each.
async fn grown(name: &str, hub: &Hub, sent: &[u8], connections: usize) -> usize {
    let connections = count(2 * connections, connections);
    // What the first one needs is there once.
    let mut open = vec![send(hub, sent).await];
    settle(hub).await;
    let before = resident(hub);
    for _ in 0..connections {
        open.push(send(hub, sent).await);
    }
    settle(hub).await;
    let each = resident(hub).saturating_sub(before) / connections;
    println!("floods: {name}: {each} bytes for each of {connections} connections");
    each
}

async fn send(hub: &Hub, sent: &[u8]) -> TcpStream {
    let mut stream = within("a connection", TcpStream::connect(hub.address))
        .await
        .expect("it accepts");
    // A hub that refuses closes before it has read everything.
    let _ = within("the hub to read", stream.write_all(sent)).await;
    stream
}

/// Waits until the hub has read what was sent, as far as it reads it.
async fn settle(hub: &Hub) {
    within_time(Duration::from_secs(60), "the hub to read", async {
        while connections(hub.address).values().any(|ends| ends.asked > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(hub.client().get("/healthz").await.status, 200);
}

/// 1 MiB held for half a head, 671 MB for indexed fields and 47 MB for a body in chunks of a byte were seen.
#[tokio::test]
async fn memory_before_the_token_is_bounded() {
    const HALF_HEAD: usize = 192 * 1024;
    let host = "Host: a\r\n";
    let long = "a".repeat(125_000);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut half_block = preface.to_vec();
    let literal = [
        &b"\x82\x86\x84\x00\x01x"[..],
        b"\x7f\x81\x80\x08",
        long.as_bytes(),
    ]
    .concat();
    for (number, piece) in literal.chunks(16_384).enumerate() {
        let kind = if number == 0 {
            kind::HEADERS
        } else {
            kind::CONTINUATION
        };
        half_block.extend(frame(kind, 0, 1, piece));
    }
    let hub = Hub::start("anonymous\ntransport memory {\nmax_bytes 256KiB\n}");
    // Queries with fields of a byte each (accept-encoding), whose bodies never come.
    let bombs = |fields: usize| {
        let mut block = b"\x02\x05QUERY\x86\x04\x14/.well-known/mercure\x01".to_vec();
        block.push(u8::try_from(hub.host.len()).unwrap());
        block.extend_from_slice(hub.host.as_bytes());
        block.extend_from_slice(b"\x0f\x10\x21application/x-www-form-urlencoded");
        block.resize(block.len() + fields, 0x90);
        let mut bombs = preface.to_vec();
        for number in 0..250 {
            bombs.extend(frame(kind::HEADERS, 4, 2 * number + 1, &block));
        }
        bombs
    };
    for (name, sent, connections, most) in [
        ("nothing", Vec::new(), 200, 32 * 1024),
        (
            "half a head",
            format!("GET / HTTP/1.1\r\n{host}x: {long}").into_bytes(),
            200,
            HALF_HEAD,
        ),
        (
            "half a head of fields",
            format!("GET / HTTP/1.1\r\n{host}{}", "x: y\r\n".repeat(90)).into_bytes(),
            200,
            64 * 1024,
        ),
        (
            "half a head that is too long",
            format!("GET / HTTP/1.1\r\n{host}x: {}", long.repeat(8)).into_bytes(),
            50,
            128 * 1024,
        ),
        ("half a block", half_block, 200, HALF_HEAD),
        ("many fields of a byte", bombs(900), 10, 1 << 20),
        // 250 streams of about 16 KB each, in a debug build.
        ("a hundred fields of a byte", bombs(95), 10, 5 << 20),
    ] {
        let each = grown(name, &hub, &sent, connections).await;
        assert!(each < most, "{name}: {each} bytes for each connection");
    }
}

/// A body in chunks, or frames, of one byte costs what it holds.
#[tokio::test]
async fn bodies_in_pieces_cost_no_more() {
    let hub = Hub::start("anonymous\ntransport memory {\nmax_bytes 256KiB\n}");
    let token = hub.publisher_token(&[talaria_conformance::token::exact("*")]);
    let mut request = format!(
        "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        hub.host
    );
    for byte in "topic=a&data=".chars().chain("x".repeat(30_000).chars()) {
        let _ = write!(request, "1\r\n{byte}\r\n");
    }
    let connections = count(20, 5);
    settle(&hub).await;
    let before = resident(&hub);
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(send(&hub, request.as_bytes()).await);
    }
    settle(&hub).await;
    let each = resident(&hub).saturating_sub(before) / connections;
    println!("floods: a body of 30 KB in chunks of a byte: {each} bytes");
    assert!(each < 1 << 20, "{each}");
    for mut stream in open {
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        within("an answer", stream.read_exact(&mut head))
            .await
            .unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
}

/// What is counted of bodies is what they hold, however they grow: with buffers that doubled, 2.1 times the bound was
/// seen, and 1.1 times without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_hold_no_more_than_is_counted() {
    const BOUND: usize = 64 << 20;
    const CHUNK: usize = 64 * 1024;
    const PUBLISHERS: usize = 16;
    let hub = Hub::start(
        "anonymous\ntransport memory {\nmax_bytes 256KiB\n}\nmax_body_memory 64MiB\nmax_request_body_size 1GiB",
    );
    let token = hub.publisher_token(&[talaria_conformance::token::exact("*")]);
    let head = format!(
        "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        hub.host
    );
    let chunk = format!("{CHUNK:x}\r\n{}\r\n", "a".repeat(CHUNK));
    let before = resident(&hub);
    let mut publishers = tokio::task::JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (address, head, chunk) = (hub.address, head.clone(), chunk.clone());
        let rounds = count(200, 40);
        publishers.spawn(async move {
            for _ in 0..rounds {
                let mut stream = TcpStream::connect(address).await.expect("it accepts");
                let (mut input, mut output) = stream.split();
                let sent = async {
                    let mut sent = output.write_all(head.as_bytes()).await;
                    while sent.is_ok() {
                        sent = output.write_all(chunk.as_bytes()).await;
                    }
                    std::future::pending::<()>().await;
                };
                let mut answer = [0; 12];
                let answered = input.read_exact(&mut answer);
                tokio::select! {
                    () = sent => {}
                    // A connection that is closed while more comes may lose its answer.
                    answered = within("an answer", answered) => {
                        let answer = String::from_utf8_lossy(&answer);
                        assert!(answered.is_err() || answer == "HTTP/1.1 429", "{answer}");
                    }
                }
            }
        });
    }
    within_time(Duration::from_secs(120), "all are refused", async {
        while let Some(ended) = publishers.join_next().await {
            ended.expect("no panic");
        }
    })
    .await;
    let most = status(&hub, "VmHWM:") - before;
    println!(
        "floods: bodies of any length: {} KiB of {} KiB",
        most >> 10,
        BOUND >> 10
    );
    // Connections have their buffers besides.
    assert!(most < BOUND + BOUND / 2, "{most}");
    assert!(most > BOUND / 2, "the bound is reached: {most}");
}
