//! The end that the admin listener asks for (B-096), and what postpones the end (B-295).

use rustix::process::Signal;

use crate::running::{Running, caddyfile};

/// `POST /stop` is answered, and ends the hub in order: streams end, the exit code is 0.
#[tokio::test]
async fn stop() {
    let mut hub = Running::start(&caddyfile("", ""), &[]);
    let mut stream = hub.client().subscribe_with(&[("match", "a")]).await;
    assert_eq!(hub.admin().get("/stop").await.status, 405);
    assert_eq!(hub.admin().send("POST", "/stop", "").await.status, 200);
    stream.end().await;
    assert_eq!(hub.exit().await.code(), Some(0));
}

/// An orchestrator asks for the end, and then sends SIGTERM: streams still have their time. Another signal is
/// the second one.
#[tokio::test]
async fn stop_and_a_signal() {
    let mut hub = Running::start(&caddyfile("", "drain_timeout 600s"), &[]);
    let _stream = hub.client().subscribe_with(&[("match", "a")]).await;
    assert_eq!(hub.admin().send("POST", "/stop", "").await.status, 200);
    hub.logs(0, "stopping;");
    hub.signal(Signal::TERM);
    hub.logs(0, "stopping already");
    assert_eq!(hub.admin().get("/mercure/health/live").await.status, 200);
    hub.signal(Signal::TERM);
    assert_eq!(hub.exit().await.code(), Some(2));
}

/// While the hub goes on serving before its end it is not ready, but alive; a second signal ends it at once.
#[tokio::test]
async fn shutdown_delay() {
    let mut hub = Running::start(&caddyfile("shutdown_delay 60s", ""), &[]);
    hub.signal(Signal::TERM);
    hub.logs(0, "shutdown_delay");
    assert_eq!(hub.admin().get("/mercure/health/ready").await.status, 503);
    assert_eq!(hub.admin().get("/mercure/health/live").await.status, 200);
    assert_eq!(hub.client().get("/healthz").await.status, 200);
    hub.signal(Signal::TERM);
    assert_eq!(hub.exit().await.code(), Some(2));
}
