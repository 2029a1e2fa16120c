//! What routes want done with a request's line in the access log.

/// What routes want done with the request's line in the access log.
#[derive(Default)]
pub(super) struct LogNotes {
    /// Whether it is left out.
    pub is_skipped: bool,
    /// Fields that it has besides the usual ones.
    pub appended: Vec<(String, String)>,
    /// Which logs have it, if not those of the site.
    pub names: Option<Vec<String>>,
}

impl LogNotes {
    /// Adds a field.
    pub(super) fn append(&mut self, name: &str, value: String) {
        self.appended.push((name.to_owned(), value));
    }
}
