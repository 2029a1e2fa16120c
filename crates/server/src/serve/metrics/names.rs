//! The names by which hubs are told apart.

use std::collections::BTreeMap;

use talaria_hub::Hub;

use crate::serve::control::ServedHub;

/// The hubs by name; several may have one.
pub(super) fn by_name(hubs: &[ServedHub]) -> BTreeMap<&str, Vec<&Hub>> {
    let mut named: BTreeMap<&str, Vec<&Hub>> = BTreeMap::new();
    for hub in hubs {
        named.entry(hub.name.as_str()).or_default().push(&hub.hub);
    }
    named
}
