//! Why streams over HTTP/3 end, as the log says it.

use talaria_conformance::PATIENCE;

use super::client::{Secure, window};

/// Waits for the line of a stream that ended for a reason.
fn ends(secure: &Secure, reason: &str) {
    let reason = format!("reason=\"{reason}\"");
    let is_it = |line: &str| line.contains("subscriber disconnected") && line.contains(&reason);
    let found = secure
        .hub
        .log
        .find(0, PATIENCE, |line| is_it(line).then_some(()));
    found.unwrap_or_else(|said| panic!("no {reason}: {said}"));
}

/// A client that asks to stop a stream, one that takes nothing, and one that closes its connection.
#[tokio::test(flavor = "multi_thread")]
async fn each_end_has_its_reason() {
    let secure = Secure::start("dispatch_timeout 1s");
    let mut client = secure.connect().await;
    let _open = client.subscribe("a", &[]).await;
    drop(client.subscribe("a", &[]).await);
    ends(&secure, "reset_by_client");
    let mut slow = secure.connect_with(window(2048)).await;
    let _stalled = slow.subscribe("b", &[]).await;
    let token = secure.publisher_token();
    client.publish(&token, "b", &"x".repeat(100_000)).await;
    ends(&secure, "slow");
    client.quic.close(0_u8.into(), b"");
    ends(&secure, "client_gone");
}
