//! The options that bound what clients may hold.

use super::form::Form;
use super::row::{Preset, Row, Section};
use super::slot::Slot;
use crate::draft::Draft;

/// A budget in numbers.
const COUNT: Form = Form::count(0, u64::MAX).or_off();
/// A budget in bytes.
const SIZE: Form = Form::SIZE.or_off();

const fn budget(
    name: &'static str,
    form: Form,
    place: fn(&mut Draft) -> Slot<'_>,
    doc: &'static str,
) -> Row {
    let row = Row::hub(name, form, place, doc).none("off");
    row.section(Section::Limits)
}

/// A budget for all clients together.
const fn total(
    name: &'static str,
    form: Form,
    place: fn(&mut Draft) -> Slot<'_>,
    doc: &'static str,
) -> Row {
    budget(name, form, place, doc).protects_all()
}

/// The options, in alphabetical order.
pub(crate) const BUDGETS: &[Row] = &[
    total(
        "max_body_memory",
        SIZE,
        |draft| (&mut draft.hub.budgets.body_memory.total).into(),
        "Request bodies under way of all clients together, from their first byte until they are published; \
         those of requests without a token may have a quarter.",
    )
    .preset(Preset::Remarked(
        ", and at least twice `max_request_body_size`",
    )),
    budget(
        "max_body_memory_per_address",
        SIZE,
        |draft| (&mut draft.hub.budgets.body_memory.per_address).into(),
        "Request bodies under way of one address.",
    ),
    budget(
        "max_body_memory_per_subject",
        SIZE,
        |draft| (&mut draft.hub.budgets.body_memory.per_subject).into(),
        "Request bodies under way of one token subject.",
    ),
    total(
        "max_matcher_memory",
        SIZE,
        |draft| (&mut draft.hub.budgets.matcher_memory.total).into(),
        "Memory for the matchers and grants of all open streams together. Streams that select the same count \
         once.",
    ),
    budget(
        "max_matcher_memory_per_address",
        SIZE,
        |draft| (&mut draft.hub.budgets.matcher_memory.per_address).into(),
        "Memory for the matchers and grants of the open streams of one address.",
    ),
    budget(
        "max_matcher_memory_per_connection",
        SIZE,
        |draft| (&mut draft.hub.budgets.matcher_memory.per_connection).into(),
        "Memory for the matchers and grants of the open streams of one connection.",
    ),
    budget(
        "max_matcher_memory_per_subject",
        SIZE,
        |draft| (&mut draft.hub.budgets.matcher_memory.per_subject).into(),
        "Memory for the matchers and grants of the open streams of one token subject.",
    ),
    total(
        "max_matcher_states",
        COUNT,
        |draft| (&mut draft.hub.budgets.matcher_states.total).into(),
        "States of the patterns of all open streams together; an ordinary pattern has some tens. Streams that \
         select the same count once.",
    ),
    budget(
        "max_matcher_states_per_address",
        COUNT,
        |draft| (&mut draft.hub.budgets.matcher_states.per_address).into(),
        "States of the patterns of the open streams of one address: what they cost a publish at worst.",
    ),
    budget(
        "max_matcher_states_per_connection",
        COUNT,
        |draft| (&mut draft.hub.budgets.matcher_states.per_connection).into(),
        "States of the patterns of the open streams of one connection.",
    ),
    budget(
        "max_matcher_states_per_subject",
        COUNT,
        |draft| (&mut draft.hub.budgets.matcher_states.per_subject).into(),
        "States of the patterns of the open streams of one token subject.",
    ),
    budget(
        "max_publish_rate",
        Form::Rate,
        |draft| (&mut draft.hub.budgets.publish_rate.total).into(),
        "Updates that all clients together publish; each line of a batch is one. Without a number after it, as many \
         may come at once as in one second, minute or hour.",
    ),
    budget(
        "max_publish_rate_per_address",
        Form::Rate,
        |draft| (&mut draft.hub.budgets.publish_rate.per_address).into(),
        "Updates that clients of one address publish.",
    ),
    budget(
        "max_publish_rate_per_subject",
        Form::Rate,
        |draft| (&mut draft.hub.budgets.publish_rate.per_subject).into(),
        "Updates that one token subject publishes.",
    ),
    budget(
        "max_stream_rate",
        Form::Rate,
        |draft| (&mut draft.hub.budgets.stream_rate.total).into(),
        "Streams that all clients together open; the last fifth is for addresses that open few.",
    ),
    budget(
        "max_stream_rate_per_address",
        Form::Rate,
        |draft| (&mut draft.hub.budgets.stream_rate.per_address).into(),
        "Streams that clients of one address open.",
    ),
    budget(
        "max_stream_rate_per_subject",
        Form::Rate,
        |draft| (&mut draft.hub.budgets.stream_rate.per_subject).into(),
        "Streams that one token subject opens.",
    ),
    total(
        "max_streams",
        COUNT,
        |draft| (&mut draft.hub.budgets.streams.total).into(),
        "Open streams of all clients together. Beyond it, and beyond every bound of this section, a request is \
         answered 429.",
    ),
    budget(
        "max_streams_per_address",
        COUNT,
        |draft| (&mut draft.hub.budgets.streams.per_address).into(),
        "Open streams of one address, of IPv6 a network of 64 bits. Behind a proxy that `trusted_proxies` \
         does not name, all clients have its address.",
    ),
    budget(
        "max_streams_per_subject",
        COUNT,
        |draft| (&mut draft.hub.budgets.streams.per_subject).into(),
        "Open streams of one token subject: `iss` and `sub`, without a `sub` the token itself.",
    ),
];
