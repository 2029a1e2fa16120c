//! The body of a request.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use http::StatusCode;
use tokio::time::timeout;

use super::guard::Refusal;

/// The most bytes of a body, such as a configuration.
const BODY: usize = 1 << 20;
/// How long its bytes may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The bytes of a body, whose head names the length if that is known.
pub(super) async fn whole(body: Body, length: Option<usize>) -> Result<Bytes, Refusal> {
    match timeout(BODY_TIME, to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) if length.is_none_or(|length| length > BODY) => Err(refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("a body has at most {BODY} bytes here"),
        )),
        Ok(Err(error)) => Err(refusal(
            StatusCode::BAD_REQUEST,
            &format!("the body broke off: {error}"),
        )),
        Err(_) => Err(refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time",
        )),
    }
}

/// A refusal with this sentence.
pub(super) fn refusal(status: StatusCode, sentence: &str) -> Refusal {
    Refusal {
        status,
        sentence: sentence.to_owned(),
    }
}
