//! A client that speaks HTTP/3, and the hub that it asks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::{Code, StreamError};
use http::{HeaderMap, Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use talaria_conformance::client::{form, target};
use talaria_conformance::event::{Decoder, Item};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Matcher, Token, exact};
use talaria_conformance::{HUB_PATH, free_port, within};

/// A hub on HTTPS, and its files.
pub struct Secure {
    pub home: Home,
    pub hub: Hub,
    pub port: u16,
}

impl Secure {
    /// Starts a hub with these directives.
    pub fn start(directives: &str) -> Self {
        Self::with_options(directives, "")
    }

    /// As [`Self::start`], with these global options.
    pub fn with_options(directives: &str, options: &str) -> Self {
        let (home, port) = (Home::new(), free_port());
        let options = format!("skip_install_trust\n{options}");
        let variables = [
            (
                "MERCURE_TRUSTED_ISSUERS",
                talaria_conformance::token::ISSUER,
            ),
            ("GLOBAL_OPTIONS", options.as_str()),
        ];
        let directives = format!("anonymous\ntransport memory\n{directives}");
        let name = format!("https://localhost:{port}");
        let hub = home.start(&name, &directives, &variables);
        Self {
            hub: hub.expect("it starts"),
            home,
            port,
        }
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// A token that grants publishing on every topic.
    pub fn publisher_token(&self) -> String {
        let token = Token::new(&self.url(HUB_PATH)).grant("publish", &[exact("*")]);
        self.hub.sign_as_publisher(&token)
    }

    /// A connection of QUIC with these settings, on which nothing was sent.
    pub async fn quic(&self, transport: TransportConfig) -> (Endpoint, quinn::Connection) {
        quic(&self.home, self.port, transport).await
    }

    /// What a client needs that trusts the hub's authority.
    pub fn trusting(&self, transport: TransportConfig) -> ClientConfig {
        trusting(&self.home, transport)
    }

    /// Connects, with these settings of QUIC.
    pub async fn connect_with(&self, transport: TransportConfig) -> Connected {
        connect(&self.home, self.port, transport).await
    }

    /// Connects as ordinary clients do.
    pub async fn connect(&self) -> Connected {
        self.connect_with(TransportConfig::default()).await
    }
}

async fn quic(home: &Home, port: u16, transport: TransportConfig) -> (Endpoint, quinn::Connection) {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let config = trusting(home, transport);
    let connecting = endpoint.connect_with(config, address, "localhost").unwrap();
    let quic = within("a handshake", connecting).await.expect("HTTP/3");
    (endpoint, quic)
}

fn trusting(home: &Home, transport: TransportConfig) -> ClientConfig {
    let root = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(root).expect("the root") {
        roots.add(root.expect("a certificate")).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

/// Connects to the hub of a home on this port, with these settings of QUIC.
pub async fn connect(home: &Home, port: u16, transport: TransportConfig) -> Connected {
    let (endpoint, quic) = quic(home, port, transport).await;
    let (mut driver, requests) = h3::client::new(h3_quinn::Connection::new(quic.clone()))
        .await
        .expect("HTTP/3");
    let driver = tokio::spawn(async move {
        std::future::poll_fn(|context| driver.poll_close(context)).await;
    });
    Connected {
        endpoint,
        quic,
        requests,
        url: format!("https://localhost:{port}"),
        _driver: AbortOnDrop(driver),
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection.
pub struct Connected {
    pub endpoint: Endpoint,
    pub quic: quinn::Connection,
    requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
    url: String,
    _driver: AbortOnDrop,
}

pub type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// A whole answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Connected {
    /// Sends a request, and leaves its stream open.
    pub async fn open(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Result<Stream, StreamError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut stream = self
            .requests
            .send_request(request.body(()).unwrap())
            .await?;
        if !body.is_empty() {
            // A hub that refuses the head wants no body.
            _ = stream
                .send_data(Bytes::copy_from_slice(body.as_bytes()))
                .await;
        }
        _ = stream.finish().await;
        Ok(stream)
    }

    /// Sends a request, and reads the answer.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let stream = self.open(method, path, fields, body).await;
        within("an answer", answer(stream.expect("a stream"))).await
    }

    /// Publishes data on a topic, and returns the id.
    pub async fn publish(&mut self, token: &str, topic: &str, data: &str) -> String {
        let bearer = format!("Bearer {token}");
        let fields = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = form(&[("topic", topic), ("data", data)]);
        let answer = self.ask("POST", HUB_PATH, &fields, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    /// Subscribes to a topic.
    pub async fn subscribe(&mut self, topic: &str, fields: &[(&str, &str)]) -> Subscription {
        let path = target(&[Matcher::parameter(&exact(topic))]);
        let mut stream = self.open("GET", &path, fields, "").await.expect("a stream");
        let head = within("a head", stream.recv_response())
            .await
            .expect("a head");
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-type"], "text/event-stream");
        Subscription {
            headers: head.headers().clone(),
            stream,
            decoder: Decoder::default(),
        }
    }

    /// Sends these bytes on a new stream, and returns how its other side ends: what came, or the code of a reset.
    pub async fn raw(&self, sent: &[u8], ends: bool) -> Result<Vec<u8>, Option<u64>> {
        raw(&self.quic, sent, ends).await
    }
}

/// Sends these bytes on a new stream, and returns how its other side ends: what came, or the code of a reset.
pub async fn raw(
    quic: &quinn::Connection,
    sent: &[u8],
    ends: bool,
) -> Result<Vec<u8>, Option<u64>> {
    let (mut send, mut receive) = quic.open_bi().await.map_err(|_| None)?;
    // The hub may answer before it has read all.
    _ = send.write_all(sent).await;
    if ends {
        _ = send.finish();
    }
    let read = within("the end of a stream", receive.read_to_end(1 << 20)).await;
    // The stream stays open until then.
    drop(send);
    read.map_err(|error| match error {
        quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) => Some(code.into_inner()),
        _ => None,
    })
}

/// Waits for the end of a connection, and returns its code.
pub async fn closed(quic: &quinn::Connection) -> u64 {
    match within("the end of the connection", quic.closed()).await {
        quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

async fn answer(mut stream: Stream) -> Answer {
    let head = stream.recv_response().await.expect("a head");
    let mut body = Vec::new();
    while let Some(mut data) = stream.recv_data().await.expect("a body") {
        body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Answer {
        status: head.status(),
        headers: head.headers().clone(),
        text: String::from_utf8(body).expect("text"),
    }
}

/// An event stream.
pub struct Subscription {
    pub headers: HeaderMap,
    pub stream: Stream,
    decoder: Decoder,
}

impl Subscription {
    /// The next event's data; `None` at a clean end.
    pub async fn next(&mut self) -> Result<Option<String>, StreamError> {
        loop {
            while let Some(item) = self.decoder.next_item() {
                if let Item::Event(event) = item {
                    return Ok(Some(event.data));
                }
            }
            match self.stream.recv_data().await? {
                None => return Ok(None),
                Some(mut data) => {
                    let bytes = data.copy_to_bytes(data.remaining());
                    self.decoder.push(&bytes).expect("an event stream");
                }
            }
        }
    }

    /// The next event's data.
    pub async fn data(&mut self) -> String {
        let next = within("an event", self.next()).await;
        next.expect("the stream lives").expect("it goes on")
    }

    /// The code with which the stream is reset, after some events.
    pub async fn reset(&mut self) -> Code {
        loop {
            match within("the end of a stream", self.next()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a clean end"),
                Err(StreamError::RemoteTerminate { code, .. }) => return code,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Settings of a client that takes this many bytes of each stream unread.
pub fn window(bytes: u32) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(bytes))
        .keep_alive_interval(Some(Duration::from_secs(1)));
    transport
}
