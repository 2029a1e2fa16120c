//! The one error type of the program: where it is, what is wrong, what to do, and what caused it.

use std::error::Error as StdError;
use std::fmt;

use crate::guide::Page;
use crate::source::Place;
use crate::text::Unset;

/// What ended a command or a start.
///
/// `Display` is the whole message for standard error, without the leading `error: `: the place and
/// what is wrong, after a colon the cause; then, each on separate lines, the line of the
/// configuration with a caret, the remedy, the notes and the page that explains more. It never shows key material. An error of
/// [`Error::all`] shows several of these, one below the other.
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
    page: Option<Page>,
    is_line_hidden: bool,
    is_absence: bool,
    notes: Vec<String>,
    /// What else is wrong.
    others: Vec<Error>,
}

/// The most errors that one message tells; one mistake may cause hundreds.
const MAX_SHOWN: usize = 50;

impl Error {
    /// An error that no single place of the configuration causes.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            place: None,
            what: what.into(),
            cause: None,
            remedy: None,
            page: None,
            is_line_hidden: false,
            is_absence: false,
            notes: Vec::new(),
            others: Vec::new(),
        }))
    }

    /// One error that tells all of `errors`, in the order of the places in each source; those without a
    /// place come last.
    ///
    /// ```
    /// use talaria_config::Error;
    ///
    /// assert!(Error::all(Vec::new()).is_ok());
    /// let both = Error::all(vec![Error::new("the first"), Error::new("the second")]);
    /// assert_eq!(both.unwrap_err().to_string(), "the first\nthe second");
    /// ```
    ///
    /// # Errors
    ///
    /// There is at least one.
    pub fn all(errors: Vec<Self>) -> Result<(), Self> {
        let mut errors: Vec<Self> = errors.into_iter().flat_map(Self::split).collect();
        // A place of each source, in the order in which the errors name them.
        let mut sources: Vec<Place> = Vec::new();
        errors.sort_by_cached_key(|error| {
            let Some(place) = &error.0.place else {
                return (usize::MAX, 0);
            };
            let known = sources.iter().position(|p| p.is_of_source_of(place));
            let source = known.unwrap_or_else(|| {
                sources.push(place.clone());
                sources.len() - 1
            });
            (source, place.start())
        });
        let mut errors = errors.into_iter();
        let Some(mut first) = errors.next() else {
            return Ok(());
        };
        first.0.others = errors.collect();
        Err(first)
    }

    /// The errors that it tells, each alone.
    fn split(mut self) -> Vec<Self> {
        let others = std::mem::take(&mut self.0.others);
        std::iter::once(self).chain(others).collect()
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

    /// Names the page that explains more.
    ///
    /// ```
    /// use talaria_config::Error;
    /// use talaria_config::guide::Page;
    ///
    /// let error = Error::new("the token has expired").page(Page::TOKENS);
    /// assert_eq!(error.to_string(), format!("the token has expired\n  see {}", Page::TOKENS));
    /// ```
    #[must_use]
    pub fn page(mut self, page: Page) -> Self {
        self.0.page = Some(page);
        self
    }

    /// Marks the error as about something that is absent, perhaps because a variable is not set.
    #[must_use]
    pub fn absence(mut self) -> Self {
        self.0.is_absence = true;
        self
    }

    /// Adds to each error what else may have caused it: `notes` if something is absent, and the variables
    /// that are not set on its line.
    #[must_use]
    pub(crate) fn explain(mut self, notes: &[String], unset: &[Unset]) -> Self {
        let others = std::mem::take(&mut self.0.others).into_iter();
        self.0.others = others.map(|other| other.explain(notes, unset)).collect();
        if self.0.is_absence {
            self.0.notes.extend_from_slice(notes);
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
        let others = std::mem::take(&mut self.0.others).into_iter();
        self.0.others = others.map(Self::hide_line).collect();
        self
    }

    fn write_alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        if let Some(page) = parts.page {
            write!(f, "\n  see {page}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_alone(f)?;
        let others = &self.0.others;
        for other in others.iter().take(MAX_SHOWN - 1) {
            f.write_str("\n")?;
            other.write_alone(f)?;
        }
        match (others.len() + 1).saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
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
            .field("others", &parts.others)
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
    use crate::source::{Source, SourceKind};

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

    /// Errors are told in the order of each source, at most 50 of them, and each is explained.
    #[test]
    fn several_errors() {
        let source = Source::new(SourceKind::File, "f", "a\nb\nc", true);
        let at = |start| Error::at(&Place::span(&source, start, 1), "wrong");
        let nested = Error::all(vec![at(2), Error::new("no place").absence()]).unwrap_err();
        let other = Error::at(&Place::variable("KEY"), "wrong");
        let all = Error::all(vec![at(4), nested, other, at(0)]).unwrap_err();
        let all = all.explain(&["a note".to_owned()], &[]);
        assert_eq!(
            all.to_string(),
            "f:1:1: wrong\nf:2:1: wrong\nf:3:1: wrong\nKEY: wrong\nno place\n  a note"
        );
        let many = Error::all((0..60).map(|n| Error::new(n.to_string())).collect());
        let many = many.unwrap_err().to_string();
        assert_eq!(many.lines().count(), 51);
        assert!(many.ends_with("\n49\nand 10 more"), "{many}");
    }
}
