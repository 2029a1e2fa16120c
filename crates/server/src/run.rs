//! Placeholder of the serving loop.

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::config::Loaded;

/// Serves until a signal ends it. `ready` is called once, when the first address is listening.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the placeholder uses nothing up"
)]
pub fn serve(loaded: Loaded, ready: impl FnOnce(SocketAddr) + Send) -> ExitCode {
    let first = loaded.settings.addresses.first();
    let ip = first
        .and_then(|address| address.bind)
        .unwrap_or([0, 0, 0, 0].into());
    ready(SocketAddr::new(ip, first.map_or(0, |address| address.port)));
    println!("{:#?}", loaded.settings);
    ExitCode::SUCCESS
}
