//! Why a request has no answer, or not the one that it should have.

use std::io;

use talaria_protocol::event::DecodeError;

use super::response::{Refused, ResponseError};

/// What went wrong between the bench and the hub.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the request cannot be sent: {0}")]
    Send(io::Error),
    #[error("no answer: {0}")]
    Receive(io::Error),
    #[error("the hub closed the connection without an answer")]
    Unanswered,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("the hub ended the connection")]
    Closed,
    #[error("the hub ended the stream")]
    Ended,
    #[error(transparent)]
    Response(#[from] ResponseError),
    #[error(transparent)]
    Events(#[from] DecodeError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the hub answered {0:?}")]
    NotOk(String),
    #[error("the stream after {from} did not bring {to}")]
    Missing { from: String, to: String },
}

impl HttpError {
    /// What to do about it, as the message's second line; empty if the user can do nothing.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::NotOk(_) => "\n  check --url, --key, --issuer and --audience",
            _ => "",
        }
    }
}
