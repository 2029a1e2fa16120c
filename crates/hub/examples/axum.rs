//! A hub within an axum application: the application has its own routes, the hub answers
//! `/.well-known/mercure` beside them.
//!
//! `cargo run -p talaria-hub --example axum`, then run the commands that it prints.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use serde_json::json;
use talaria_hub::access::{Issuer, Issuers, VerificationKey, mint};
use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_hub::{Hub, HubOptions};
use talaria_transport::{Memory, MemoryOptions};
use tokio::net::TcpListener;

/// Who signs the tokens: the application itself, so its own URL is a good name.
const ISSUER: &str = "http://127.0.0.1:3001";
/// What a token's `aud` must name: the hub's URL as its clients see it.
const HUB_URL: &str = "http://127.0.0.1:3001/.well-known/mercure";
const TOPIC: &str = "https://example.com/books/1";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A real application reads its key from where it keeps its secrets.
    let secret = format!(
        "{:032x}{:032x}",
        rand::random::<u128>(),
        rand::random::<u128>()
    );
    let key = VerificationKey::new(&secret, None)?;
    let issuers = Issuers::new(vec![Issuer {
        identifier: ISSUER.to_owned(),
        authorization_server: false,
        judges_unnamed: false,
        publisher: Some(key.clone().into()),
        subscriber: Some(key.into()),
    }])?;
    let mut options = HubOptions::new(issuers);
    options.anonymous = true;
    options.resource_identifier = Some(HUB_URL.to_owned());
    let transport = Memory::open(MemoryOptions::default())?;
    let hub = Hub::new(options, Arc::new(transport), Arc::new(SystemClock));

    let application = axum::Router::new()
        .route("/", get(|| async { "the application\n" }))
        .merge(hub.router());

    let claims = json!({
        "iss": ISSUER,
        "aud": HUB_URL,
        "exp": SystemClock.unix_time() + 3600.0,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish"],
            "topics": [{ "match": TOPIC }],
        }],
    });
    let token = mint(&claims, &secret, None, None)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 3001)).await?;
    println!("curl -N '{HUB_URL}?match={TOPIC}'");
    println!("curl -H 'Authorization: Bearer {token}' -d topic={TOPIC} -d data=Hello {HUB_URL}");

    axum::serve(listener, application)
        .with_graceful_shutdown(async move {
            // Without the signal there is nothing to wait for, and so nothing to serve.
            _ = tokio::signal::ctrl_c().await;
            // Streams never end by themselves, so the hub ends them, spread over two seconds.
            hub.drain(Duration::from_secs(2));
        })
        .await?;
    Ok(())
}
