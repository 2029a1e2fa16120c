//! The publisher of a request: which updates it may publish, and how they are stored.

use std::time::Instant;

use talaria_protocol::{Action, Generation, Topic, Update};
use talaria_transport::AppendError;

use crate::access::{Access, Issuer};
use crate::http::body::bound::BodyBound;
use crate::http::respond::Refused;
use crate::http::shared::Shared;
use crate::statistics::Protocol;

/// A client that may publish, with the access that its token gives.
pub(super) struct Publisher(pub(super) Access);

impl Publisher {
    /// The generation whose checks the updates must pass.
    pub(super) fn checks(&self, hub: &Shared) -> Generation {
        hub.options.rule.checks(self.0.generation)
    }

    /// The bound of the size of an update: that of its issuer, if that is less than that of every body.
    pub(super) fn bound(&self, hub: &Shared) -> BodyBound {
        let of_issuer = self.issuer(hub).and_then(|issuer| issuer.max_publish_size);
        BodyBound::of_publisher(&hub.options, of_issuer)
    }

    /// Refuses an update with more topics than the issuer's publishers may give it, or with one that the token
    /// does not grant.
    pub(super) fn check_topics(&self, hub: &Shared, update: &Update) -> Result<(), Refused> {
        let most = self
            .issuer(hub)
            .and_then(|issuer| issuer.max_publish_topics);
        let count = update.topics.len();
        if let Some(most) = most
            && count as u64 > most
        {
            return Err(Refused::TooManyTopics { count, most });
        }
        self.check_grants(hub, update)
    }

    fn issuer<'h>(&self, hub: &'h Shared) -> Option<&'h Issuer> {
        hub.options.issuers.get(&self.0.issuer)
    }

    /// Refuses an update with a topic that the token does not grant.
    fn check_grants(&self, hub: &Shared, update: &Update) -> Result<(), Refused> {
        let refused = update.topics.iter().find(|topic| {
            let topic = Topic::new(topic, &hub.base);
            !self.0.details.grants(Action::Publish, &topic)
        });
        match refused {
            Some(topic) if !self.may_publish_ungranted(hub, update) => Err(Refused::Scope {
                action: Action::Publish,
                topic: topic.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether an update may be published without a grant. With compatibility 7, 0.x publishers need no
    /// grant for public updates (B-622).
    fn may_publish_ungranted(&self, hub: &Shared, update: &Update) -> bool {
        hub.options.publish_ungranted && self.0.generation == Generation::V0 && !update.private
    }
}

/// A request for publishing.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// When its head had come.
    pub(super) began: Instant,
    pub(super) protocol: Protocol,
}

/// Appends the updates with one commit, all or none, unless the token was revoked meanwhile. Returns their ids.
pub(super) async fn store(
    hub: &Shared,
    publisher: &Publisher,
    updates: Vec<Update>,
    arrival: Arrival,
) -> Result<Vec<String>, Refused> {
    // The body may have come long after the token was verified.
    let revoked = publisher
        .0
        .check_revocation(&hub.denied, hub.clock.unix_time());
    revoked.map_err(Refused::Token)?;
    // Two issuers may give the same `sub` to different publishers.
    let subject = publisher.0.subject.as_deref();
    let counted = hub.options.busiest_topics;
    let first = |update: &Update| update.topics.first().cloned();
    let topics: Option<Vec<String>> = counted.then(|| updates.iter().filter_map(first).collect());
    let publisher = subject.map(|subject| [publisher.0.issuer.as_str(), subject]);
    let stored = hub.append(publisher, updates).await;
    let ids = stored.map_err(|error| match error {
        AppendError::Refused(reason) => Refused::NotStored(reason),
        AppendError::Unknown => Refused::Unknown,
    })?;
    let now = hub.clock.now();
    let took = now.saturating_duration_since(arrival.began);
    let statistics = &hub.options.statistics;
    statistics.published(arrival.protocol, ids.len(), took);
    if let Some(topics) = topics {
        statistics
            .busiest()
            .count(topics.iter().map(String::as_str), now);
    }
    Ok(ids)
}
