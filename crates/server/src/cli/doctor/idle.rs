//! Whether a stream stays open while nothing is published.

use std::time::Duration;

use reqwest::Response;
use talaria_config::guide::Page;
use tokio::time::timeout;

use super::examined::Examined;
use super::findings::Findings;
use crate::serve::client_error::ClientError;
use crate::serve::clock;

/// Keeps the stream open for as long as --idle says.
pub(super) async fn examine(hub: &Examined<'_>, stream: Option<Response>, findings: &mut Findings) {
    let Some(wait) = hub.idle else {
        return findings.on("idle stream", "nothing").note(
            "not examined",
            "find a proxy that ends silent streams with --idle 70s, which takes that long",
            Page::PROXY_FAULTS,
        );
    };
    let Some(mut stream) = stream else {
        return;
    };
    let begun = clock::monotonic();
    let mut subject = findings.on(
        "idle stream",
        format!("a stream of {} that is kept open for {wait:?}", hub.url),
    );
    let mut heard = begun;
    let mut longest = Duration::ZERO;
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        let chunk = timeout(left, stream.chunk()).await;
        let silence = heard.elapsed();
        match chunk {
            Ok(Ok(Some(_))) => {
                longest = longest.max(silence);
                heard = clock::monotonic();
            }
            Ok(Ok(None)) => {
                return subject.note(
                    &format!("the hub ended it in order after {}", seconds(begun.elapsed())),
                    "browsers come back by themselves; `write_timeout` says how long a stream lasts",
                    Page::OPERATING,
                );
            }
            Ok(Err(error)) => {
                return subject.fault(
                    &format!(
                        "it was cut off after {} of silence: {}",
                        seconds(silence),
                        ClientError::from(error)
                    ),
                    "give the proxy a longer timeout than the hub's `heartbeat` (nginx: `proxy_read_timeout 1h;`, HAProxy: `timeout tunnel` and `timeout server`), or let the hub write `heartbeat` more often",
                    Page::PROXY_FAULTS,
                );
            }
            Err(_) if longest > Duration::ZERO => {
                return subject.good(&format!(
                    "it stayed open; the longest silence between heartbeats was {}",
                    seconds(longest)
                ));
            }
            Err(_) => {
                return subject.note(
                    &format!("it stayed open for {} without a heartbeat", seconds(wait)),
                    "many proxies end a connection that is silent for 60 s; `heartbeat` must be shorter than that",
                    Page::PROXY_FAULTS,
                );
            }
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
