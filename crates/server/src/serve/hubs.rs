//! The hubs of the program, and the stores that they have or share (B-254, B-1021).

mod faces;
mod stores;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::{HubSettings, TransportSettings};
use talaria_hub::access::{Revocation, Tokens};
use talaria_hub::clock::UnixTime;
use talaria_hub::statistics::Statistics;
use talaria_hub::{Hub, HubBuilder, HubOptions};
use talaria_postgres::Rules;
use tokio::time::timeout;

use self::faces::{Face, successors};
use self::stores::close;
pub(crate) use self::stores::{Store, Wanted, open, wanted};
use crate::serve::changes::{Change, Unstored};
use crate::serve::lock::lock;
use crate::serve::revocations::{RevocationFile, refuse};

/// The name of a hub that has none.
const UNNAMED: &str = "default";

/// The hubs, in the order of the configuration.
pub(crate) struct Hubs {
    hubs: Arc<[Hub]>,
    faces: Vec<Face>,
    stores: Vec<Store>,
    /// What hubs are counted in, by their names: the numbers of a name go on whatever a reload changes.
    counted: Mutex<BTreeMap<String, Arc<Statistics>>>,
}

/// Where the store of a new configuration comes from.
enum Origin {
    /// It is open already; its place among the stores of now.
    Kept(usize),
    /// It was opened for this configuration.
    Opened(Box<Store>),
}

/// The hubs of another configuration, ready to be served.
pub(crate) struct Prepared {
    hubs: Vec<(Face, Next)>,
    stores: Vec<Origin>,
    /// Of each store, by which it takes what is published by SQL.
    rules: Vec<Rules>,
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
    /// The revocations that hubs of the same names have taken over, which their files may lack.
    carried: Vec<Unstored>,
}

impl Hubs {
    /// No hub yet.
    pub(crate) fn none() -> Self {
        Self {
            hubs: Arc::new([]),
            faces: Vec::new(),
            stores: Vec::new(),
            counted: Mutex::default(),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &Arc<[Hub]> {
        &self.hubs
    }

    /// Their names, `default` for one that has none.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.faces.iter().map(|face| face.name.as_deref());
        names.map(|name| name.unwrap_or(UNNAMED))
    }

    /// Where the revocations of each are kept.
    pub(crate) fn revocation_files(&self) -> impl Iterator<Item = Option<&RevocationFile>> {
        let stores = self.faces.iter().map(|face| self.stores.get(face.store));
        stores.map(|store| store.map(|store| store.revoked.file()))
    }

    /// How the store of each is configured.
    pub(crate) fn storages(&self) -> impl Iterator<Item = Option<&TransportSettings>> {
        let stores = self.faces.iter().map(|face| self.stores.get(face.store));
        stores.map(|store| store.map(|store| &store.settings))
    }

    /// The stores of another configuration that are not open yet.
    ///
    /// # Errors
    /// One is open with other options.
    pub(crate) fn missing(&self, stores: &[Wanted]) -> Result<Vec<Wanted>, Error> {
        let mut missing = Vec::new();
        for (store, place) in stores.iter().zip(self.places_of(stores)) {
            if place.is_some() {
                continue;
            }
            let directory = store.settings.directory();
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

    /// Where each of these stores is among those that are open. A history or a shared log is known by its place, and a store in
    /// memory by the name of its hubs: another hub must not get its updates and its subscribers.
    fn places_of(&self, stores: &[Wanted]) -> Vec<Option<usize>> {
        let mut free: Vec<usize> = (0..self.stores.len()).collect();
        let places = stores.iter().map(|wanted| {
            let is_it = |place: &usize| {
                self.stores.get(*place).is_some_and(|open| {
                    open.settings.is_same(&wanted.settings)
                        && (open.settings.is_lasting() || open.name == wanted.name)
                })
            };
            let at = free.iter().position(is_it)?;
            Some(free.remove(at))
        });
        places.collect()
    }

    /// Prepares the hubs of another configuration; `opened` are the stores that were [missing](Self::missing).
    ///
    /// # Errors
    /// A hub cannot be built.
    pub(crate) fn prepare(
        &self,
        settings: Vec<HubSettings>,
        stores: &[Wanted],
        opened: Vec<Store>,
    ) -> Result<Prepared, Error> {
        let mut opened = opened.into_iter();
        let mut origins = Vec::new();
        for place in self.places_of(stores) {
            origins.push(match place {
                Some(place) => Origin::Kept(place),
                None => {
                    let store = opened.next();
                    let store = store.ok_or_else(|| Error::new("a store was not opened"))?;
                    Origin::Opened(Box::new(store))
                }
            });
        }
        let mut hubs: Vec<(Face, Next)> = Vec::new();
        let mut bases: Vec<Option<_>> = vec![None; stores.len()];
        for hub in settings {
            let HubSettings {
                name,
                addresses,
                mut options,
                store,
                ..
            } = hub;
            let known = name.clone().unwrap_or_else(|| UNNAMED.to_owned());
            options.statistics = Arc::clone(lock(&self.counted).entry(known).or_default());
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
                            let hub = hub.map_err(Error::from_cause)?;
                            opened.revoked.restore(&hub);
                            hub
                        }
                    })
                }
                Some(Origin::Kept(_)) => Next::Options(Box::new(options)),
                None => return Err(Error::new("a hub has no store")),
            };
            let face = Face {
                name,
                addresses: addresses
                    .into_iter()
                    .map(|one| (one.host, one.port))
                    .collect(),
                store,
            };
            hubs.push((face, next));
        }
        Ok(Prepared {
            hubs,
            stores: origins,
            rules: stores.iter().map(|store| store.rules.clone()).collect(),
        })
    }

    /// Serves what was prepared. A hub whose store stays keeps its streams, except those that its new options do not
    /// permit; those of a hub that is gone end. Returns what is left over.
    pub(crate) fn install(&mut self, prepared: Prepared) -> Gone {
        let kept = |store: usize| match prepared.stores.get(store) {
            Some(Origin::Kept(place)) => Some(*place),
            _ => None,
        };
        let next: Vec<&Face> = prepared.hubs.iter().map(|(face, _)| face).collect();
        let successors = successors(&self.faces, &next, kept);
        let carried = self.carry(&prepared);
        let mut hubs: Vec<Hub> = Vec::new();
        let mut faces: Vec<Face> = Vec::new();
        for ((face, next), known) in prepared.hubs.into_iter().zip(&successors) {
            let hub = match (next, known.and_then(|place| self.hubs.get(place))) {
                (Next::Built(hub), _) => Some(hub),
                (Next::Options(options), Some(known)) => Some(known.reconfigure(*options)),
                (Next::Options(options), None) => {
                    let mut beside = faces.iter().zip(&hubs);
                    let beside = beside.find(|(other, _)| other.store == face.store);
                    let first = beside.map(|(_, hub)| hub).or_else(|| {
                        let store = kept(face.store)?;
                        let place = self.faces.iter().position(|face| face.store == store)?;
                        self.hubs.get(place)
                    });
                    first.map(|first| first.beside(*options))
                }
            };
            hubs.extend(hub);
            faces.push(face);
        }
        let is_left = |place: usize| {
            let mut stores = prepared.stores.iter();
            !stores.any(|origin| matches!(origin, Origin::Kept(kept) if *kept == place))
        };
        let mut gone = Vec::new();
        for (place, (face, hub)) in self.faces.iter().zip(self.hubs.iter()).enumerate() {
            if is_left(face.store) {
                gone.push(hub.clone());
            } else if !successors.contains(&Some(place)) {
                hub.retire();
            }
        }
        let mut open: Vec<Option<Store>> = std::mem::take(&mut self.stores)
            .into_iter()
            .map(Some)
            .collect();
        self.stores = prepared
            .stores
            .into_iter()
            .zip(prepared.rules)
            .filter_map(|(origin, rules)| {
                let store = match origin {
                    Origin::Opened(store) => *store,
                    Origin::Kept(place) => open.get_mut(place)?.take()?,
                };
                store.storage.judge_by(rules);
                Some(store)
            })
            .collect();
        self.hubs = hubs.into();
        self.faces = faces;
        Gone {
            hubs: gone,
            stores: open.into_iter().flatten().collect(),
            carried,
        }
    }

    /// Has hubs that were built refuse what hubs of their names refuse now: another transport does not make a revoked
    /// token good. Returns what their files may lack.
    fn carry(&self, prepared: &Prepared) -> Vec<Unstored> {
        let mut carried: Vec<Unstored> = Vec::new();
        for (face, next) in &prepared.hubs {
            let (Next::Built(hub), Some(Origin::Opened(store))) =
                (next, prepared.stores.get(face.store))
            else {
                continue;
            };
            let own = hub.revocations().into_iter();
            let own: HashMap<Tokens, UnixTime> = own.map(|it| (it.tokens, it.since)).collect();
            let is_newer = |entry: &Revocation| {
                own.get(&entry.tokens)
                    .is_none_or(|since| *since < entry.since)
            };
            let known = self.faces.iter().zip(self.hubs.iter());
            let known = known.filter(|(known, _)| known.name == face.name);
            let mut entries = known
                .flat_map(|(_, known)| known.revocations())
                .collect::<Vec<_>>();
            entries.retain(|entry| is_newer(entry) && refuse(hub, entry));
            if !entries.is_empty() {
                carried.push(Unstored {
                    hub: face.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
                    file: store.revoked.file().clone(),
                    change: Change::Enter(entries),
                });
            }
        }
        carried
    }

    /// Closes the stores, once nothing else holds them.
    pub(crate) async fn close(self) {
        drop(self.hubs);
        close(self.stores).await;
    }
}

impl Gone {
    /// What must be stored.
    pub(crate) fn take_carried(&mut self) -> Vec<Unstored> {
        std::mem::take(&mut self.carried)
    }

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
