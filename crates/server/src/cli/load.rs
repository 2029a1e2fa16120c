//! The flags that say where the configuration is.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use talaria_config::adapt::{self, Adapted};
use talaria_config::settings::AdminSettings;
use talaria_config::{Error, File, Loaded, Notice, Sources, development, envfile, options};

use super::environment::environment;
use super::logging;
use crate::serve::control::{Configuration, Reader, Source};

/// The file that is used unless one is named.
const STANDARD: &str = "Caddyfile";

/// Where the configuration is.
#[derive(Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The configuration file, `-` for standard input; without it ./Caddyfile if that exists, else
    /// the environment alone.
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The format of the file; only `caddyfile` is known.
    #[arg(short, long, value_name = "NAME", requires = "config")]
    adapter: Option<String>,
    /// A file of NAME=value lines, for variables that are not set; repeatable.
    #[arg(long, value_name = "PATH")]
    envfile: Vec<PathBuf>,
    #[arg(long, value_name = "ADDRESSES", help = options::flag_help("address"), long_help = None)]
    address: Option<String>,
    #[command(flatten)]
    log: logging::Args,
}

impl Args {
    /// Loads the configuration; also returns the name of what configured it.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or the configuration is wrong.
    pub(super) fn load(&self) -> Result<(Loaded, String), Error> {
        let file = self.file()?;
        let name = file
            .as_ref()
            .map_or_else(|| "the environment".to_owned(), |file| file.name.clone());
        Ok((self.read(file)?.loaded, name))
    }

    /// Loads this file, or, without one, what the environment configures.
    ///
    /// # Errors
    ///
    /// The configuration is wrong.
    pub(super) fn read(&self, file: Option<File>) -> Result<Configuration, Error> {
        let variables = self.environment()?;
        let sources = Sources {
            file,
            variables: &variables,
            address: self.address.clone(),
        };
        let mut loaded = talaria_config::load(&sources)?;
        let named = self.path().filter(|path| !path.exists());
        if let (Some(path), Some(file)) = (named, &sources.file)
            && development::file(&path).is_some_and(|built_in| built_in.name == file.name)
        {
            let notice = Notice::info(development::notice(&path));
            loaded.notices.insert(0, notice);
        }
        let source = Source {
            // It fails where a variable with the name of a secret holds a part of the file's structure.
            adapted: adapt::adapt(&sources).ok(),
            variables: hash(&variables),
            imported: loaded.imported.clone(),
        };
        Ok(Configuration { loaded, source })
    }

    /// The directives of this file, or of what the environment configures.
    ///
    /// # Errors
    ///
    /// The text cannot be read as lines and blocks.
    pub(super) fn adapt(&self, file: Option<File>) -> Result<Adapted, Error> {
        adapt::adapt(&Sources {
            file,
            variables: &self.environment()?,
            address: self.address.clone(),
        })
    }

    /// What the configuration says about the admin listener; what `CADDY_ADMIN` says, or else the default, if it
    /// cannot be read.
    ///
    /// # Errors
    ///
    /// `CADDY_ADMIN` or a file of variables is wrong.
    pub(super) fn admin(&self) -> Result<AdminSettings, Error> {
        let variables = self.environment()?;
        let sources = |file| Sources {
            file,
            variables: &variables,
            address: None,
        };
        match self
            .file()
            .and_then(|file| adapt::admin_settings(&sources(file)))
        {
            Ok(settings) => Ok(settings),
            // The verb that needs the file says what is wrong with it.
            Err(_) => adapt::admin_settings(&sources(Some(File {
                name: String::new(),
                text: String::new(),
            }))),
        }
    }

    /// The path of the configuration file; `None` for standard input and the environment.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let standard = Path::new(STANDARD);
        match &self.config {
            Some(_) if self.reads_standard_input() => None,
            Some(path) => Some(path.clone()),
            None => standard.exists().then(|| standard.to_owned()),
        }
    }

    /// The flags of a verb that names a file alone.
    pub(super) fn of_file(config: Option<PathBuf>, adapter: Option<String>) -> Self {
        Self {
            config,
            adapter,
            envfile: Vec::new(),
            address: None,
            log: logging::Args::default(),
        }
    }

    /// Whether the configuration comes from standard input.
    pub(super) fn reads_standard_input(&self) -> bool {
        self.config
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
    }

    /// The variables of the process and, if it does not set them, those of the files of `--envfile` in order.
    fn environment(&self) -> Result<HashMap<String, String>, Error> {
        let mut variables = environment()?;
        for path in &self.envfile {
            let name = path.display();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::new(name.to_string())
                    .caused_by(error)
                    .remedy("give --envfile a readable file")
            })?;
            let read = envfile::parse(&text)
                .map_err(|(line, problem)| Error::new(format!("{name}:{line}:1: {problem}")))?;
            for (variable, value) in read {
                variables.entry(variable).or_insert(value);
            }
        }
        self.log.put(&mut variables);
        Ok(variables)
    }

    /// Reads the configuration file; `None` if the environment configures.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not a Caddyfile.
    pub(super) fn file(&self) -> Result<Option<File>, Error> {
        if let Some(adapter) = self
            .adapter
            .as_deref()
            .filter(|adapter| *adapter != "caddyfile")
        {
            return Err(Error::new(format!("unknown adapter `{adapter}`"))
                .remedy("use `caddyfile`, or leave --adapter out"));
        }
        if self.reads_standard_input() {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Error::new("standard input").caused_by(error))?;
            return Ok(Some(File {
                name: "stdin".to_owned(),
                text,
            }));
        }
        let Some(path) = self.path() else {
            return Ok(None);
        };
        let name = path.display().to_string();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
        {
            return Err(
                Error::new(format!("{name}: JSON configuration is not supported yet"))
                    .remedy("write a Caddyfile; `talaria adapt` shows what it says as JSON"),
            );
        }
        let read = std::fs::read_to_string(&path);
        if let Err(error) = &read
            && error.kind() == io::ErrorKind::NotFound
            && let Some(file) = development::file(&path)
        {
            return Ok(Some(file));
        }
        let text = read.map_err(|error| {
            Error::new(name.as_str())
                .caused_by(error)
                .remedy("give --config a readable text file")
        })?;
        let text = text
            .strip_prefix('\u{feff}')
            .map(str::to_owned)
            .unwrap_or(text);
        Ok(Some(File { name, text }))
    }
}

/// A hash by which variables are compared, so that none of them need be kept.
fn hash(variables: &HashMap<String, String>) -> u64 {
    let mut sorted: Vec<_> = variables.iter().collect();
    sorted.sort_unstable();
    let mut hasher = DefaultHasher::new();
    sorted.hash(&mut hasher);
    hasher.finish()
}

impl Reader for Args {
    fn again(&self) -> Result<Configuration, Error> {
        match self.path() {
            Some(_) => self.read(self.file()?),
            None => Err(
                Error::new("the hub was not started with a configuration file")
                    .remedy("name one by `talaria run --config`, or restart the hub"),
            ),
        }
    }

    fn imports(&self) -> Vec<PathBuf> {
        let (Ok(file), Ok(variables)) = (self.file(), self.environment()) else {
            return Vec::new();
        };
        adapt::imports(&Sources {
            file,
            variables: &variables,
            address: None,
        })
    }

    fn read(&self, file: File) -> Result<Configuration, Error> {
        self.read(Some(file))
    }

    fn adapt(&self, file: File) -> Result<Adapted, Error> {
        self.adapt(Some(file))
    }
}
