//! Placeholder of the serving loop.

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::config::Loaded;

/// Serves until a signal ends it. `ready` is called once, with the first address that listens.
pub fn serve(loaded: Loaded, ready: impl FnOnce(SocketAddr) + Send) -> ExitCode {
    let settings = loaded.settings;
    let first = settings.addresses.first();
    let ip = first
        .and_then(|address| address.bind)
        .unwrap_or([0, 0, 0, 0].into());
    ready(SocketAddr::new(ip, first.map_or(0, |address| address.port)));
    println!(
        "{:?} {} {}",
        loaded.notices, settings.anonymous, settings.cookie_name
    );
    println!("{:?} {:?}", settings.heartbeat, settings.write_timeout);
    println!(
        "{:?} {:?}",
        settings.dispatch_timeout, settings.drain_timeout
    );
    println!(
        "{} {:?}",
        settings.max_request_body_size, settings.transport
    );
    println!("{} {}", settings.cors_origins, settings.publish_origins);
    ExitCode::SUCCESS
}
