//! The tree of the directives of a configuration.

use std::fmt;

/// One line of a configuration, and the lines in its braces.
#[derive(Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its first word: the name of a directive, or an address of a site.
    pub name: String,
    /// Its other words.
    pub args: Vec<String>,
    /// The lines between its braces, if it has any.
    pub block: Option<Vec<Directive>>,
}

impl fmt::Debug for Directive {
    /// Without the arguments, which may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directive")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A whole configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adapted {
    /// The global options.
    pub global: Vec<Directive>,
    /// The sites; a file without braces around its site has the lines of the site here.
    pub lines: Vec<Directive>,
}
