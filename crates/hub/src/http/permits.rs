//! What open streams rest on, and which of them the newest configuration permits (ADR 0018).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::request::Parts;
use talaria_protocol::{Base, Generation, Matcher};

use crate::access::{Access, Basis, Role, Verifier};
use crate::engine::interests::Selection;
use crate::engine::permit::{Lifetime, Permit, Share};
use crate::engine::router::Membership;
use crate::http::identity::{self, Reached};
use crate::options::HubOptions;

/// Permits that no stream has are removed when there are twice as many permits as the last removal left, and
/// at least this many.
const FEWEST: usize = 64;

/// The permits of the open streams of a hub, judged by its newest configuration.
pub(crate) struct Permits(Mutex<State>);

struct State {
    options: Arc<HubOptions>,
    verifier: Verifier,
    known: HashMap<Ground, Weak<Permit>>,
    look_through_at: usize,
}

/// What streams rest on. It holds neither a token nor what it grants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ground {
    reader: Reader,
    /// The base of their URL Patterns, if they have any: with another base these mean something else.
    base: Option<Arc<Base>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reader {
    /// The application, which is trusted with what it reads.
    Application,
    /// Clients without a token that counts.
    Anyone,
    /// Clients with a token, and where they reached the hub, if its audience was checked.
    Holder(Arc<Basis>, Option<Reached>),
}

impl Permits {
    /// No permits yet, to be judged by these options and this verifier.
    pub(crate) fn new(options: Arc<HubOptions>, verifier: Verifier) -> Self {
        Self(Mutex::new(State {
            options,
            verifier,
            known: HashMap::new(),
            look_through_at: FEWEST,
        }))
    }

    /// What the stream of a client rests on. `access` is what its token allows, and `base` what the request
    /// was read with.
    pub(crate) fn for_client(
        &self,
        parts: &Parts,
        access: Option<&Access>,
        base: &Arc<Base>,
        membership: &Membership,
    ) -> Share {
        let (reader, lifetime) = match access {
            None => (Reader::Anyone, Lifetime::NONE),
            Some(access) => {
                let is_for_hub = access.generation == Generation::V1;
                let reached = is_for_hub.then(|| Reached::of(parts)).flatten();
                let reader = Reader::Holder(Arc::clone(&access.basis), reached);
                let lifetime = access.lifetime.map(Lifetime::of_seconds);
                (reader, lifetime.unwrap_or(Lifetime::LEFT))
            }
        };
        self.share(reader, lifetime, base, membership)
    }

    /// What a stream of the application rests on.
    pub(crate) fn for_application(&self, base: &Arc<Base>, membership: &Membership) -> Share {
        self.share(Reader::Application, Lifetime::NONE, base, membership)
    }

    fn share(
        &self,
        reader: Reader,
        lifetime: Lifetime,
        base: &Arc<Base>,
        membership: &Membership,
    ) -> Share {
        let has_patterns = has_url_patterns(&membership.interest().selection);
        let base = has_patterns.then(|| Arc::clone(base));
        let permit = self.state().permit(Ground { reader, base });
        // A configuration that comes in between has found the permit.
        permit.share(membership, lifetime)
    }

    /// Judges all streams by another configuration: ends those that it does not permit, and wakes each of
    /// these once.
    pub(crate) fn reconfigure(&self, options: Arc<HubOptions>, verifier: Verifier) {
        let mut state = self.state();
        state.options = options;
        state.verifier = verifier;
        let concerned = state.judge_all();
        drop(state);
        for permit in concerned {
            permit.ring();
        }
    }

    /// The number of permits that are known, in use or not.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.state().known.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The permit of a ground: that of its open streams, or a new one. A request that an earlier configuration
    /// answers gets one that is revoked if this configuration does not permit its stream.
    fn permit(&mut self, ground: Ground) -> Arc<Permit> {
        if let Some(known) = self.known.get(&ground).and_then(Weak::upgrade) {
            return known;
        }
        let Some(longest) = longest(&self.options, &self.verifier, &ground) else {
            return Arc::new(Permit::revoked());
        };
        let permit = Arc::new(Permit::new(longest));
        if self.known.len() >= self.look_through_at {
            self.known.retain(|_, known| known.strong_count() > 0);
            self.trim();
        }
        self.known.insert(ground, Arc::downgrade(&permit));
        permit
    }

    /// Judges all permits. Returns those with streams that may have to end.
    fn judge_all(&mut self) -> Vec<Arc<Permit>> {
        let mut concerned = Vec::new();
        let (options, verifier) = (&self.options, &self.verifier);
        self.known.retain(|ground, permit| {
            let Some(permit) = permit.upgrade() else {
                return false;
            };
            match longest(options, verifier, ground) {
                Some(longest) => {
                    if permit.bound(longest) {
                        concerned.push(permit);
                    }
                    true
                }
                // Streams to come get another one, should a later configuration permit them.
                None => {
                    permit.revoke();
                    concerned.push(permit);
                    false
                }
            }
        });
        self.trim();
        concerned
    }

    /// Gives memory back after a peak.
    fn trim(&mut self) {
        self.look_through_at = FEWEST.max(2 * self.known.len());
        self.known.shrink_to(self.look_through_at);
    }
}

/// The longest lifetime, in seconds, of a token whose stream a configuration permits: infinity without a
/// bound, and `None` if it permits no stream on this ground.
fn longest(options: &HubOptions, verifier: &Verifier, ground: &Ground) -> Option<f64> {
    if ground
        .base
        .as_ref()
        .is_some_and(|base| **base != options.base)
    {
        return None;
    }
    match &ground.reader {
        Reader::Application => Some(f64::INFINITY),
        Reader::Anyone => {
            // Without a subscriber key no token is asked for (B-334).
            let is_served = options.anonymous || !options.issuers.serves(Role::Subscriber);
            is_served.then_some(f64::INFINITY)
        }
        Reader::Holder(basis, reached) => {
            let audiences = identity::audiences(options, reached.as_ref());
            let longest = options.max_token_lifetime.as_ref();
            verifier
                .trusts(basis, &audiences)
                .then(|| longest.map_or(f64::INFINITY, Duration::as_secs_f64))
        }
    }
}

fn has_url_patterns(selection: &Selection) -> bool {
    let mut matchers = selection.matchers.iter().chain(&selection.grants);
    matchers.any(|matcher| matches!(matcher, Matcher::UrlPattern(_)))
}
