//! The key sets of the configuration in force: which of them go on at a reload, and which end.

use std::sync::Arc;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::key_set::KeySetSource;
use talaria_config::settings::HubSettings;
use talaria_hub::access::{Issuer, IssuerKey, Issuers};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::serve::key_sets;
use crate::serve::log::in_one_line;

/// How long a reload waits for the key sets that are new.
const FIRST: Duration = Duration::from_secs(8);

/// Keeps key sets up to date. Dropping it ends that.
#[derive(Default)]
pub(crate) struct Followers {
    followed: Vec<Follower>,
    /// Told when a set has lost a key.
    lost: Arc<Notify>,
}

/// One set, and the task that keeps it.
struct Follower {
    source: KeySetSource,
    _task: JoinSet<()>,
}

impl Followers {
    /// Told when a set has lost a key, so that its streams end.
    pub(crate) fn lost(&self) -> &Arc<Notify> {
        &self.lost
    }

    /// Lets the hubs of a configuration go on with the sets that are followed already: what their issuers publish is
    /// known, and no stream ends because it would have to be learnt again.
    ///
    /// # Errors
    /// Two issuers cannot be told apart, which was checked before.
    pub(crate) fn lend(&self, hubs: &mut [HubSettings]) -> Result<(), Error> {
        // Hubs that ask the same issuer at the same place share one set from the beginning.
        let mut all: Vec<KeySetSource> =
            self.followed.iter().map(|one| one.source.clone()).collect();
        for hub in hubs {
            let mut lent = Vec::new();
            for source in &mut hub.key_sets {
                match all.iter().find(|known| is_same(known, source)) {
                    Some(known) => {
                        let known = Arc::clone(&known.set);
                        let new = std::mem::replace(&mut source.set, Arc::clone(&known));
                        lent.push((new, known));
                    }
                    None => all.push(source.clone()),
                }
            }
            let replaced = |key: &Option<IssuerKey>| match key {
                Some(IssuerKey::Set(set)) => {
                    let known = lent.iter().find(|(new, _)| Arc::ptr_eq(new, set));
                    Some(IssuerKey::Set(known.map_or_else(
                        || Arc::clone(set),
                        |(_, known)| Arc::clone(known),
                    )))
                }
                other => other.clone(),
            };
            let issuers = hub.options.issuers.iter().map(|issuer| {
                let mut issuer: Issuer = issuer.clone();
                issuer.publisher = replaced(&issuer.publisher);
                issuer.subscriber = replaced(&issuer.subscriber);
                issuer
            });
            hub.options.issuers = Issuers::new(issuers).map_err(Error::from_cause)?;
        }
        Ok(())
    }

    /// Begins to follow the sets of these hubs that are not followed yet. Nothing ends until [`Self::keep`].
    ///
    /// # Errors
    /// The client for HTTPS cannot be set up.
    pub(crate) fn begin(&self, hubs: &[HubSettings]) -> Result<Followers, Error> {
        let mut begun: Vec<Follower> = Vec::new();
        for source in hubs.iter().flat_map(|hub| &hub.key_sets) {
            let mut followed = self.followed.iter().chain(&begun);
            if followed.any(|one| Arc::ptr_eq(&one.source.set, &source.set)) {
                continue;
            }
            let mut task = JoinSet::new();
            key_sets::follow(vec![source.clone()], &self.lost, &mut task)?;
            begun.push(Follower {
                source: source.clone(),
                _task: task,
            });
        }
        Ok(Followers {
            followed: begun,
            lost: Arc::clone(&self.lost),
        })
    }

    /// Waits until each set was fetched once, for a limited time: the keys of tokens that are in use may be among
    /// them.
    pub(crate) async fn fetched(&self) {
        let sources: Vec<KeySetSource> =
            self.followed.iter().map(|one| one.source.clone()).collect();
        if sources.is_empty() {
            return;
        }
        match timeout(FIRST, key_sets::fetch_all(&sources)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = in_one_line(&error);
                tracing::warn!(name: "key_set_pending", error, "a key set of the new configuration is not known yet");
            }
            Err(_) => {
                tracing::warn!(name: "key_set_pending", "a key set of the new configuration is not known yet")
            }
        }
    }

    /// Goes on with those that are used, and with what was begun; the others end.
    pub(crate) fn keep(&mut self, used: &[KeySetSource], begun: Followers) {
        self.followed.extend(begun.followed);
        self.followed.retain(|one| {
            let mut used = used.iter();
            used.any(|used| Arc::ptr_eq(&used.set, &one.source.set))
        });
    }
}

/// Whether both are the keys that one issuer publishes at one place.
fn is_same(one: &KeySetSource, other: &KeySetSource) -> bool {
    one.issuer == other.issuer
        && one.location == other.location
        && one.set.algorithms() == other.set.algorithms()
}
