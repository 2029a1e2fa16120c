//! Request bodies: their media type, and their bounds of size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::respond::Refused;

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A media type without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Reads a body within its bounds of size and time.
pub(crate) async fn read_body(body: Body, max_bytes: usize) -> Result<Bytes, Refused> {
    let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, max_bytes).collect());
    match read.await {
        Err(_) => Err(Refused::BodyTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::BodyTooLarge(max_bytes)),
        Ok(Err(_)) => Err(Refused::BodyBroken),
    }
}
