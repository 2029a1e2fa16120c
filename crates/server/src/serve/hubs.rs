//! The hubs of the program, and the stores that they have or share (B-254, B-1021).

use std::sync::Arc;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::{HubSettings, TransportSettings};
use talaria_hub::{Hub, HubBuilder, HubOptions};
use tokio::time::timeout;

use crate::serve::storage::{self, Storage};

/// A store that is open.
pub(crate) struct Store {
    /// How it is configured.
    settings: TransportSettings,
    storage: Storage,
}

/// A hub that is served.
struct Face {
    name: Option<String>,
    /// The place of its store.
    store: usize,
}

/// The hubs, in the order of the configuration.
pub(crate) struct Hubs {
    hubs: Arc<[Hub]>,
    faces: Vec<Face>,
    stores: Vec<Store>,
}

/// Where the store of a new configuration comes from.
enum Origin {
    /// It is open already; its place among the stores of now.
    Kept(usize),
    /// It was opened for this configuration.
    Opened(Store),
}

/// The hubs of another configuration, ready to be served.
pub(crate) struct Prepared {
    hubs: Vec<(Face, Next)>,
    stores: Vec<Origin>,
}

/// A hub of another configuration.
enum Next {
    /// On a store that was opened for it.
    Built(Hub),
    /// On a store that is in use.
    Options(Box<HubOptions>),
}

/// What is not served any more.
pub(crate) struct Gone {
    hubs: Vec<Hub>,
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
    /// No hub yet.
    pub(crate) fn none() -> Self {
        Self {
            hubs: Arc::new([]),
            faces: Vec::new(),
            stores: Vec::new(),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &Arc<[Hub]> {
        &self.hubs
    }

    /// Their names, `default` for one that has none.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.faces.iter().map(|face| face.name.as_deref());
        names.map(|name| name.unwrap_or("default"))
    }

    /// The stores of another configuration that are not open yet.
    ///
    /// # Errors
    /// One is open with other options.
    pub(crate) fn missing(
        &self,
        stores: &[TransportSettings],
    ) -> Result<Vec<TransportSettings>, Error> {
        let mut missing = Vec::new();
        for store in stores {
            if self.place_of(store).is_some() {
                continue;
            }
            let directory = store.directory();
            let mut open = self.stores.iter();
            if directory.is_some() && open.any(|open| open.settings.directory() == directory) {
                let shown = directory.unwrap_or_default();
                return Err(Error::new(format!(
                    "the history {} is in use with other options of its `transport`",
                    shown.display()
                ))
                .remedy("restart the hub to change them; its clients come back and miss nothing"));
            }
            missing.push(store.clone());
        }
        Ok(missing)
    }

    fn place_of(&self, store: &TransportSettings) -> Option<usize> {
        let mut open = self.stores.iter();
        open.position(|open| open.settings.is_same(store))
    }

    /// Prepares the hubs of another configuration; `opened` are the stores that were [missing](Self::missing).
    ///
    /// # Errors
    /// A hub cannot be built.
    pub(crate) fn prepare(
        &self,
        settings: Vec<HubSettings>,
        stores: &[TransportSettings],
        opened: Vec<Store>,
    ) -> Result<Prepared, Error> {
        let mut opened = opened.into_iter();
        let mut origins = Vec::new();
        for store in stores {
            origins.push(match self.place_of(store) {
                Some(place) => Origin::Kept(place),
                None => {
                    let store = opened.next();
                    Origin::Opened(store.ok_or_else(|| Error::new("a store was not opened"))?)
                }
            });
        }
        let mut hubs: Vec<(Face, Next)> = Vec::new();
        let mut bases: Vec<Option<_>> = vec![None; stores.len()];
        for hub in settings {
            let HubSettings {
                name,
                mut options,
                store,
                ..
            } = hub;
            // Hubs of one store share the meaning of patterns too.
            if let Some(base) = bases.get_mut(store) {
                options.base = base.get_or_insert(options.base).clone();
            }
            let next = match origins.get(store) {
                Some(Origin::Opened(opened)) => {
                    let mut built = hubs.iter().filter(|(face, _)| face.store == store);
                    Next::Built(match built.next() {
                        Some((_, Next::Built(first))) => first.beside(options),
                        _ => {
                            let transport = Arc::clone(&opened.storage.transport);
                            let hub = HubBuilder::from(options).transport(transport).build();
                            hub.map_err(Error::from_cause)?
                        }
                    })
                }
                Some(Origin::Kept(_)) => Next::Options(Box::new(options)),
                None => return Err(Error::new("a hub has no store")),
            };
            hubs.push((Face { name, store }, next));
        }
        Ok(Prepared {
            hubs,
            stores: origins,
        })
    }

    /// Serves what was prepared. A hub whose store stays keeps its streams, except those that its new options do not
    /// permit. Returns what is left over.
    pub(crate) fn install(&mut self, prepared: Prepared) -> Gone {
        let mut unused: Vec<Option<usize>> = (0..self.faces.len()).map(Some).collect();
        let mut hubs = Vec::new();
        let mut faces = Vec::new();
        for (face, next) in prepared.hubs {
            let kept = match prepared.stores.get(face.store) {
                Some(Origin::Kept(place)) => Some(*place),
                _ => None,
            };
            let hub = match next {
                Next::Built(hub) => Some(hub),
                Next::Options(options) => self.change(*options, &face, kept, &mut unused),
            };
            hubs.extend(hub);
            faces.push(face);
        }
        let mut open: Vec<Option<Store>> = std::mem::take(&mut self.stores)
            .into_iter()
            .map(Some)
            .collect();
        let is_left = |place: usize| {
            let mut stores = prepared.stores.iter();
            !stores.any(|origin| matches!(origin, Origin::Kept(kept) if *kept == place))
        };
        let gone = self.faces.iter().zip(self.hubs.iter());
        let gone: Vec<Hub> = gone
            .filter(|(face, _)| is_left(face.store))
            .map(|(_, hub)| hub.clone())
            .collect();
        self.stores = prepared
            .stores
            .into_iter()
            .filter_map(|origin| match origin {
                Origin::Opened(store) => Some(store),
                Origin::Kept(place) => open.get_mut(place)?.take(),
            })
            .collect();
        self.hubs = hubs.into();
        self.faces = faces;
        Gone {
            hubs: gone,
            stores: open.into_iter().flatten().collect(),
        }
    }

    /// The hub of a store that stays, with other options: that of the same name, else one that no other hub has taken
    /// over, else a new one beside the others. `unused` holds the places of those that are left.
    fn change(
        &self,
        options: HubOptions,
        face: &Face,
        store: Option<usize>,
        unused: &mut [Option<usize>],
    ) -> Option<Hub> {
        let is_of_store = |place: usize| {
            let face = self.faces.get(place);
            face.is_some_and(|face| Some(face.store) == store)
        };
        let named = |place: usize| {
            let known = self.faces.get(place);
            known.is_some_and(|known| known.name == face.name)
        };
        let free = |slot: &&mut Option<usize>| slot.is_some_and(is_of_store);
        let is_same =
            |slot: &Option<usize>| slot.is_some_and(|place| is_of_store(place) && named(place));
        let same = unused.iter().position(is_same);
        let taken = match same {
            Some(at) => unused.get_mut(at)?.take(),
            None => unused.iter_mut().find(free).and_then(Option::take),
        };
        match taken {
            Some(place) => Some(self.hubs.get(place)?.reconfigure(options)),
            None => {
                let first = (0..self.faces.len()).find(|place| is_of_store(*place))?;
                Some(self.hubs.get(first)?.beside(options))
            }
        }
    }

    /// Closes the stores, once nothing else holds them.
    pub(crate) async fn close(self) {
        drop(self.hubs);
        close(self.stores).await;
    }
}

impl Gone {
    /// Whether something is left over.
    pub(crate) fn is_empty(&self) -> bool {
        self.hubs.is_empty() && self.stores.is_empty()
    }

    /// Ends the streams within the window, at most until `at_most`, and closes the stores.
    pub(crate) async fn end(self, window: Duration, at_most: Duration) {
        for hub in &self.hubs {
            hub.drain(window);
        }
        let drained = async {
            for hub in &self.hubs {
                hub.drained().await;
            }
        };
        _ = timeout(at_most, drained).await;
        drop(self.hubs);
        close(self.stores).await;
    }
}

async fn close(stores: Vec<Store>) {
    for Store { storage, .. } in stores {
        storage.close().await;
    }
}
