//! Which hub of another configuration goes on as which hub of now.

use std::collections::BTreeSet;

/// A hub that is served.
pub(super) struct Face {
    pub(super) name: Option<String>,
    /// Its hosts and ports, by which it is known among hubs that share a store.
    pub(super) addresses: BTreeSet<(Option<String>, u16)>,
    /// The place of its store.
    pub(super) store: usize,
}

/// Whether one hub goes on as another.
type Kin<'a> = &'a dyn Fn(&Face, &Face) -> bool;

/// Which hub of now each of the next ones goes on: on the store that it keeps, the one with the same addresses, else
/// one with an address of these. A hub that has its store alone before and after may have moved altogether.
pub(super) fn successors(
    faces: &[Face],
    next: &[&Face],
    kept: impl Fn(usize) -> Option<usize>,
) -> Vec<Option<usize>> {
    let mut free: Vec<usize> = (0..faces.len()).collect();
    let mut found: Vec<Option<usize>> = vec![None; next.len()];
    let same = |one: &Face, other: &Face| one.addresses == other.addresses;
    let near = |one: &Face, other: &Face| !one.addresses.is_disjoint(&other.addresses);
    let alone = |one: &Face, other: &Face| {
        let now = faces.iter().filter(|face| face.store == one.store);
        let then = next.iter().filter(|face| face.store == other.store);
        now.count() == 1 && then.count() == 1
    };
    let kinds: [Kin<'_>; 3] = [&same, &near, &alone];
    for is_kin in kinds {
        for (face, found) in next.iter().zip(&mut found) {
            let Some(store) = kept(face.store).filter(|_| found.is_none()) else {
                continue;
            };
            let fits = |place: &usize| {
                let known = faces.get(*place);
                known.is_some_and(|known| known.store == store && is_kin(known, face))
            };
            let at = free.iter().position(fits);
            *found = at.map(|at| free.remove(at));
        }
    }
    found
}
