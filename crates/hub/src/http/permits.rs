//! What open streams rest on, and which of them the newest configuration permits (ADR 0018).

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::request::Parts;
use talaria_protocol::{Base, Generation, Matcher};

use crate::access::{Access, Basis, KeyPlace, Role, Tokens, Verifier};
use crate::engine::interests::Selection;
use crate::engine::permit::{Lifetime, Marks, Permit, Share};
use crate::engine::router::Membership;
use crate::http::identity::{self, Reached};
use crate::limits::hash;
use crate::options::HubOptions;

/// Permits that no stream has are removed when there are twice as many permits as the last removal left, and
/// at least this many.
const FEWEST: usize = 64;

/// The permits of the open streams of a hub, judged by its newest configuration.
pub(crate) struct Permits(Mutex<State>);

struct State {
    /// Whether no stream is permitted any more.
    is_retired: bool,
    options: Arc<HubOptions>,
    verifier: Verifier,
    known: HashMap<Ground, Known>,
    look_through_at: usize,
}

struct Known {
    permit: Weak<Permit>,
    /// Where the newest configuration has the key.
    place: KeyPlace,
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
            is_retired: false,
            options,
            verifier,
            known: HashMap::new(),
            look_through_at: FEWEST,
        }))
    }

    /// What the stream of a client rests on. `access` is what its token allows, `subscriber` its id, and
    /// `base` what the request was read with.
    pub(crate) fn for_client(
        &self,
        parts: &Parts,
        access: Option<&Access>,
        subscriber: Option<&str>,
        base: &Arc<Base>,
        membership: &Membership,
    ) -> Share {
        let marks = Marks {
            issuer: mark(access.map(|access| access.issuer.as_str())),
            subject: mark(access.and_then(|access| access.subject.as_deref())),
            token: mark(access.and_then(|access| access.id.as_deref())),
            subscriber: mark(subscriber),
        };
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
        self.share(reader, lifetime, marks, base, membership)
    }

    /// What a stream of the application rests on.
    pub(crate) fn for_application(&self, base: &Arc<Base>, membership: &Membership) -> Share {
        let marks = Marks::default();
        self.share(Reader::Application, Lifetime::NONE, marks, base, membership)
    }

    fn share(
        &self,
        reader: Reader,
        lifetime: Lifetime,
        marks: Marks,
        base: &Arc<Base>,
        membership: &Membership,
    ) -> Share {
        let has_patterns = has_url_patterns(&membership.interest().selection);
        let base = has_patterns.then(|| Arc::clone(base));
        let permit = self.state().permit(Ground { reader, base });
        // A configuration that comes in between has found the permit.
        permit.share(membership, lifetime, marks)
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

    /// Ends the streams of these tokens. Returns how many there are.
    pub(crate) fn end_those_of(&self, tokens: &Tokens) -> usize {
        self.end(Marks {
            issuer: mark(tokens.issuer.as_deref()),
            subject: mark(tokens.subject.as_deref()),
            token: mark(tokens.id.as_deref()),
            subscriber: 0,
        })
    }

    /// Ends the stream of a subscriber, by its id. Returns how many there are.
    pub(crate) fn end_subscriber(&self, subscriber: &str) -> usize {
        self.end(Marks {
            subscriber: mark(Some(subscriber)),
            ..Marks::default()
        })
    }

    fn end(&self, wanted: Marks) -> usize {
        if wanted == Marks::default() {
            return 0;
        }
        let state = self.state();
        let known = state.known.values();
        let open: Vec<Arc<Permit>> = known.filter_map(|known| known.permit.upgrade()).collect();
        drop(state);
        open.iter().map(|permit| permit.end(wanted)).sum()
    }

    /// Ends the streams of keys that their issuers do not publish any more.
    pub(crate) fn end_lost_keys(&self) {
        let concerned = self.state().revoke_lost();
        for permit in concerned {
            permit.ring();
        }
    }

    /// Ends all streams: their hub is not served any more.
    pub(crate) fn retire(&self) {
        let concerned = self.state().revoke_all();
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
        let place = ground.place();
        let known = self.known.get(&ground);
        let open = known.and_then(|known| Some((known.permit.upgrade()?, &known.place)));
        // Open streams may rest on a set that had the key when it became their place, and has it no more.
        if let Some((permit, now)) = &open
            && **now == place
        {
            return Arc::clone(permit);
        }
        let verdict = judge(&self.options, &self.verifier, &ground, &place);
        // The key may have been lost since it verified the token.
        let verdict = verdict.filter(|(_, place)| !ground.has_lost_key(place));
        let Some((longest, place)) = verdict.filter(|_| !self.is_retired) else {
            return Arc::new(Permit::revoked());
        };
        if let Some((permit, _)) = open {
            return permit;
        }
        let permit = Arc::new(Permit::new(longest));
        if self.known.len() >= self.look_through_at {
            self.known
                .retain(|_, known| known.permit.strong_count() > 0);
            self.trim();
        }
        let known = Known {
            permit: Arc::downgrade(&permit),
            place,
        };
        self.known.insert(ground, known);
        permit
    }

    /// Judges all permits. Returns those with streams that may have to end.
    fn judge_all(&mut self) -> Vec<Arc<Permit>> {
        let mut concerned = Vec::new();
        let (options, verifier) = (&self.options, &self.verifier);
        self.known.retain(|ground, known| {
            let Some(permit) = known.permit.upgrade() else {
                return false;
            };
            match judge(options, verifier, ground, &known.place) {
                Some((longest, place)) => {
                    known.place = place;
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

    /// Revokes the permits of keys that their issuers do not publish any more. Returns them.
    fn revoke_lost(&mut self) -> Vec<Arc<Permit>> {
        let mut revoked = Vec::new();
        self.known.retain(|ground, known| {
            let is_lost = ground.has_lost_key(&known.place);
            let permit = known.permit.upgrade().filter(|_| is_lost);
            revoked.extend(permit.inspect(|permit| permit.revoke()));
            !is_lost
        });
        revoked
    }

    /// Permits nothing any more. Returns all permits.
    fn revoke_all(&mut self) -> Vec<Arc<Permit>> {
        self.is_retired = true;
        let known = std::mem::take(&mut self.known);
        let open = known.into_values();
        let revoked: Vec<Arc<Permit>> = open.filter_map(|known| known.permit.upgrade()).collect();
        revoked.iter().for_each(|permit| permit.revoke());
        revoked
    }

    /// Gives memory back after a peak.
    fn trim(&mut self) {
        self.look_through_at = FEWEST.max(2 * self.known.len());
        self.known.shrink_to(self.look_through_at);
    }
}

impl Ground {
    fn has_lost_key(&self, place: &KeyPlace) -> bool {
        match &self.reader {
            Reader::Holder(basis, _) => basis.has_lost_key(place),
            Reader::Application | Reader::Anyone => false,
        }
    }

    /// Where the key was when the token was accepted.
    fn place(&self) -> KeyPlace {
        match &self.reader {
            Reader::Holder(basis, _) => basis.place().clone(),
            Reader::Application | Reader::Anyone => KeyPlace::default(),
        }
    }
}

/// The longest lifetime, in seconds, of a token whose stream a configuration permits (infinity without a
/// bound), and where its key is; `None` if the configuration permits no stream on this ground.
fn judge(
    options: &HubOptions,
    verifier: &Verifier,
    ground: &Ground,
    place: &KeyPlace,
) -> Option<(f64, KeyPlace)> {
    if ground
        .base
        .as_ref()
        .is_some_and(|base| **base != options.base)
    {
        return None;
    }
    let any = (f64::INFINITY, KeyPlace::default());
    match &ground.reader {
        Reader::Application => Some(any),
        Reader::Anyone => {
            // Without a subscriber key no token is asked for (B-334).
            let is_served = options.anonymous || !options.issuers.serves(Role::Subscriber);
            is_served.then_some(any)
        }
        Reader::Holder(basis, reached) => {
            let audiences = identity::audiences(options, reached.as_ref());
            let place = verifier.trusts(basis, place, &audiences)?;
            let longest = options.max_token_lifetime.as_ref();
            Some((longest.map_or(f64::INFINITY, Duration::as_secs_f64), place))
        }
    }
}

/// The number that stands for a claim or an id; zero for none.
fn mark(text: Option<&str>) -> u32 {
    text.map_or(0, |text| (hash(&text) as u32).max(1))
}

fn has_url_patterns(selection: &Selection) -> bool {
    let mut matchers = selection.matchers.iter().chain(&selection.grants);
    matchers.any(|matcher| matches!(matcher, Matcher::UrlPattern(_)))
}
