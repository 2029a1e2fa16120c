//! "Did you mean …?"

/// The candidate nearest to `word`, if it is near enough to be meant.
pub fn suggest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A long word is never near, and its distance would be costly.
    if word.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_candidate_is_suggested() {
        let names = ["heartbeat", "anonymous", "ui"];
        assert_eq!(suggest("heartbeet", names.into_iter()), Some("heartbeat"));
        assert_eq!(suggest("haertbeat", names.into_iter()), Some("heartbeat"));
        assert_eq!(suggest("anonymos", names.into_iter()), Some("anonymous"));
        assert_eq!(suggest("xyzzy", names.into_iter()), None);
    }
}
