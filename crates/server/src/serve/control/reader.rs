//! How the running program reads other configurations.

use std::path::PathBuf;

use talaria_config::adapt::Adapted;
use talaria_config::{Error, File, Loaded};

/// Reads configurations as the verb that runs the program does. Reading blocks.
pub(crate) trait Reader: Send + Sync {
    /// Reads the file again that the program was started with.
    ///
    /// # Errors
    /// It is wrong, cannot be read, or there is none.
    fn again(&self) -> Result<Configuration, Error>;

    /// The files that this file imports now, even if one of them is wrong.
    fn imports(&self) -> Vec<PathBuf>;

    /// Reads the text of a file, with the variables of the start.
    ///
    /// # Errors
    /// It is wrong.
    fn read(&self, file: File) -> Result<Configuration, Error>;

    /// The directives of a text, whether or not they mean something.
    ///
    /// # Errors
    /// It cannot be read as lines and blocks.
    fn adapt(&self, file: File) -> Result<Adapted, Error>;
}

/// A configuration that was read.
pub(crate) struct Configuration {
    /// The settings.
    pub loaded: Loaded,
    /// What they were read from.
    pub source: Source,
}

/// What a configuration was read from.
pub(crate) struct Source {
    /// Its directives; `None` if they cannot be shown without secrets.
    pub adapted: Option<Adapted>,
    /// A hash of the environment variables, which keys may come from.
    pub variables: u64,
    /// The files that it imports.
    pub imported: Vec<PathBuf>,
}

impl Source {
    /// Whether both are known to configure the same.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.adapted.is_some() && self.adapted == other.adapted && self.variables == other.variables
    }
}
