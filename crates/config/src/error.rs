//! The one error type of the program: where it is, what is wrong, what to do, and what caused it.

use std::error::Error as StdError;
use std::fmt;

use crate::source::Place;
use crate::text::Unset;

/// What ended a command or a start.
///
/// `Display` is the whole message for standard error, without the leading `error: `: the place and
/// what is wrong, after a colon the cause; then, each on separate lines, the line of the
/// configuration with a caret, the remedy and the notes. It never shows key material.
///
/// ```
/// use talaria_config::Error;
///
/// let cause = std::io::Error::other("the disk is full");
/// let error = Error::new("the history cannot be opened")
///     .caused_by(cause)
///     .remedy("make room, or give `transport bolt` another `path`");
/// assert_eq!(
///     error.to_string(),
///     "the history cannot be opened: the disk is full\n  make room, or give `transport bolt` another `path`"
/// );
/// ```
pub struct Error(Box<Parts>);

struct Parts {
    place: Option<Place>,
    /// What is wrong; empty if the cause says it.
    what: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    remedy: Option<String>,
    is_line_hidden: bool,
    is_absence: bool,
    notes: Vec<String>,
}

impl Error {
    /// An error that no single place of the configuration causes.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            place: None,
            what: what.into(),
            cause: None,
            remedy: None,
            is_line_hidden: false,
            is_absence: false,
            notes: Vec::new(),
        }))
    }

    /// An error at a place of the configuration.
    pub fn at(place: &Place, what: impl Into<String>) -> Self {
        let mut error = Self::new(what);
        error.0.place = Some(place.clone());
        error
    }

    /// An error whose cause says all that is wrong.
    pub fn from_cause(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new("").caused_by(cause)
    }

    /// Adds the cause. The message shows it after what is wrong, so that does not have to name it;
    /// [`StdError::source`] gives it to code that needs its type.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Marks the error as about something that is absent, perhaps because a variable is not set.
    #[must_use]
    pub fn absence(mut self) -> Self {
        self.0.is_absence = true;
        self
    }

    /// Adds what else may have caused it: `notes` if something is absent, and the variables that are
    /// not set on its line.
    #[must_use]
    pub(crate) fn explain(
        mut self,
        notes: impl IntoIterator<Item = String>,
        unset: &[Unset],
    ) -> Self {
        if self.0.is_absence {
            self.0.notes.extend(notes);
        }
        let is_here = |unset: &&Unset| {
            let place = self.0.place.as_ref();
            place.is_some_and(|place| place.is_on_line_of(&unset.place))
        };
        let problems: Vec<String> = unset.iter().filter(is_here).map(Unset::problem).collect();
        self.0.notes.extend(problems);
        self
    }

    /// Leaves out the line of the configuration, because it may hold a key.
    #[must_use]
    pub fn hide_line(mut self) -> Self {
        self.0.is_line_hidden = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
        if let Some(place) = &parts.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&parts.what)?;
        if let Some(cause) = &parts.cause {
            let colon = if parts.what.is_empty() { "" } else { ": " };
            write!(f, "{colon}{cause}")?;
        }
        let place = parts.place.as_ref().filter(|_| !parts.is_line_hidden);
        if let Some(excerpt) = place.and_then(Place::excerpt) {
            write!(f, "\n{excerpt}")?;
        }
        for line in parts.remedy.iter().chain(&parts.notes) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
        f.debug_struct("Error")
            .field("place", &parts.place)
            .field("what", &parts.what)
            .field("cause", &parts.cause)
            .field("remedy", &parts.remedy)
            .field("notes", &parts.notes)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cause follows what is wrong, or stands for it; the remedy has a separate line.
    #[test]
    fn the_parts_of_a_message() {
        let cause = || std::io::Error::other("no such file");
        let whole = Error::at(&Place::variable("KEY"), "cannot be read").caused_by(cause());
        assert_eq!(whole.to_string(), "KEY: cannot be read: no such file");
        let bare = Error::from_cause(cause()).remedy("create it");
        assert_eq!(bare.to_string(), "no such file\n  create it");
        assert!(
            bare.source()
                .is_some_and(|source| source.is::<std::io::Error>())
        );
    }
}
