//! The flags that say where the configuration is.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use talaria_config::{Error, File, Loaded, Notice, Sources, development, envfile, options};

use super::environment::environment;

/// Where the configuration is.
#[derive(clap::Args)]
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
}

/// What the flags lead to.
enum Found {
    /// No file: variables alone configure the hub.
    Nothing,
    File(File),
    /// The configuration that stands for a file of a well-known name which does not exist (B-092, B-093).
    BuiltIn(File, Notice),
}

impl Args {
    /// Loads the configuration; also returns the name of what configured it.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or the configuration is wrong.
    pub(super) fn load(&self) -> Result<(Loaded, String), Error> {
        let variables = self.environment()?;
        let (file, built_in) = match self.file()? {
            Found::Nothing => (None, None),
            Found::File(file) => (Some(file), None),
            Found::BuiltIn(file, notice) => (Some(file), Some(notice)),
        };
        let name = file
            .as_ref()
            .map_or_else(|| "the environment".to_owned(), |file| file.name.clone());
        let sources = Sources {
            file,
            variables: &variables,
            address: self.address.clone(),
        };
        let mut loaded = talaria_config::load(&sources)?;
        loaded.notices.splice(0..0, built_in);
        Ok((loaded, name))
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
        Ok(variables)
    }

    fn file(&self) -> Result<Found, Error> {
        if let Some(adapter) = self
            .adapter
            .as_deref()
            .filter(|adapter| *adapter != "caddyfile")
        {
            return Err(Error::new(format!("unknown adapter `{adapter}`"))
                .remedy("use `caddyfile`, or leave --adapter out"));
        }
        let standard = Path::new("Caddyfile");
        let path = match &self.config {
            Some(path) if path.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Error::new("standard input").caused_by(error))?;
                return Ok(Found::File(File {
                    name: "stdin".to_owned(),
                    text,
                }));
            }
            Some(path) => path,
            None if standard.exists() => standard,
            None => return Ok(Found::Nothing),
        };
        let name = path.display().to_string();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
        {
            return Err(
                Error::new(format!("{name}: JSON configuration is not supported yet"))
                    .remedy("write a Caddyfile"),
            );
        }
        let read = std::fs::read_to_string(path);
        if let Err(error) = &read
            && error.kind() == io::ErrorKind::NotFound
            && let Some(file) = development::file(path)
        {
            return Ok(Found::BuiltIn(
                file,
                Notice::info(development::notice(path)),
            ));
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
        Ok(Found::File(File { name, text }))
    }
}
