//! Where a history is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use talaria_config::guide::Page;
use talaria_config::settings::directory_of;
use talaria_config::{Error, options};
use talaria_transport::history::Directory;

use crate::cli::environment::environment;
use crate::serve::storage;

/// The flag that names a history.
#[derive(clap::Args)]
pub(super) struct Place {
    /// The `path` of `transport bolt`, or the history's directory itself; without it the default of
    /// `talaria run`.
    #[arg(short, long, value_name = "PATH")]
    path: Option<PathBuf>,
}

impl Place {
    /// The history's directory, which need not exist.
    ///
    /// # Errors
    /// The path is a directory that is not a history.
    pub(super) fn directory(&self) -> Result<PathBuf, Error> {
        let environment = environment()?;
        let path = self
            .path
            .clone()
            .unwrap_or_else(|| options::default_path(&|name| environment.get(name).cloned()));
        if !path.is_dir() {
            return Ok(directory_of(&path));
        }
        if is_history(&path) {
            return Ok(path);
        }
        Err(Error::new(format!(
            "--path {}: this directory holds no history",
            path.display()
        ))
        .remedy("name the `path` of `transport bolt`, or a directory that ends in .talaria")
        .page(Page::HISTORY))
    }

    /// The history's directory, which must exist.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn existing(&self) -> Result<Arc<Directory>, Error> {
        let directory = self.directory()?;
        if !directory.is_dir() {
            return Err(
                Error::new(format!("{}: there is no history", directory.display()))
                    .remedy("name it with --path, as `path` of `transport bolt` does")
                    .page(Page::HISTORY),
            );
        }
        storage::open_directory(&directory)
    }
}

/// Whether a directory is a history, or is to become one.
pub(super) fn is_history(path: &Path) -> bool {
    let extension = path.extension();
    path.join("manifest").is_file() || extension.is_some_and(|extension| extension == "talaria")
}
