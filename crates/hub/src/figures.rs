//! What a hub holds, for the metrics of a program.

use std::sync::Arc;

use talaria_transport::measures::{Distribution, Figures};
use talaria_transport::{Bounds, Position};

use crate::engine::lane::LANE_POSITIONS;
use crate::hub::Hub;
use crate::limits::Usage;
use crate::statistics::Statistics;

/// What a hub holds at a moment, besides what its clients hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubFigures {
    /// The positions that the log keeps.
    pub bounds: Bounds,
    /// What else the log says of itself.
    pub log: Figures,
    /// The bytes of the newest updates, which are in memory.
    pub ring_bytes: u64,
    /// Their number.
    pub ring_updates: u64,
    /// How many updates were stored at a time.
    pub groups: Distribution,
    /// The different selections of subscribers.
    pub interests: u64,
    /// The bytes that their lists of new updates take at most.
    pub lane_bytes: u64,
    /// The bytes of what is remembered of topics that were published lately.
    pub topic_cache_bytes: u64,
    /// The bytes of the tokens that were verified lately.
    pub token_cache_bytes: u64,
}

impl Hub {
    /// What the hub holds. It takes the locks of publishers for microseconds, so ask it seldom, and not in a task that
    /// others wait for.
    pub fn figures(&self) -> HubFigures {
        let hub = self.shared();
        let (bytes, updates) = hub.router.ring().held();
        let interests = hub.router.interests();
        let groups = hub
            .router
            .measures()
            .map(|measures| measures.groups().read());
        HubFigures {
            bounds: hub.transport.bounds(),
            log: hub.transport.figures(),
            ring_bytes: bytes as u64,
            ring_updates: updates as u64,
            groups: groups.unwrap_or_default(),
            interests: interests as u64,
            lane_bytes: (interests * LANE_POSITIONS * size_of::<Position>()) as u64,
            topic_cache_bytes: hub.router.topic_cache_bytes() as u64,
            token_cache_bytes: hub.verifier.cache_bytes() as u64,
        }
    }

    /// Whether both have one log: they are one hub, or one is [beside](Self::beside) the other.
    pub fn shares_log_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared().router, &other.shared().router)
    }

    /// The limits of clients, and how much of those of [`HubOptions::budgets`](crate::HubOptions::budgets) is used.
    /// Looks at each client where there is a bound for each.
    pub fn limits(&self) -> Vec<Usage> {
        let hub = self.shared();
        let (options, presence) = (&hub.options, &hub.options.presence);
        let bodies = (
            options.max_request_body_size as u64,
            options.max_anonymous_body_size as u64,
        );
        let mut limits = hub.budgets.usage();
        limits.extend([
            Usage::of_each("max_request_body_size", bodies.0, true),
            Usage::of_each("max_anonymous_body_size", bodies.1, true),
        ]);
        // Several issuers may have bounds: the least is shown.
        let issuers = || options.issuers.iter();
        let sizes = issuers().filter_map(|issuer| issuer.max_publish_size);
        let topics = issuers().filter_map(|issuer| issuer.max_publish_topics);
        limits.extend([
            Usage::new("max_publish_size", None, sizes.min()),
            Usage::new("max_publish_topics", None, topics.min()),
        ]);
        if options.subscriptions {
            let bytes = presence.bytes_per_request as u64;
            limits.push(Usage::of_each(
                "subscription_events_per_request",
                bytes,
                false,
            ));
            let rate = Some(presence.bytes_per_second).filter(|rate| *rate > 0);
            let of_rate = |rate| Usage::of_each("subscription_events_per_second", rate, false);
            limits.extend(rate.map(of_rate));
        }
        limits
    }

    /// Whether it counts publishes by topic.
    pub fn counts_topics(&self) -> bool {
        self.shared().options.busiest_topics
    }

    /// What its requests and streams are counted in.
    pub fn statistics(&self) -> &Arc<Statistics> {
        &self.shared().options.statistics
    }
}
