//! Says of files that are there and not served why they are not.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use talaria_protocol::error::Shown;

/// The most files that the log mentions.
const MOST: usize = 64;

/// The files that the log mentions, each once: requests repeat.
#[derive(Debug, Default)]
pub(super) struct Unserved(Mutex<HashSet<PathBuf>>);

impl Unserved {
    /// Says it of a file, and returns whether it did.
    pub(super) fn tell(&self, path: &Path, why: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = told.len() < MOST && told.insert(path.to_owned());
        if is_new {
            tracing::warn!(
                name: "file_not_served",
                reason = "file",
                path = %Shown(&path.to_string_lossy()),
                "a file is there and not served: {why}"
            );
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_named_once_and_their_number_is_bounded() {
        let unserved = Unserved::default();
        assert!(unserved.tell(Path::new("a"), "why"));
        assert!(!unserved.tell(Path::new("a"), "why"));
        let told = (0..2 * MOST).filter(|n| unserved.tell(Path::new(&n.to_string()), "why"));
        assert_eq!(told.count(), MOST - 1);
    }
}
