//! Which hubs share a store (B-254, B-1021).

use talaria_hub::Rule;

use crate::error::Error;
use crate::finish::Finished;
use crate::settings::TransportSettings;
use crate::source::Place;

/// A store, and the first hub that has it.
struct Store<'a> {
    name: Option<String>,
    rule: Rule,
    transport: TransportSettings,
    place: &'a Place,
}

/// Gives each hub, whose block stands at a place, the place of its store, and returns the stores.
///
/// Hubs of one name share a store, and so do hubs without a name that serve Mercure 0.x and whose transports are
/// the same.
///
/// # Errors
///
/// Each hub that cannot be told from an earlier one, or whose store is that of another hub.
pub(super) fn share(hubs: &mut [(Place, Finished)]) -> Result<Vec<TransportSettings>, Error> {
    let mut stores: Vec<Store<'_>> = Vec::new();
    let mut errors = Vec::new();
    for (place, finished) in hubs {
        match place_of(&stores, finished, place) {
            Ok(Some(shared)) => finished.hub.store = shared,
            Ok(None) => {
                finished.hub.store = stores.len();
                stores.push(Store {
                    name: finished.hub.name.clone(),
                    rule: finished.hub.options.rule,
                    transport: finished.transport.clone(),
                    place,
                });
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)?;
    Ok(stores.into_iter().map(|store| store.transport).collect())
}

/// The place of the store that a hub shares with an earlier one; `None` if it has its own.
fn place_of(
    stores: &[Store<'_>],
    finished: &Finished,
    place: &Place,
) -> Result<Option<usize>, Error> {
    let name = &finished.hub.name;
    let is_older = finished.hub.options.rule == Rule::Classic;
    let both_older = |store: &Store<'_>| is_older && store.rule == Rule::Classic;
    for (index, store) in stores.iter().enumerate() {
        let is_same = store.transport.is_same(&finished.transport);
        let shared = |problem: String, remedy: &str| Err(Error::at(place, problem).remedy(remedy));
        match (name, &store.name) {
            (Some(one), Some(other)) if one == other && is_same => return Ok(Some(index)),
            (Some(one), Some(other)) if one == other => {
                return shared(
                    format!(
                        "this hub and that of {} have the name {one:?}, and their transports differ",
                        store.place
                    ),
                    "give both the same `transport`, or another `name`",
                );
            }
            (None, None) if both_older(store) && is_same => return Ok(Some(index)),
            (None, None) if !both_older(store) => {
                return shared(
                    format!("this hub and that of {} have no name", store.place),
                    "write `name <label>` in the block of one of them; hubs of one name share their updates",
                );
            }
            _ => {}
        }
        if store.transport.is_in_place_of(&finished.transport) {
            let example = match store.transport {
                TransportSettings::Redis(_) => "`stream other` in its `transport`",
                TransportSettings::Postgres(_) => "`schema other` in its `transport`",
                _ => "`transport bolt { path other.db }` with each brace at its line's end",
            };
            return shared(
                format!(
                    "this hub and that of {} keep their history in the same place",
                    store.place
                ),
                &format!(
                    "give one of them another store, for example {example}, or give both the same `name` and `transport`"
                ),
            );
        }
    }
    Ok(None)
}
