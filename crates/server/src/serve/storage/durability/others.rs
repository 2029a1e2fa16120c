//! How many nodes share a log.

/// How many of the `members` of a log are other nodes, in words.
pub(super) fn others(members: u64) -> String {
    match members.saturating_sub(1) {
        0 => "no other node".to_owned(),
        1 => "1 other node".to_owned(),
        more => format!("{more} other nodes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nodes that are there besides this one are counted.
    #[test]
    fn other_nodes_are_counted() {
        for (members, expected) in [
            (0, "no other node"),
            (1, "no other node"),
            (2, "1 other node"),
            (3, "2 other nodes"),
        ] {
            assert_eq!(others(members), expected);
        }
    }
}
