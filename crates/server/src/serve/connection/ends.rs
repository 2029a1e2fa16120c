//! Why connections end.

use std::future::pending;

use crate::serve::admission::Place;

/// Ends when another connection needs the place of this one, which is idle.
pub(super) async fn needed(place: Option<&Place>) {
    match place {
        Some(place) => place.needed().await,
        None => pending().await,
    }
}

/// Logs a connection that broke off.
pub(super) fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
