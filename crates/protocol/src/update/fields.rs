//! An update, and the checks on the fields of a publish (specification, "Publication").

use std::sync::Arc;

use crate::base::Base;
use crate::error::{ProtocolError, Shown};
use crate::form::{self, Pair};
use crate::generation::Generation;
use crate::limits::Limits;
use crate::subscription::EARLIEST;
use crate::topic::{check_characters, check_published};
use crate::trace::TraceContext;

/// The SSE type of the updates that the hub itself makes (specification, "Subscription Events").
pub const HUB_EVENT_TYPE: &str = "mercure";

/// A new version of one or several topics, checked and ready to be appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// The canonical topic, then the alternates; at least one in all.
    pub topics: Vec<String>,
    /// The content, any UTF-8.
    pub data: String,
    /// The id that the publisher chose, if any.
    pub id: Option<String>,
    /// The SSE `event`, if any.
    pub event_type: Option<String>,
    /// The SSE `retry` in milliseconds, if any.
    pub retry: Option<u64>,
    /// Whether only subscribers with a grant may read it.
    pub private: bool,
    /// Whether the hub that appends it made it, which is a subscription event. No request can set this,
    /// and no update has it that a hub hands to its application.
    pub by_hub: bool,
    /// The operation that published it, whose trace its delivery is part of; clients are not sent it.
    pub trace: Option<Arc<TraceContext>>,
}

impl Update {
    /// Reads an update from the pairs of a publish body, by the checks of the generation `checks`.
    ///
    /// Empty `id`, `type` and `retry` mean absent (B-679); the first value of each counts, unknown
    /// fields are ignored (B-384).
    ///
    /// # Errors
    /// [`Blame::TooLarge`](crate::Blame::TooLarge) if a maximum is exceeded, which is checked
    /// first, else [`Blame::Malformed`](crate::Blame::Malformed) or
    /// [`Blame::Reserved`](crate::Blame::Reserved).
    pub fn from_form(
        pairs: &[Pair<'_>],
        checks: Generation,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let fields = Fields::collect(pairs);
        fields.check_sizes(limits)?;
        if fields.topics.is_empty() {
            return Err(ProtocolError::malformed(
                "topic",
                format!(
                    "missing ({}); send each topic of the update in the body, in a separate field \"topic\" without brackets",
                    form::names(pairs)
                ),
            ));
        }
        for topic in &fields.topics {
            check_published(topic, checks, base)?;
        }
        let id = |id| checked_id(id, checks);
        let event_type = |event_type| checked_type(event_type, checks);
        Ok(Self {
            id: fields.id.map(id).transpose()?,
            event_type: fields.event_type.map(event_type).transpose()?,
            retry: fields.retry.map(checked_retry).transpose()?,
            data: fields.data.unwrap_or_default().to_owned(),
            private: fields.private,
            by_hub: false,
            trace: None,
            topics: fields.topics.into_iter().map(str::to_owned).collect(),
        })
    }
}

#[derive(Default)]
struct Fields<'a> {
    topics: Vec<&'a str>,
    data: Option<&'a str>,
    id: Option<&'a str>,
    event_type: Option<&'a str>,
    retry: Option<&'a str>,
    private: bool,
}

impl<'a> Fields<'a> {
    fn collect(pairs: &'a [Pair<'_>]) -> Self {
        let mut fields = Self::default();
        for (name, value) in pairs {
            let value: &'a str = value;
            match &**name {
                "topic" => fields.topics.push(value),
                "data" => _ = fields.data.get_or_insert(value),
                "id" => _ = fields.id.get_or_insert(value),
                "type" => _ = fields.event_type.get_or_insert(value),
                "retry" => _ = fields.retry.get_or_insert(value),
                "private" => fields.private = true,
                _ => {}
            }
        }
        let present = |value: Option<&'a str>| value.filter(|value| !value.is_empty());
        Self {
            id: present(fields.id),
            event_type: present(fields.event_type),
            retry: present(fields.retry),
            ..fields
        }
    }

    fn check_sizes(&self, limits: &Limits) -> Result<(), ProtocolError> {
        if self.topics.len() > limits.topics {
            return Err(too_many_topics(self.topics.len(), limits));
        }
        let named = self.topics.iter().map(|topic| ("topic", *topic));
        let others = [("id", self.id), ("type", self.event_type)];
        let others = others
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        for (name, value) in named.chain(others) {
            if value.len() > limits.field_bytes {
                return Err(ProtocolError::too_large(
                    name,
                    format!(
                        "{} bytes are more than the {} it may have; shorten it",
                        value.len(),
                        limits.field_bytes
                    ),
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn too_many_topics(count: usize, limits: &Limits) -> ProtocolError {
    ProtocolError::too_large(
        "topic",
        format!(
            "{count} topics are more than the {} of one update; publish several",
            limits.topics
        ),
    )
}

fn checked_id(id: &str, checks: Generation) -> Result<String, ProtocolError> {
    check_characters("id", id, checks)?;
    // A header field loses spaces, and programs that trim text lose more.
    let is_lost: fn(char) -> bool = match checks {
        Generation::V0 => |c| c == ' ',
        Generation::V1 => char::is_whitespace,
    };
    if id.starts_with(is_lost) || id.ends_with(is_lost) {
        return Err(ProtocolError::malformed(
            "id",
            format!(
                "{} begins or ends with a space, which a Last-Event-ID header would lose; remove it",
                Shown(id)
            ),
        ));
    }
    if checks == Generation::V1 && id.starts_with('#') {
        return Err(ProtocolError::malformed(
            "id",
            format!(
                "{} begins with \"#\", which is reserved for hubs; use another form",
                Shown(id)
            ),
        ));
    }
    if id == EARLIEST {
        return Err(ProtocolError::malformed(
            "id",
            "\"earliest\" is the cursor that asks for everything; use another id",
        ));
    }
    Ok(id.to_owned())
}

fn checked_type(event_type: &str, checks: Generation) -> Result<String, ProtocolError> {
    check_characters("type", event_type, checks)?;
    if checks == Generation::V1 && event_type == HUB_EVENT_TYPE {
        return Err(ProtocolError::malformed(
            "type",
            "\"mercure\" is reserved for the hub's own events; use another type",
        ));
    }
    Ok(event_type.to_owned())
}

fn checked_retry(retry: &str) -> Result<u64, ProtocolError> {
    let digits = retry.bytes().all(|byte| byte.is_ascii_digit());
    retry.parse().ok().filter(|_| digits).ok_or_else(|| {
        ProtocolError::malformed(
            "retry",
            format!(
                "{} is not a number of milliseconds below 2^64; write ASCII digits only",
                Shown(retry)
            ),
        )
    })
}
