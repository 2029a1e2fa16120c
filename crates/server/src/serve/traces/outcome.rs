//! What became of an export.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

/// What became of an export.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The collector has it, without this many spans, and says this.
    Taken { rejected: u64, says: String },
    /// Another attempt may succeed, after the time that the collector asks for.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// No other attempt would succeed.
    Refused(String),
}

/// What a collector says that has taken an export. A body that is not the message of an answer says nothing.
pub(super) fn taken(body: &[u8]) -> Outcome {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    Outcome::Taken {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        says: partial.error_message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a collector answers may be anything.
    #[test]
    fn an_answer_may_be_garbage() {
        let nothing = || Outcome::Taken {
            rejected: 0,
            says: String::new(),
        };
        for body in [&b""[..], b"\xff\xff\xff\xff", b"<html>"] {
            assert_eq!(taken(body), nothing());
        }
        // Partial success: 3 rejected, and a reason.
        let partial = [0x0a, 0x05, 0x08, 0x03, 0x12, 0x01, b'x'];
        let says = "x".to_owned();
        assert_eq!(taken(&partial), Outcome::Taken { rejected: 3, says });
    }
}
