//! What an upstream and a client see of each other's heads.

use super::peers::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn lines(head: &str) -> Vec<String> {
    head.lines().map(str::to_ascii_lowercase).collect()
}

fn assert_lines(head: &str, present: &[&str], absent: &[&str]) {
    let lines = lines(head);
    for line in present {
        assert!(lines.iter().any(|each| each == line), "{line}: {head}");
    }
    for name in absent {
        let is_there = lines
            .iter()
            .any(|each| each.starts_with(&format!("{name}:")));
        assert!(!is_there, "{name}: {head}");
    }
}

/// The upstream sees what is meant for it, and what the client says of itself only as the proxy saw it.
#[tokio::test]
async fn an_upstream_sees_no_hop_and_no_claim() {
    let (address, mut heads) = answering(OK).await;
    let front = front_of(address).await;
    let answer = exchange(
        front,
        "GET /a%2Fb?c=d HTTP/1.1\r\nHost: site.example:81\r\nConnection: close, x-hop, host, via\r\nX-Hop: 1\r\n\
         Keep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers\r\nTrailer: x\r\nProxy-Authorization: a\r\n\
         Upgrade: h2c\r\nExpect: 100-continue\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Port: 1\r\n\
         X_Forwarded_Host: evil\r\nX-Forwarded-Proto: https\r\nForwarded: for=9.9.9.9\r\nX-Own: kept\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
        "{answer}"
    );
    let head = next(&mut heads).await;
    assert_lines(
        &head,
        &[
            "get /a%2fb?c=d http/1.1",
            "host: site.example:81",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-host: front.example",
            "via: 1.1 talaria",
            "x-own: kept",
        ],
        &[
            "connection",
            "x-hop",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "proxy-authorization",
            "upgrade",
            "expect",
            "x-forwarded-port",
            "x_forwarded_host",
            "forwarded",
            "transfer-encoding",
            "content-length",
        ],
    );
}

/// What a trusted proxy says stays, and its address is added.
#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let (address, mut heads) = answering(OK).await;
    let front = front(upstreams(&[address]), true).await;
    exchange(
        front,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\nVia: 2.0 other\r\n\r\n",
    )
    .await;
    let head = next(&mut heads).await;
    let present = [
        "x-forwarded-for: 9.9.9.9, 8.8.8.8, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: public.example",
        "via: 2.0 other",
        "via: 1.1 talaria",
    ];
    assert_lines(&head, &present, &[]);
}

/// The client does not see what was meant for the proxy, and a length that contradicts the chunks is dropped.
#[tokio::test]
async fn a_client_sees_no_hop() {
    let (address, _heads) = answering(
        "HTTP/1.1 203 Fine\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nConnection: close, x-hop\r\n\
         X-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: Basic\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n\
         4\r\nbody\r\n0\r\n\r\n",
    )
    .await;
    let front = front_of(address).await;
    let answer = exchange(
        front,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 203 "), "{answer}");
    assert_lines(
        &answer,
        &[
            "set-cookie: a=b",
            "set-cookie: c=d",
            "via: 1.1 talaria",
            "transfer-encoding: chunked",
            "body",
        ],
        &[
            "content-length",
            "x-hop",
            "keep-alive",
            "proxy-authenticate",
        ],
    );
}

/// A client of HTTP/1.0 without `Host`, and the target `*`, reach the upstream.
#[tokio::test]
async fn unusual_requests_are_passed_on() {
    let (address, mut heads) = answering(OK).await;
    let front = front_of(address).await;
    let answer = exchange(front, "GET /old HTTP/1.0\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_lines(
        &next(&mut heads).await,
        &[
            "get /old http/1.1",
            "host: front.example",
            "via: 1.0 talaria",
        ],
        &[],
    );
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(front, options).await;
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    let connect = exchange(
        front,
        "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(connect.starts_with("HTTP/1.1 501 "), "{connect}");
}

/// A connection is used again.
#[tokio::test]
async fn connections_are_kept() {
    let (address, mut connections) = server().await;
    let front = front_of(address).await;
    let mut client = connect(front).await;
    let mut upstream = None;
    for _ in 0..3 {
        write(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        if upstream.is_none() {
            upstream = Some(next(&mut connections).await);
        }
        let upstream = upstream.as_mut().unwrap();
        read_until(upstream, "\r\n\r\n").await;
        write(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        read_until(&mut client, "\r\n\r\nok").await;
    }
    assert!(connections.try_recv().is_err());
}
