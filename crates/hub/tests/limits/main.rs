//! What clients may hold: who counts as one client, and that everything is given back.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod bodies;
mod streams;
mod turns;

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use talaria_hub::access::{Algorithm, Issuer, Issuers, SigningKey, VerificationKey};
use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_hub::limits::BudgetOptions;
use talaria_hub::{Connection, Hub};
use tokio::time::timeout;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";
const HOST: &str = "hub.example";
const FORM: &str = "application/x-www-form-urlencoded";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hub with these bounds that anyone may subscribe to.
fn hub(bound: impl FnOnce(&mut BudgetOptions)) -> Hub {
    let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let issuers = Issuers::new([Issuer::new(ISSUER).publisher(key.clone()).subscriber(key)])
        .expect("an issuer");
    Hub::builder(issuers)
        .anonymous()
        .configure(|options| bound(&mut options.budgets))
        .build()
        .expect("a hub")
}

/// A token with these claims besides those that every token needs.
fn token(more: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": format!("http://{HOST}/.well-known/mercure"),
        "exp": SystemClock.unix_time().seconds() + 600.0,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
        }],
    });
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    SigningKey::from_secret(SECRET, Algorithm::HS256)
        .and_then(|key| key.sign(&claims))
        .expect("a token")
}

/// A client: its connection and its token.
#[derive(Clone)]
struct Asker {
    connection: Connection,
    token: Option<String>,
}

/// A client at this address, on a new connection.
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

    /// Subscribes, and asserts that it is served.
    async fn enter(&self, hub: &Hub, query: &str) -> Response<Body> {
        let response = self.subscribe(hub, query).await;
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    /// Subscribes, and asserts that it is refused. Returns the sentence of the refusal.
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
