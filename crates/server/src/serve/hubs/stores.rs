//! The stores of hubs, and how they are opened and closed.

use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::{HubSettings, TransportSettings};
use talaria_hub::HubOptions;
use talaria_postgres::Rules;
use tokio::task::{JoinSet, spawn_blocking};

use crate::serve::revocations::{Kept, RevocationFile};
use crate::serve::storage::{self, Storage};

/// A store that is open.
pub(crate) struct Store {
    /// The name of its hubs.
    pub(super) name: Option<String>,
    /// How it is configured.
    pub(super) settings: TransportSettings,
    pub(super) storage: Storage,
    /// The tokens that its hubs refuse.
    pub(super) revoked: Kept,
}

/// A store of a configuration: the name of its hubs, and how it is configured.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(super) name: Option<String>,
    pub(super) settings: TransportSettings,
    /// By which it takes what is published by SQL.
    pub(super) rules: Rules,
}

/// The stores of a configuration, in its order.
pub(crate) fn wanted(hubs: &[HubSettings], stores: &[TransportSettings]) -> Vec<Wanted> {
    let each = stores.iter().enumerate().map(|(place, settings)| {
        // Hubs may share a store. The first one's rules hold, as its base does for all of them.
        let own = hubs.iter().find(|hub| hub.store == place);
        Wanted {
            name: own.and_then(|hub| hub.name.clone()),
            settings: settings.clone(),
            rules: own.map(|hub| rules(&hub.options)).unwrap_or_default(),
        }
    });
    each.collect()
}

/// How a hub judges what is published without a token.
fn rules(options: &HubOptions) -> Rules {
    Rules {
        checks: options.rule.checks(options.rule.oldest()),
        base: options.base.clone(),
        limits: options.limits.clone(),
        update_bytes: options.max_request_body_size,
    }
}

/// Opens stores; waits for the server of each at most for `patience`, if it is given.
///
/// # Errors
/// As [`storage::open`], for the first that cannot be opened.
pub(crate) async fn open(
    stores: Vec<Wanted>,
    patience: Option<Duration>,
) -> Result<Vec<Store>, Error> {
    let mut opened = Vec::new();
    for Wanted {
        name,
        settings,
        rules,
    } in stores
    {
        let storage = storage::open(settings.clone(), rules, patience).await?;
        let file = RevocationFile::of(&settings, name.as_deref());
        let revoked = spawn_blocking(move || Kept::read(file));
        opened.push(Store {
            name,
            settings,
            storage,
            revoked: revoked.await.map_err(Error::from_cause)??,
        });
    }
    Ok(opened)
}

/// Closes stores, once nothing else holds them.
pub(super) async fn close(stores: Vec<Store>) {
    // Together, so that servers that are away do not add up.
    let mut closing = JoinSet::new();
    for Store { storage, .. } in stores {
        closing.spawn(storage.close());
    }
    while closing.join_next().await.is_some() {}
}
