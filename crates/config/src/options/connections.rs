//! The options that bound connections and their heads.

use std::time::Duration;

use super::form::Form;
use super::row::Row;
use super::slot::Slot;
use crate::settings::LEAST_HEAD_BYTES;

/// The most connections that a directive takes.
const CONNECTIONS: u64 = 100_000_000;
/// The most streams of a connection: what the hub holds of each adds up, and one client opens them.
const STREAMS: u64 = 100_000;
/// The most header fields: the parser reserves space for as many before it reads a head.
const FIELDS: u64 = 1_000;
/// Less would refuse heads that `max_header_size` allows by default.
const HEAD_MEMORY: u64 = 1 << 20;
const HEAD_TIMES: Form = Form::Duration {
    range: Some((Duration::from_millis(100), Duration::from_secs(3600))),
};

/// The options, in the order of the reference page.
pub(crate) const CONNECTION: &[Row] = &[
    Row::hub(
        "max_connections",
        Form::count(10, CONNECTIONS).or_off(),
        |draft| (&mut draft.program.connections.most).into(),
        "Open connections in all; the last fifth is for addresses that have few. At the limit idle \
         connections are closed for new ones; without any, a new one is answered 503, but for `/healthz`.",
    )
    .none("what the limit of open files leaves"),
    Row::hub(
        "max_connections_per_address",
        Form::count(1, CONNECTIONS).or_off(),
        |draft| (&mut draft.program.connections.most_of_address).into(),
        "Open connections of one address (IPv6: one /64), but those of `trusted_proxies`.",
    )
    .none("off"),
    Row::hub(
        "max_connection_rate",
        Form::Rate,
        |draft| (&mut draft.program.connections.rate).into(),
        "Connections that come in all; the last fifth is for addresses that open few. Beyond it, 429.",
    )
    .none("off"),
    Row::hub(
        "max_connection_rate_per_address",
        Form::Rate,
        |draft| (&mut draft.program.connections.rate_of_address).into(),
        "Connections that come from one address (IPv6: one /64), but those of `trusted_proxies`.",
    )
    .none("off"),
    Row::hub(
        "max_handshakes",
        Form::count(10, CONNECTIONS).or_off(),
        |draft| Slot::Derived(&mut draft.program.connections.handshakes),
        "TLS handshakes under way in all; the last fifth is for addresses that have few. Further \
         connections are closed.",
    )
    .none("a quarter of `max_connections`"),
    Row::hub(
        "max_streams_per_connection",
        Form::count(1, STREAMS),
        |draft| (&mut draft.program.connections.streams).into(),
        "The maximum number of requests and streams of one connection over HTTP/2 or HTTP/3 at a time. The \
         hub announces the limit; further requests wait.",
    ),
    Row::hub(
        "header_timeout",
        HEAD_TIMES,
        |draft| (&mut draft.program.connections.head.timeout).into(),
        "How long a TLS handshake, the first request's head, and any head once it has begun may take; \
         a head that takes longer is answered 408.",
    ),
    Row::hub(
        "max_header_size",
        Form::size(LEAST_HEAD_BYTES, 16 << 20),
        |draft| (&mut draft.program.connections.head.bytes).into(),
        "Largest head of a request, with its target; a larger one is answered 431.",
    ),
    Row::hub(
        "max_header_fields",
        Form::count(1, FIELDS),
        |draft| (&mut draft.program.connections.head.fields).into(),
        "Header fields of a request, 1,000 at most; more are answered 431. The lines into which HTTP/2 splits `Cookie` \
         count as one.",
    ),
    Row::hub(
        "max_header_memory",
        Form::size(HEAD_MEMORY, u64::MAX).or_off(),
        |draft| (&mut draft.program.connections.head_memory).into(),
        "Memory of all heads of which the rest has not come, and of large heads of requests under way; \
         the last fifth is for addresses that have few. Beyond it, 503.",
    ),
];
