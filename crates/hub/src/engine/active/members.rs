//! The known subscriptions, sorted by topic, in a tree that is cheap to copy.
//!
//! The table changes under the router's mutex, while lists of it are being sent to clients. So it is a
//! tree whose nodes are shared with its copies: a copy is one more reference, and a change copies the
//! few nodes on its path that a copy still shares. (The crates that do this have licences that this
//! project does not accept.)

use std::sync::Arc;

use super::document::Document;

/// The most entries of a node.
const MOST: usize = 64;
/// A node with fewer entries than this is joined with a neighbour, if both fit into one node.
const FEWEST: usize = MOST / 4;

/// Identifies a subscription of this process. Serials increase.
pub(crate) type Serial = u64;

/// A subscription that a process has announced and not ended.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) document: Arc<Document>,
    /// Whether its beginning was routed.
    pub(super) is_active: bool,
    /// `None` if another process announced it.
    pub(super) serial: Option<Serial>,
}

/// Known subscriptions by topic. A copy does not change with the original.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(Arc<Node>);

#[derive(Debug, Clone)]
enum Node {
    Leaf(Vec<Known>),
    Branch(Vec<Child>),
}

/// A part of the tree.
#[derive(Debug, Clone)]
struct Child {
    /// The least topic below `node`, or one that is less still. The topics below the first child may be
    /// less than its own.
    least: Arc<Document>,
    node: Arc<Node>,
}

impl Default for Node {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl Members {
    /// Adds a subscription, unless its topic is there.
    pub(super) fn insert(&mut self, known: Known) {
        let least = Arc::clone(&known.document);
        if let Some(right) = insert(&mut self.0, known) {
            let node = std::mem::take(&mut self.0);
            self.0 = Arc::new(Node::Branch(vec![Child { least, node }, right]));
        }
    }

    /// Takes a subscription out, if it is there.
    pub(super) fn remove(&mut self, topic: &str) -> Option<Known> {
        let removed = remove(&mut self.0, topic);
        while let Node::Branch(children) = &*self.0
            && let [only] = children.as_slice()
        {
            self.0 = Arc::clone(&only.node);
        }
        removed
    }

    /// The entry of a subscription, to be changed.
    pub(super) fn get_mut(&mut self, topic: &str) -> Option<&mut Known> {
        let mut node = &mut self.0;
        loop {
            match Arc::make_mut(node) {
                Node::Leaf(entries) => {
                    let place = place(entries, topic).ok()?;
                    return entries.get_mut(place);
                }
                Node::Branch(children) => {
                    let place = child(children, topic);
                    node = &mut children.get_mut(place)?.node;
                }
            }
        }
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Known> {
        let mut node = &self.0;
        loop {
            match &**node {
                Node::Leaf(entries) => return entries.get(place(entries, topic).ok()?),
                Node::Branch(children) => node = &children.get(child(children, topic))?.node,
            }
        }
    }

    /// The active subscription with this topic.
    pub(crate) fn active(&self, topic: &str) -> Option<&Arc<Document>> {
        let known = self.get(topic).filter(|known| known.is_active);
        known.map(|known| &known.document)
    }

    /// All subscriptions from this topic on, in order, as they are at this moment.
    pub(crate) fn from(self, topic: &str) -> MembersFrom {
        let mut path = Vec::new();
        let mut node = self.0;
        loop {
            let (next, below) = match &*node {
                Node::Leaf(entries) => {
                    let place = place(entries, topic).unwrap_or_else(|place| place);
                    (place, None)
                }
                Node::Branch(children) => {
                    let place = child(children, topic);
                    let below = children.get(place).map(|child| Arc::clone(&child.node));
                    (place + 1, below)
                }
            };
            path.push((node, next));
            match below {
                Some(below) => node = below,
                None => return MembersFrom { path },
            }
        }
    }
}

/// Subscriptions from some topic on, in order; for each whether it is active.
#[derive(Debug)]
pub(crate) struct MembersFrom {
    /// The nodes from the root down, each with the number of its next entry.
    path: Vec<(Arc<Node>, usize)>,
}

impl Iterator for MembersFrom {
    type Item = (Arc<Document>, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let known = self.next_known()?;
        Some((known.document, known.is_active))
    }
}

impl MembersFrom {
    /// The next subscription, with all that is known of it.
    pub(super) fn next_known(&mut self) -> Option<Known> {
        loop {
            let (node, next) = self.path.last_mut()?;
            let number = *next;
            *next += 1;
            let below = match &**node {
                Node::Leaf(entries) => match entries.get(number) {
                    Some(known) => return Some(known.clone()),
                    None => None,
                },
                Node::Branch(children) => {
                    let child = children.get(number);
                    child.map(|child| Arc::clone(&child.node))
                }
            };
            match below {
                Some(below) => self.path.push((below, 0)),
                None => _ = self.path.pop(),
            }
        }
    }
}

/// The place of a topic in a leaf, or the place where it would be inserted.
fn place(entries: &[Known], topic: &str) -> Result<usize, usize> {
    entries.binary_search_by(|known| known.document.topic.as_str().cmp(topic))
}

/// The child in which a topic is, if it is anywhere.
fn child(children: &[Child], topic: &str) -> usize {
    let above = children.partition_point(|child| child.least.topic.as_str() <= topic);
    above.saturating_sub(1)
}

/// Inserts what is not there; returns the right half if the node was full.
fn insert(node: &mut Arc<Node>, known: Known) -> Option<Child> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let place = place(entries, &known.document.topic).err()?;
            entries.insert(place, known);
            let right = split(entries)?;
            let least = Arc::clone(&right.first()?.document);
            let node = Arc::new(Node::Leaf(right));
            Some(Child { least, node })
        }
        Node::Branch(children) => {
            let place = child(children, &known.document.topic);
            let new = insert(&mut children.get_mut(place)?.node, known)?;
            children.insert(place + 1, new);
            let right = split(children)?;
            let least = Arc::clone(&right.first()?.least);
            let node = Arc::new(Node::Branch(right));
            Some(Child { least, node })
        }
    }
}

/// Splits off the right half of a node that is too long.
fn split<T>(entries: &mut Vec<T>) -> Option<Vec<T>> {
    (entries.len() > MOST).then(|| entries.split_off(MOST / 2))
}

fn remove(node: &mut Arc<Node>, topic: &str) -> Option<Known> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let place = place(entries, topic).ok()?;
            Some(entries.remove(place))
        }
        Node::Branch(children) => {
            let place = child(children, topic);
            let child = &mut children.get_mut(place)?.node;
            let removed = remove(child, topic);
            if child.len() < FEWEST {
                join(children, place);
            }
            removed
        }
    }
}

/// Joins a child with a neighbour, if both fit into one node.
fn join(children: &mut Vec<Child>, place: usize) {
    let fits = |left: usize| {
        let pair = children.get(left..left + 2).unwrap_or_default();
        pair.len() == 2 && pair.iter().map(|child| child.node.len()).sum::<usize>() <= MOST
    };
    let neighbours = [Some(place), place.checked_sub(1)];
    let Some(left) = neighbours.into_iter().flatten().find(|left| fits(*left)) else {
        return;
    };
    let right = Arc::unwrap_or_clone(children.remove(left + 1).node);
    let Some(left) = children.get_mut(left) else {
        return;
    };
    match (Arc::make_mut(&mut left.node), right) {
        (Node::Leaf(left), Node::Leaf(right)) => left.extend(right),
        (Node::Branch(left), Node::Branch(right)) => left.extend(right),
        // All leaves are at one depth.
        _ => {}
    }
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.len(),
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use talaria_protocol::{MatcherType, Subscription};

    use super::*;

    fn document(number: usize) -> Arc<Document> {
        let subscription = Subscription {
            matcher_type: MatcherType::Exact,
            text: format!("{number:05}"),
        };
        Arc::new(Document::new(subscription, "s".into(), None, false))
    }

    fn contents(members: &Members, from: &str) -> Vec<(String, bool)> {
        let listed = members.clone().from(from);
        listed
            .map(|(one, active)| (one.topic.clone(), active))
            .collect()
    }

    #[derive(Debug, Clone)]
    enum Operation {
        /// From a number on, this many.
        Insert(usize, usize),
        Remove(usize, usize),
        Activate(usize),
        Copy,
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let number = 0..3_000_usize;
        let count = prop_oneof![1..4_usize, 1..1_500_usize];
        prop_oneof![
            3 => (number.clone(), count.clone()).prop_map(|(from, count)| Operation::Insert(from, count)),
            3 => (number.clone(), count).prop_map(|(from, count)| Operation::Remove(from, count)),
            2 => number.prop_map(Operation::Activate),
            1 => Just(Operation::Copy),
        ]
    }

    proptest! {
        #![proptest_config(crate::engine::laws::config_of(16))]

        /// The tree is a sorted map, and its copies keep what they held.
        #[test]
        fn it_is_a_sorted_map_whose_copies_do_not_change(
            operations in vec(operation(), 1..40),
            from in 0..3_000_usize,
        ) {
            let documents: Vec<_> = (0..4_500).map(document).collect();
            let mut members = Members::default();
            let mut model: BTreeMap<String, bool> = BTreeMap::new();
            let mut copies = Vec::new();
            for operation in operations {
                match operation {
                    Operation::Insert(from, count) => for document in &documents[from..from + count] {
                        let document = Arc::clone(document);
                        model.entry(document.topic.clone()).or_insert(false);
                        members.insert(Known { document, is_active: false, serial: None });
                    },
                    Operation::Remove(from, count) => for document in &documents[from..from + count] {
                        let removed = members.remove(&document.topic);
                        let removed = removed.map(|known| known.is_active);
                        prop_assert_eq!(removed, model.remove(&document.topic));
                    },
                    Operation::Activate(number) => {
                        let topic = &documents[number].topic;
                        let known = members.get_mut(topic);
                        prop_assert_eq!(known.is_some(), model.contains_key(topic));
                        if let Some(known) = known {
                            known.is_active = true;
                            model.insert(topic.clone(), true);
                        }
                    }
                    Operation::Copy => copies.push((members.clone(), model.clone())),
                }
            }
            copies.push((members, model));
            let from = &documents[from].topic;
            for (members, model) in copies {
                for start in ["", from] {
                    let expected = model.range(start.to_owned()..);
                    let expected: Vec<_> = expected.map(|(topic, active)| (topic.clone(), *active)).collect();
                    prop_assert_eq!(contents(&members, start), expected);
                }
                prop_assert_eq!(members.active(from).is_some(), model.get(from) == Some(&true));
            }
        }
    }

    /// Nodes are freed when subscriptions leave.
    #[test]
    fn it_shrinks_after_a_peak() {
        fn nodes(node: &Node) -> usize {
            match node {
                Node::Leaf(_) => 1,
                Node::Branch(children) => {
                    1 + children
                        .iter()
                        .map(|child| nodes(&child.node))
                        .sum::<usize>()
                }
            }
        }
        let documents: Vec<_> = (0..20_000).map(document).collect();
        let mut members = Members::default();
        for document in &documents {
            let document = Arc::clone(document);
            members.insert(Known {
                document,
                is_active: true,
                serial: None,
            });
        }
        assert!(nodes(&members.0) < 20_000 / (MOST / 2) + 100);
        for (number, document) in documents.iter().enumerate() {
            if number % 100 != 0 {
                members.remove(&document.topic);
            }
        }
        assert_eq!(contents(&members, "").len(), 200);
        assert!(
            nodes(&members.0) <= 200 / (FEWEST / 2),
            "{}",
            nodes(&members.0)
        );
    }
}
