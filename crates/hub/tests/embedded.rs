//! The hub within an axum application, under `axum::serve`. The application does not take the cursor, so the
//! body of the response drives it.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::middleware::map_request;
use axum::routing::get;
use axum::serve::IncomingStream;
use serde_json::json;
use talaria_hub::access::{Algorithm, Issuer, Issuers, SigningKey, VerificationKey};
use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_hub::protocol::Update;
use talaria_hub::{Connection, Hub, SubscribeOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";
const TOPIC: &str = "https://example.com/books/1";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// An application with its own route and a hub, and the address on which both listen.
struct Application {
    hub: Hub,
    address: SocketAddr,
}

impl Application {
    async fn start() -> Self {
        let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
        let issuers = Issuers::new([Issuer::new(ISSUER).publisher(key.clone()).subscriber(key)])
            .expect("an issuer");
        let hub = Hub::builder(issuers).anonymous().build().expect("a hub");
        let router = axum::Router::new()
            .route("/books/1", get(|| async { "a page of the application" }))
            .merge(hub.router());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { hub, address }
    }

    /// A token for the hub as its clients see it.
    fn token(&self, action: &str) -> String {
        let claims = json!({
            "iss": ISSUER,
            "aud": format!("http://{}/.well-known/mercure", self.address),
            "exp": SystemClock.unix_time().seconds() + 600.0,
            "authorization_details": [{
                "type": "https://mercure.rocks/authorization-detail",
                "actions": [action],
                "topics": [{ "match": TOPIC }],
            }],
        });
        SigningKey::from_secret(SECRET, Algorithm::HS256)
            .and_then(|key| key.sign(&claims))
            .expect("a token")
    }

    async fn send(&self, head: &str, body: &str) -> Client {
        let mut socket = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        let request = format!(
            "{head}\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        socket
            .write_all(request.as_bytes())
            .await
            .expect("a request");
        Client {
            socket,
            received: String::new(),
        }
    }

    async fn publish(&self, data: &str, more: &str) -> String {
        let token = self.token("publish");
        let head = format!(
            "POST /.well-known/mercure HTTP/1.1\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer {token}"
        );
        let body = format!("topic={TOPIC}&data={data}{more}");
        let response = self.send(&head, &body).await.read_to_end().await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        let (_, id) = response.split_once("\r\n\r\n").expect("a body");
        id.to_owned()
    }

    async fn subscribe(&self, more: &str) -> Client {
        let head = format!("GET /.well-known/mercure?match={TOPIC} HTTP/1.1{more}");
        let mut client = self.send(&head, "").await;
        client.read_until("\r\n\r\n").await;
        client
    }
}

/// A client that reads raw bytes.
struct Client {
    socket: TcpStream,
    received: String,
}

impl Client {
    /// Reads more bytes. Returns `false` at the end of the connection.
    async fn read_more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let count = timeout(PATIENCE, self.socket.read(&mut bytes))
            .await
            .expect("bytes in time")
            .expect("an open connection");
        let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned();
        self.received.push_str(&text);
        count > 0
    }

    async fn read_until(&mut self, text: &str) -> &str {
        while !self.received.contains(text) {
            assert!(
                self.read_more().await,
                "ended before {text:?}: {}",
                self.received
            );
        }
        &self.received
    }

    async fn read_to_end(mut self) -> String {
        while self.read_more().await {}
        self.received
    }
}

/// A publish reaches a subscriber under the id that its publisher was told, and the application's own routes
/// still answer (specification, "Publication" and "Subscription").
#[tokio::test(flavor = "multi_thread")]
async fn an_application_serves_a_hub_beside_its_own_routes() {
    let application = Application::start().await;
    let page = application.send("GET /books/1 HTTP/1.1\r\nConnection: close", "");
    let page = page.await.read_to_end().await;
    assert!(page.ends_with("a page of the application"), "{page}");

    let mut subscriber = application.subscribe("").await;
    assert!(
        subscriber.received.starts_with("HTTP/1.1 200 "),
        "{}",
        subscriber.received
    );
    let id = application.publish("first", "").await;
    subscriber
        .read_until(&format!("id: {id}\ndata: first\n\n"))
        .await;
}

/// A private update reaches the subscribers that have a grant, and no others (specification,
/// "Authorization").
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_hub_keeps_private_updates_from_the_anonymous() {
    let application = Application::start().await;
    let token = application.token("subscribe");
    let authorization = format!("\r\nAuthorization: Bearer {token}");
    let mut authorised = application.subscribe(&authorization).await;
    let mut anonymous = application.subscribe("").await;
    application.publish("secret", "&private=on").await;
    application.publish("open", "").await;
    let received = authorised.read_until("data: open\n\n").await;
    assert!(received.contains("data: secret\n\n"), "{received}");
    let received = anonymous.read_until("data: open\n\n").await;
    assert!(!received.contains("secret"), "{received}");
}

/// A subscriber that was away gets what it missed, then goes on live (specification, "Reconnection").
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_an_embedded_hub_resumes() {
    let application = Application::start().await;
    let first = application.publish("first", "").await;
    application.publish("second", "").await;
    let cursor = format!("\r\nLast-Event-ID: {first}");
    let mut subscriber = application.subscribe(&cursor).await;
    subscriber.read_until("data: second\n\n").await;
    application.publish("third", "").await;
    let received = subscriber.read_until("data: third\n\n").await;
    assert!(!received.contains("data: first\n"), "{received}");
    assert_eq!(received.matches("data: second\n").count(), 1, "{received}");
}

/// A stream that the hub drains ends with its terminating chunk, so that the client knows it is
/// complete.
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_hub_ends_its_streams_when_told() {
    let application = Application::start().await;
    let mut subscriber = application.subscribe("").await;
    application.publish("last", "").await;
    subscriber.read_until("data: last\n\n").await;
    application.hub.drain(Duration::ZERO);
    subscriber.read_until("\r\n0\r\n\r\n").await;
}

/// The connection of a request, as the documentation of the crate makes it.
#[derive(Clone)]
struct Peer(Connection);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(Connection::new(false, *stream.remote_addr()))
    }
}

async fn add_connection(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request) -> Request {
    request.extensions_mut().insert(peer.0);
    request
}

/// A layer tells the hub about connections, so that the bound of one address is not that of all.
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_hub_bounds_what_one_address_holds() {
    let hub = Hub::builder(Issuers::default());
    let hub = hub.configure(|options| options.budgets.streams.per_address = Some(1));
    let hub = hub.build().expect("a hub");
    let router = hub.router().layer(map_request(add_connection));
    let service = router.into_make_service_with_connect_info::<Peer>();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, service).await });
    let mut clients = Vec::new();
    for (own, status) in [(1, 200), (1, 429), (2, 200)] {
        let socket = TcpSocket::new_v4().expect("a socket");
        let own = Ipv4Addr::new(127, 0, 0, own);
        socket.bind((own, 0).into()).expect("a loopback address");
        let mut socket = socket.connect(address).await.expect("a connection");
        let head = format!("GET /.well-known/mercure?match=x HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.expect("a request");
        let received = String::new();
        let mut client = Client { socket, received };
        let head = client.read_until("\r\n\r\n").await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{own}: {head}"
        );
        clients.push(client);
    }
}

/// What the application publishes in its process reaches clients, and what clients publish reaches it.
#[tokio::test(flavor = "multi_thread")]
async fn the_application_and_its_clients_hear_each_other() {
    let application = Application::start().await;
    let mut client = application.subscribe("").await;
    let options = SubscribeOptions::new().topic(TOPIC);
    let updates = application.hub.subscribe(options).await;
    let mut updates = updates.expect("a stream");
    let update = Update::new(TOPIC, "of the application");
    let id = application.hub.publish(update).await.expect("stored");
    client
        .read_until(&format!("id: {id}\ndata: of the application\n\n"))
        .await;
    let id = application.publish("client", "").await;
    for (data, id) in [("of the application", None), ("client", Some(id))] {
        let update = timeout(PATIENCE, updates.next()).await.expect("in time");
        let update = update.expect("an update");
        assert_eq!(update.data, data);
        assert!(id.is_none() || update.id == id);
    }
}
