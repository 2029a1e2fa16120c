//! Upstreams that cannot be reached, or die.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::peers::*;
use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const POST: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

#[tokio::test]
async fn a_refused_connection_is_502() {
    let front = front_of(nothing().await).await;
    let answer = exchange(front, GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("content-type: text/plain"), "{answer}");
}

/// What is not an answer is 502, too.
#[tokio::test]
async fn nonsense_is_502() {
    for nonsense in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ] {
        let (address, _heads) = answering(nonsense).await;
        let answer = exchange(front_of(address).await, GET).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}

/// An upstream that accepts the connection and does not finish its handshake is given up after 3 s.
#[tokio::test]
async fn a_late_connection_is_504() {
    let (address, _connections) = server().await;
    let mut silent = upstream(address);
    silent.scheme = Scheme::HTTPS;
    let tls = dial::tls(false).unwrap();
    let upstreams = Upstreams::with_tls(vec![silent], Options::default(), tls).unwrap();
    let front = front(upstreams, false).await;
    let answer = exchange(front, GET).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

/// Without an upstream that answers, the other one is asked, even with a body, and then only it.
#[tokio::test]
async fn the_other_upstream_answers() {
    let (address, mut heads) = answering(OK).await;
    let front = front(upstreams(&[nothing().await, address]), false).await;
    for request in [POST, GET, POST, GET] {
        let answer = exchange(front, request).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        next(&mut heads).await;
    }
}

/// An upstream that dies after it has read a request: `GET` is sent to the other one, `POST` is not, because
/// it may have been done (RFC 9110, section 9.2.2).
#[tokio::test]
async fn what_may_have_been_done_is_not_repeated() {
    for (request, status) in [(GET, "200"), (POST, "502")] {
        let (dying, _heads) = answering("").await;
        let (address, _heads) = answering(OK).await;
        let front = front(upstreams(&[dying, address]), false).await;
        let answer = exchange(front, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }
}

/// A response that breaks off never looks complete.
#[tokio::test]
async fn a_death_in_the_middle_shows() {
    for (framing, part) in [
        ("Content-Length: 100", "part"),
        ("Transfer-Encoding: chunked", "4\r\npart\r\n"),
    ] {
        let (address, mut connections) = server().await;
        let mut client = connect(front_of(address).await).await;
        write(&mut client, GET).await;
        let mut upstream = next(&mut connections).await;
        read_until(&mut upstream, "\r\n\r\n").await;
        let begun = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}");
        write(&mut upstream, &begun).await;
        let answer = read_until(&mut client, part).await;
        let framing = framing.to_ascii_lowercase();
        assert!(answer.contains(&framing), "{answer}");
        drop(upstream);
        assert_eq!(read_all(&mut client).await, "", "{framing}");
    }
}

/// A request that breaks off never looks complete to the upstream.
#[tokio::test]
async fn a_broken_upload_shows() {
    let (address, mut connections) = server().await;
    let front = front_of(address).await;
    let mut client = connect(front).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
    write(&mut client, head).await;
    let mut upstream = next(&mut connections).await;
    read_until(&mut upstream, "part\r\n").await;
    drop(client);
    assert_eq!(read_all(&mut upstream).await, "");
}

/// A client that leaves ends the connection to the upstream.
#[tokio::test]
async fn a_client_that_leaves_ends_the_stream() {
    let (address, mut connections) = server().await;
    let front = front_of(address).await;
    let mut client = connect(front).await;
    write(&mut client, GET).await;
    let mut upstream = next(&mut connections).await;
    read_until(&mut upstream, "\r\n\r\n").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:\n";
    write(&mut upstream, head).await;
    read_until(&mut client, ":\n\r\n").await;
    drop(client);
    assert_eq!(read_all(&mut upstream).await, "");
}

/// An HTTPS upstream answers, if its certificate is of a trusted authority.
#[tokio::test]
async fn an_https_upstream_answers() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = vec![signed.cert.der().clone()];
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (address, mut connections) = server().await;
    tokio::spawn(async move {
        while let Some(stream) = connections.recv().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(chain[0].clone()).unwrap();
    let trusting = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let named = Upstream {
        scheme: Scheme::HTTPS,
        host: "localhost".to_owned(),
        port: address.port(),
    };
    for (tls, status) in [(trusting, "200"), (dial::tls(false).unwrap(), "502")] {
        let upstreams = Upstreams::with_tls(vec![named.clone()], Options::default(), tls).unwrap();
        let answer = exchange(front(upstreams, false).await, GET).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}
