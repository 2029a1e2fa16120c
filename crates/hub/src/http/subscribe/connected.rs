//! What is counted and logged of a subscriber that has come.

use std::fmt;
use std::sync::Arc;

use http::Version;
use http::request::Parts;
use talaria_protocol::error::Shown;
use talaria_protocol::{Generation, Subscription};
use talaria_transport::Position;
use uuid::Uuid;

use crate::engine::cursor::Tally;
use crate::http::connection::{Connection, Sender};
use crate::http::outflow::Outflow;
use crate::http::respond;
use crate::http::shared::Shared;
use crate::statistics::{Parting, Protocol, name_of};

/// A subscriber, under the name by which logs and subscription events know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscriber {
    pub(super) id: Uuid,
    protocol: Protocol,
    generation: Generation,
}

impl Subscriber {
    /// A subscriber with a new name. It is random for each connection, so that it tells nothing of the token
    /// (specification, "Subscriber Identifier Assignment").
    pub(super) fn new(version: Version, generation: Generation) -> Self {
        Self {
            id: Uuid::new_v4(),
            protocol: Protocol::of(version),
            generation,
        }
    }

    /// Begins to count its stream.
    pub(super) fn tally(self, hub: &Shared, parts: &Parts) -> Tally {
        let outflow = parts.extensions.get::<Outflow>();
        let partings = [
            parts.extensions.get::<Parting>().cloned(),
            outflow.map(|outflow| outflow.parting().clone()),
        ];
        Tally::begin(
            Arc::clone(&hub.options.statistics),
            Arc::clone(&hub.clock),
            (self.protocol, self.generation),
            self.id,
            partings,
            hub.router.visible(),
        )
    }

    /// Logs that it has come.
    pub(super) fn log(
        self,
        parts: &Parts,
        asked: &[Subscription],
        requested: Option<&str>,
        position: Position,
    ) {
        let Sender { peer, client } = Sender::of(parts.extensions.get::<Connection>());
        tracing::info!(
            name: "subscriber_connected",
            // A name that operators filter by, whatever the module is called.
            target: "talaria_hub::subscribe",
            subscriber = %self.id.urn(),
            matchers = %Matchers(asked),
            last_event_id = requested.map(respond::field),
            position = position.0,
            generation = name_of(self.generation),
            protocol = self.protocol.name(),
            peer,
            client,
            "subscriber connected"
        );
    }
}

/// The matchers of a request, of which the first ones are shown.
struct Matchers<'a>(&'a [Subscription]);

impl fmt::Display for Matchers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How many are shown; each of them is bounded in length.
        const MOST: usize = 8;
        f.write_str("[")?;
        for (place, asked) in self.0.iter().take(MOST).enumerate() {
            let between = if place > 0 { ", " } else { "" };
            let kind = asked.matcher_type.name();
            write!(f, "{between}{kind}:{}", Shown(&asked.text))?;
        }
        match self.0.len().saturating_sub(MOST) {
            0 => f.write_str("]"),
            more => write!(f, " and {more} more]"),
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use talaria_protocol::MatcherType;

    use super::*;

    /// However many and long the matchers are, their line is short.
    #[test]
    fn matchers_are_bounded() {
        let long = Subscription {
            matcher_type: MatcherType::Exact,
            text: "x".repeat(10_000),
        };
        let many = vec![long; 100];
        let shown = Matchers(&many).to_string();
        assert!(shown.len() < 1_500, "{}", shown.len());
        assert!(shown.ends_with(" and 92 more]"), "{shown}");
        let few = Matchers(&[]).to_string();
        assert_eq!(few, "[]");
    }
}
