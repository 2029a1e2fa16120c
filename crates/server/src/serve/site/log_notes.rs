//! What routes want done with a request's line in the access log.

use std::sync::{Arc, Mutex};

use crate::serve::lock::lock;

/// What routes want done with the request's line in the access log, which may be written at any moment: the client may
/// leave. A clone is the same. By default there is no line.
#[derive(Clone, Default)]
pub(super) struct LogNotes(Option<Arc<Mutex<Wanted>>>);

/// What is wanted so far.
#[derive(Default)]
pub(super) struct Wanted {
    /// Whether it is left out.
    pub is_skipped: bool,
    /// Fields that it has besides the usual ones.
    pub appended: Vec<(String, String)>,
    /// Which logs have it, if not those of the site.
    pub names: Option<Vec<String>>,
    /// The user that `basic_auth` let in.
    pub user: Option<String>,
}

impl LogNotes {
    /// Those of a request that has a line.
    pub(super) fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Leaves the line out.
    pub(super) fn skip(&self) {
        self.change(|wanted| wanted.is_skipped = true);
    }

    /// Adds a field.
    pub(super) fn append(&self, name: &str, value: String) {
        self.change(|wanted| wanted.appended.push((name.to_owned(), value)));
    }

    /// Writes the line to these logs.
    pub(super) fn name(&self, names: Vec<String>) {
        self.change(|wanted| wanted.names = Some(names));
    }

    /// Names the user.
    pub(super) fn user(&self, user: &str) {
        self.change(|wanted| wanted.user = Some(user.to_owned()));
    }

    /// Whether the line is left out.
    pub(super) fn is_skipped(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|wanted| lock(wanted).is_skipped)
    }

    /// Takes what is wanted.
    pub(super) fn take(&self) -> Wanted {
        let wanted = self.0.as_ref();
        wanted
            .map(|wanted| std::mem::take(&mut *lock(wanted)))
            .unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        if let Some(wanted) = &self.0 {
            change(&mut lock(wanted));
        }
    }
}
