//! Numbers and errors of quinn in the words of h3.

use std::sync::Arc;

use h3::quic::{ConnectionErrorIncoming, StreamId};
use quinn::{ConnectionError, VarInt};

/// The number of a stream, as h3 has it.
pub(super) fn id(id: quinn::StreamId) -> Result<StreamId, ConnectionErrorIncoming> {
    let number: u64 = VarInt::from(id).into_inner();
    StreamId::try_from(number)
        .map_err(|_| ConnectionErrorIncoming::InternalError("not a stream".to_owned()))
}

/// The code of an error.
pub(super) fn number(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

/// Why a connection is gone, as h3 has it.
pub(super) fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => ConnectionErrorIncoming::ApplicationClose {
            error_code: close.error_code.into(),
        },
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        other => ConnectionErrorIncoming::Undefined(Arc::new(other)),
    }
}
