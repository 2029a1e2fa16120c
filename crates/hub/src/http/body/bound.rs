//! How large a request body may be.

use crate::options::HubOptions;

/// The bound of the size of a body, and the directive that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyBound {
    pub(crate) bytes: usize,
    pub(crate) directive: &'static str,
}

impl BodyBound {
    /// The bound of every body.
    pub(crate) fn of_requests(options: &HubOptions) -> Self {
        Self {
            bytes: options.max_request_body_size,
            directive: "max_request_body_size",
        }
    }

    /// The bound of an update whose publisher's issuer has this bound.
    pub(crate) fn of_publisher(options: &HubOptions, of_issuer: Option<u64>) -> Self {
        let all = Self::of_requests(options);
        match of_issuer.and_then(|bytes| usize::try_from(bytes).ok()) {
            Some(bytes) if bytes < all.bytes => Self {
                bytes,
                directive: "max_publish_size",
            },
            _ => all,
        }
    }

    /// The bound of a body without a token. It is less, because any client may send one.
    pub(crate) fn of_anonymous(options: &HubOptions) -> Self {
        let all = Self::of_requests(options);
        if all.bytes <= options.max_anonymous_body_size {
            return all;
        }
        Self {
            bytes: options.max_anonymous_body_size,
            directive: "max_anonymous_body_size",
        }
    }
}
