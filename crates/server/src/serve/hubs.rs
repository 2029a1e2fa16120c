//! The hubs of the program, and the stores that they have or share (B-1021).

use std::sync::Arc;

use talaria_config::Error;
use talaria_config::settings::{HubSettings, TransportSettings};
use talaria_hub::{Hub, HubBuilder};

use crate::serve::storage::{self, Storage};

/// A store that is open.
pub(crate) struct Store {
    /// How it is configured.
    settings: TransportSettings,
    storage: Storage,
}

/// The hubs, in the order of the configuration.
pub(crate) struct Hubs {
    hubs: Arc<[Hub]>,
    stores: Vec<Store>,
}

/// Opens stores. Blocks.
///
/// # Errors
/// As [`storage::open`], for the first that cannot be opened.
pub(crate) fn open(stores: Vec<TransportSettings>) -> Result<Vec<Store>, Error> {
    let one = |settings| {
        let storage = storage::open(&settings)?;
        Ok(Store { settings, storage })
    };
    stores.into_iter().map(one).collect()
}

impl Hubs {
    /// Builds the hubs on their stores.
    ///
    /// # Errors
    /// A hub cannot be built.
    pub(crate) fn build(settings: Vec<HubSettings>, stores: Vec<Store>) -> Result<Self, Error> {
        let mut hubs: Vec<Hub> = Vec::new();
        let mut first: Vec<Option<Hub>> = vec![None; stores.len()];
        for HubSettings { options, store, .. } in settings {
            let missing = || Error::new("a hub has no store");
            let own = stores.get(store).ok_or_else(missing)?;
            let known = first.get_mut(store).ok_or_else(missing)?;
            let hub = match known {
                Some(_) => return Err(Error::new("hubs that share a store are not supported yet")),
                None => {
                    let transport = Arc::clone(&own.storage.transport);
                    let hub = HubBuilder::from(options).transport(transport).build();
                    let hub = hub.map_err(Error::from_cause)?;
                    *known = Some(hub.clone());
                    hub
                }
            };
            hubs.push(hub);
        }
        Ok(Self {
            hubs: hubs.into(),
            stores,
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> &Arc<[Hub]> {
        &self.hubs
    }

    /// Closes the stores, once nothing else holds them.
    pub(crate) async fn close(self) {
        drop(self.hubs);
        for Store { storage, .. } in self.stores {
            storage.close().await;
        }
    }
}
