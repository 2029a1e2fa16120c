//! An application that counts clicks, and publishes the count to all who have its page open.
//! `cargo run -p talaria-hub --example axum`, then open <http://127.0.0.1:3001/> in two windows.
use std::sync::atomic::{AtomicU64, Ordering};
use std::{error::Error, time::Duration};

use axum::routing::{get, post};
use axum::{extract::State, http::StatusCode, response::Html};
use talaria_hub::{Hub, access::Issuers, protocol::Update};

const PAGE: &str = r#"<!doctype html><title>Clicks</title><p><button>Click</button> <b>0</b></p>
<script>
document.querySelector("button").onclick = () => fetch("/clicks", { method: "POST" });
new EventSource("/.well-known/mercure?match=/clicks").onmessage =
    event => { document.querySelector("b").textContent = event.data; };
</script>"#;

async fn click(State(hub): State<Hub>) -> StatusCode {
    static CLICKS: AtomicU64 = AtomicU64::new(0);
    let clicks = CLICKS.fetch_add(1, Ordering::Relaxed) + 1;
    let update = Update::new("/clicks", clicks.to_string());
    let published = hub.publish(update).await;
    published.map_or(StatusCode::SERVICE_UNAVAILABLE, |_id| StatusCode::OK)
}

pub(crate) fn application(hub: &Hub) -> axum::Router {
    let pages = axum::Router::new().route("/", get(Html(PAGE)));
    let pages = pages.route("/clicks", post(click)).with_state(hub.clone());
    pages.merge(hub.router())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder(Issuers::default()).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    let serving = axum::serve(listener, application(&hub)).with_graceful_shutdown(async move {
        _ = tokio::signal::ctrl_c().await;
        hub.drain(Duration::from_secs(2)); // Streams do not end by themselves.
    });
    Ok(serving.await?)
}
