//! Why a request is refused before the site sees it, and the answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::LazyLock;

use axum::body::Body;
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode, Version};
use talaria_config::settings::HeadSettings;
use uuid::Uuid;

use crate::serve::admission::Refused;
use crate::serve::counts::refuse_request;

/// The prefix of the targets of replaced requests. A client cannot guess it, and cannot send it either,
/// because the layer percent-encodes a raw `"`.
static MARK: LazyLock<String> = LazyLock::new(|| format!("/\"{}/", Uuid::new_v4().simple()));

/// What is wrong with a request that cannot reach the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// TLS on a port that speaks plain HTTP.
    Tls,
    /// Plain HTTP on a port that speaks TLS.
    Plain,
    /// The PROXY protocol of load balancers.
    Proxied,
    /// The first bytes are not a method.
    Method,
    /// `CONNECT`, which asks for a tunnel.
    Connect,
    /// The request line does not end in a version.
    Version,
    /// A character that is not allowed in a URL.
    Target,
    /// A raw `#`.
    Fragment,
    /// The target is longer than `TARGET_BYTES`.
    TargetTooLong,
    /// A header field.
    Field,
    /// The fields that say where the body ends.
    Length,
    /// A transfer coding that is not decoded.
    Coding,
    /// The head is longer or has more fields than is allowed, or references to compressed fields make it too
    /// long.
    HeadTooLarge,
    /// The rest of the head did not come in time.
    HeadTimeout,
    /// Heads hold all the memory that they may.
    Busy,
    /// There is no room for the connection.
    Full,
    /// There is no room for another connection of its address.
    AddressFull,
    /// Connections come too fast.
    Fast,
    /// Those of its address come too fast.
    AddressFast,
    /// The `:authority` of HTTP/2.
    Authority,
    /// What else HTTP/2 calls malformed (RFC 9113, sections 8.2 and 8.3).
    Malformed,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { .. } if refused.limit() == Self::AddressFull.code() => {
                Self::AddressFull
            }
            Refused::Full { .. } => Self::Full,
            Refused::Fast(_) if refused.limit() == Self::AddressFast.code() => Self::AddressFast,
            Refused::Fast(_) => Self::Fast,
        }
    }
}

impl Fault {
    const ALL: [Self; 21] = [
        Self::Tls,
        Self::Plain,
        Self::Proxied,
        Self::Method,
        Self::Connect,
        Self::Version,
        Self::Target,
        Self::Fragment,
        Self::TargetTooLong,
        Self::Field,
        Self::Length,
        Self::Coding,
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::Busy,
        Self::Full,
        Self::AddressFull,
        Self::Fast,
        Self::AddressFast,
        Self::Authority,
        Self::Malformed,
    ];

    /// The target of the request that stands for a request with this fault.
    pub(crate) fn target(self) -> String {
        let index = Self::ALL.iter().position(|one| *one == self);
        format!("{}{}", *MARK, index.unwrap_or_default())
    }

    /// The fault that a request stands for, by its path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let index = path.strip_prefix(MARK.as_str())?;
        Self::ALL.get(index.parse::<usize>().ok()?).copied()
    }

    /// A stable name for the log.
    fn code(self) -> &'static str {
        match self {
            Self::Tls => "tls_on_plain_port",
            Self::Plain => "plain_on_tls_port",
            Self::Proxied => "proxy_protocol",
            Self::Method => "not_a_method",
            Self::Connect => "connect",
            Self::Version => "http_version",
            Self::Target => "target",
            Self::Fragment => "fragment",
            Self::TargetTooLong => "target_too_long",
            Self::Field => "header_field",
            Self::Length => "body_length",
            Self::Coding => "transfer_coding",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::Busy => "max_header_memory",
            Self::Full => "max_connections",
            Self::AddressFull => "max_connections_per_address",
            Self::Fast => "max_connection_rate",
            Self::AddressFast => "max_connection_rate_per_address",
            Self::Authority => "host_malformed",
            Self::Malformed => "malformed_for_http2",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Busy | Self::Full | Self::AddressFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fast | Self::AddressFast => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the same request may be answered later: a limit is exceeded, whose directive is its code.
    pub(crate) fn is_passing(self) -> bool {
        self == Self::Busy || self.is_of_connection()
    }

    /// Whether the connection is refused, so that the listener logs it.
    fn is_of_connection(self) -> bool {
        matches!(
            self,
            Self::Full | Self::AddressFull | Self::Fast | Self::AddressFast
        )
    }

    /// What is wrong, and the remedy.
    pub(crate) fn sentence(self, over_tls: bool, bounds: &HeadSettings) -> Cow<'static, str> {
        let HeadSettings {
            bytes,
            fields,
            timeout,
        } = bounds;
        Cow::Owned(match self {
            Self::HeadTooLarge => format!(
                "the request head has more than {bytes} bytes or {fields} header fields; send fewer and shorter fields, or raise max_header_size or max_header_fields"
            ),
            Self::HeadTimeout => format!(
                "the request head did not come within {} s; send it at once, or raise header_timeout",
                timeout.as_secs_f64()
            ),
            other => return Cow::Borrowed(other.fixed_sentence(over_tls)),
        })
    }

    fn fixed_sentence(self, over_tls: bool) -> &'static str {
        match self {
            // Within TLS, such a byte does not begin another TLS connection.
            Self::Tls if over_tls => Self::Method.fixed_sentence(over_tls),
            Self::Tls => {
                "this port speaks plain HTTP, and TLS was received; write http:// instead of https://"
            }
            Self::Plain => {
                "this port speaks HTTPS, and plain HTTP was received; write https:// instead of http://"
            }
            Self::Proxied => {
                "the PROXY protocol is not supported; switch it off in the load balancer"
            }
            Self::Method => {
                "the request does not begin with a method; send HTTP/1.1 or HTTP/2, for example GET /healthz HTTP/1.1"
            }
            Self::Connect => {
                "this server is not a proxy and opens no tunnels for CONNECT; send the request itself"
            }
            Self::Version => {
                "the request line does not end in HTTP/1.1 or HTTP/1.0; write a space in the target as %20"
            }
            Self::Target => {
                "the request target is not a URL or holds a control character; begin it with / and percent-encode what is data"
            }
            Self::Fragment => {
                "the request target holds a raw #; write %23 if it is data, and leave a fragment out"
            }
            Self::TargetTooLong => {
                "the request target is longer than 65534 bytes; send long lists of matchers in the body of a QUERY"
            }
            Self::Field => {
                "a header field is malformed; write name, colon and value on one line, without control characters"
            }
            Self::Length => {
                "Content-Length and Transfer-Encoding do not say where the body ends; send one Content-Length, or Transfer-Encoding: chunked"
            }
            Self::Coding => {
                "Transfer-Encoding names another coding than chunked, such as gzip or deflate, which is not decoded here; send the body as it is, with Transfer-Encoding: chunked or Content-Length alone"
            }
            Self::Authority => {
                ":authority is not a host; send a name or an address, and perhaps a port, in ASCII"
            }
            Self::Malformed => {
                "the request is malformed for HTTP/2; send each pseudo-field once and first, field names in lower case, and no Connection, Upgrade or Transfer-Encoding"
            }
            Self::Busy => {
                "request heads hold all the memory that they may (max_header_memory); send a shorter head, or try again"
            }
            Self::Full => {
                "the hub serves as many connections as it can (max_connections); try again, and close connections that are not needed"
            }
            Self::AddressFull => {
                "the hub serves as many connections of one address as it may (max_connections_per_address); try again, and close connections that are not needed"
            }
            Self::Fast => {
                "connections come faster than the hub takes them (max_connection_rate); try again, and keep connections open"
            }
            Self::AddressFast => {
                "connections of one address come faster than the hub takes them (max_connection_rate_per_address); try again, and keep connections open"
            }
            Self::HeadTooLarge | Self::HeadTimeout => "",
        }
    }

    /// Answers a request that has this fault, and logs one line.
    pub(crate) fn refuse(
        self,
        version: Version,
        over_tls: bool,
        peer: Option<SocketAddr>,
        bounds: &HeadSettings,
    ) -> Response<Body> {
        let (status, sentence) = (self.status(), self.sentence(over_tls, bounds));
        let peer = peer.map(tracing::field::display);
        let (mut reason, number) = (self.code(), status.as_u16());
        let mut sentence = sentence;
        if self == Self::Malformed && version == Version::HTTP_3 {
            reason = "malformed_for_http3";
            sentence = sentence.replace("HTTP/2", "HTTP/3").into();
        }
        refuse_request(reason, status, || sentence.clone().into_owned());
        match self {
            // The listener logs once in a while how many there are.
            fault if fault.is_of_connection() => {
                tracing::debug!(
                    reason = "limit_exceeded",
                    limit = reason,
                    status = number,
                    peer,
                    "request refused: {sentence}"
                )
            }
            Self::Busy => tracing::warn!(
                name: "limit_exceeded",
                reason = "limit_exceeded",
                limit = reason,
                status = number,
                peer,
                "request refused: {sentence}"
            ),
            _ => {
                tracing::info!(name: "request_refused", reason, status = number, peer, "request refused: {sentence}")
            }
        }
        let mut response = talaria_hub::refusal(status, &sentence);
        if self.is_passing() {
            let soon = HeaderValue::from_static("2");
            response.headers_mut().insert(RETRY_AFTER, soon);
        }
        if version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}
