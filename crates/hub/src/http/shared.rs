//! The state that the requests of a hub share: its options, its engine, and its memory of clients.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use talaria_protocol::{Base, Generation, Update};
use talaria_transport::{AppendError, Transport};

use crate::access::{Denied, OLDER_COOKIE, Verifier, cookie_names};
use crate::clock::Clock;
use crate::engine::drain::Drain;
use crate::engine::lane::LANE_POSITIONS;
use crate::engine::router::{Effort, Router};
use crate::http::cors::Cors;
use crate::http::permits::Permits;
use crate::http::repeats::Repeats;
use crate::limits::{Budgets, Turns};
use crate::options::HubOptions;
use crate::presence::Reconciler;

/// The state that the requests of a hub share. Each configuration of a hub has one, and open streams keep
/// none.
pub(crate) struct Shared {
    pub(crate) options: Arc<HubOptions>,
    pub(crate) base: Arc<Base>,
    pub(crate) verifier: Verifier,
    pub(crate) cors: Option<Cors>,
    /// The names of the cookie, on connections without and with TLS.
    pub(crate) cookie_names: [Vec<String>; 2],
    /// Remembers publishes, if the options have a window for repeats.
    pub(crate) repeats: Option<Repeats>,
    /// What clients may hold, and what they hold.
    pub(crate) budgets: Budgets,
    pub(crate) lasting: Lasting,
}

/// What all configurations of a hub share.
#[derive(Clone)]
pub(crate) struct Lasting {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) router: Arc<Router>,
    /// Every request under way and every open stream has entered it.
    pub(crate) drain: Arc<Drain>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What open streams rest on.
    pub(crate) permits: Arc<Permits>,
    /// The tokens that are revoked, also for the hubs beside this one.
    pub(crate) denied: Arc<Denied>,
    /// Publishes subscription events, once a configuration has asked for them: those of open streams even
    /// when a later one does not.
    reconciler: Arc<OnceLock<Reconciler>>,
}

impl Deref for Shared {
    type Target = Lasting;

    fn deref(&self) -> &Lasting {
        &self.lasting
    }
}

impl Shared {
    /// The state of a new hub on a transport, which is started.
    pub(crate) fn new(
        options: HubOptions,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let base = Arc::new(options.base.clone());
        let options = Arc::new(options);
        let ring = Arc::clone(transport.ring());
        let head = transport.bounds().head;
        let effort = Effort {
            turns: Turns::usual(),
            ..Effort::new(LANE_POSITIONS)
        };
        let router = Router::new(ring, Arc::clone(&base), effort, head);
        let router = Arc::new(router.measured_by(Arc::clone(&clock)));
        if transport.nodes().is_some() {
            router.follow_others();
        }
        transport.start(Arc::clone(&router) as _);
        let denied = Arc::default();
        let verifier = verifier(&options, &denied);
        let lasting = Lasting {
            transport,
            router,
            drain: Arc::default(),
            clock,
            permits: Arc::new(Permits::new(Arc::clone(&options), verifier.clone())),
            denied,
            reconciler: Arc::default(),
        };
        let repeats = options.repeat_window.map(Repeats::new);
        let budgets = Budgets::new(&options.budgets);
        Self::assemble(options, base, verifier, repeats, budgets, lasting)
    }

    /// The state of the same hub with other options, by which open streams are judged from now on.
    pub(crate) fn reconfigured(&self, options: HubOptions) -> Self {
        let options = Arc::new(options);
        let base = match *self.base == options.base {
            true => Arc::clone(&self.base),
            false => Arc::new(options.base.clone()),
        };
        let verifier = verifier(&options, &self.denied);
        let repeats = options.repeat_window.map(|window| match &self.repeats {
            Some(known) => known.lasting(window),
            None => Repeats::new(window),
        });
        let budgets = self.budgets.bounded_by(&options.budgets);
        let lasting = self.lasting.clone();
        // Streams whose patterns another base gives another meaning end before the base changes.
        lasting
            .permits
            .reconfigure(Arc::clone(&options), verifier.clone());
        lasting.router.rebase(&base);
        Self::assemble(options, base, verifier, repeats, budgets, lasting)
    }

    /// The state of another hub on the same log: its options are its own, streams and updates are shared.
    pub(crate) fn beside(&self, options: HubOptions) -> Self {
        let base = Arc::clone(&self.base);
        let options = Arc::new(HubOptions {
            base: (*base).clone(),
            ..options
        });
        let verifier = verifier(&options, &self.denied);
        let permits = Permits::new(Arc::clone(&options), verifier.clone());
        let lasting = Lasting {
            permits: Arc::new(permits),
            ..self.lasting.clone()
        };
        let repeats = options.repeat_window.map(Repeats::new);
        let budgets = Budgets::new(&options.budgets);
        Self::assemble(options, base, verifier, repeats, budgets, lasting)
    }

    fn assemble(
        options: Arc<HubOptions>,
        base: Arc<Base>,
        verifier: Verifier,
        repeats: Option<Repeats>,
        budgets: Budgets,
        lasting: Lasting,
    ) -> Self {
        if options.subscriptions {
            lasting.announce_within(options.presence.bytes_per_second);
        }
        Self {
            cors: options.cors_origins.clone().map(Cors::new),
            cookie_names: [false, true].map(|tls| all_cookie_names(&options, tls)),
            options,
            base,
            verifier,
            repeats,
            budgets,
            lasting,
        }
    }

    /// What publishes subscription events, if the options ask for them.
    pub(crate) fn presence(&self) -> Option<&Reconciler> {
        let is_on = self.options.subscriptions;
        is_on.then(|| self.reconciler.get()).flatten()
    }

    /// Appends the updates with one commit: all of them, or none. Returns their ids. `publisher` is whose
    /// repeated publishes are recognised, by issuer and subject.
    pub(crate) async fn append(
        &self,
        publisher: Option<[&str; 2]>,
        updates: Vec<Update>,
    ) -> Result<Vec<String>, AppendError> {
        match (&self.repeats, publisher) {
            (Some(repeats), Some(publisher)) => {
                let now = self.clock.now();
                repeats
                    .append(publisher, updates, &self.transport, now)
                    .await
            }
            _ => {
                let appended = self.transport.append_all(updates).await?;
                let ids = appended.into_iter().map(|appended| appended.event_id);
                Ok(ids.collect())
            }
        }
    }
}

impl Lasting {
    /// Publishes subscription events from now on, within this rate for each client.
    fn announce_within(&self, bytes_per_second: u64) {
        let start = || {
            let (transport, router) = (Arc::clone(&self.transport), Arc::clone(&self.router));
            Reconciler::new(bytes_per_second, transport, router)
        };
        let reconciler = self.reconciler.get_or_init(start);
        reconciler.set_rate(bytes_per_second);
    }
}

fn verifier(options: &HubOptions, denied: &Arc<Denied>) -> Verifier {
    let (issuers, base) = (options.issuers.clone(), options.base.clone());
    Verifier::new(issuers, base, options.limits.clone())
        .from_generation(options.rule.oldest())
        .with_max_lifetime(options.max_token_lifetime)
        .refusing(Arc::clone(denied))
}

fn all_cookie_names(options: &HubOptions, tls: bool) -> Vec<String> {
    let mut names = cookie_names(&options.cookie_name, tls);
    if options.rule.oldest() == Generation::V0 {
        names.push(OLDER_COOKIE.to_owned());
    }
    names
}
