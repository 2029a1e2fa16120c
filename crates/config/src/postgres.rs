//! The options of `transport postgres` while they are read (B-261).

pub(crate) mod conninfo;
mod encryption;
pub(crate) mod known;
mod password_file;
mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use self::encryption::Encryption;
use self::known::{Known, VARIABLES, Written};
use self::password_file::PasswordFile;
use crate::error::Error;
use crate::folders;
use crate::key;
use crate::settings::{Notice, PostgresServer, PostgresSettings, Secret};
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::tree::Line;

/// The longest name that the server has for a thing.
const NAME_BYTES: usize = 63;
/// The most seconds that connecting may take.
const MOST_SECONDS: u64 = 60;

type Done = Result<(), Error>;

/// A log on PostgreSQL whose options are being read.
#[derive(Debug)]
pub(crate) struct PostgresDraft {
    /// What is read so far; the servers follow from the parameters.
    pub(crate) settings: PostgresSettings,
    password: Option<(Secret, Place)>,
    /// The parameters of the URL, by libpq's names.
    parameters: BTreeMap<&'static str, Written>,
    /// The variables that stand for parameters which the URL does not have, by the same names.
    variables: BTreeMap<&'static str, Written>,
    home: Option<String>,
    has_url: bool,
}

impl Default for PostgresDraft {
    fn default() -> Self {
        Self {
            settings: PostgresSettings::new(Vec::new(), "", ""),
            password: None,
            parameters: BTreeMap::new(),
            variables: BTreeMap::new(),
            home: None,
            has_url: false,
        }
    }
}

impl PostgresDraft {
    /// The same, with the variables of libpq as defaults.
    pub(crate) fn in_environment(environment: Environment<'_>) -> Self {
        let set = VARIABLES.iter().filter_map(|(variable, parameter)| {
            let value = environment(variable).filter(|value| !value.is_empty())?;
            Some((*parameter, (value, Place::variable(variable))))
        });
        Self {
            variables: set.collect(),
            home: environment("HOME").filter(|home| !home.is_empty()),
            ..Self::default()
        }
    }

    /// Begins to take a URL over.
    ///
    /// # Errors
    ///
    /// There was one already.
    pub(crate) fn begin_url(&mut self, place: &Place) -> Done {
        if self.has_url {
            return Err(Error::at(&place.hidden(), "there is a second `url`")
                .remedy("name all servers in one, separated by commas"));
        }
        self.has_url = true;
        Ok(())
    }

    /// Takes a parameter of the URL over, if it is one of libpq's.
    ///
    /// # Errors
    ///
    /// The hub does not do what it asks for.
    pub(crate) fn parameter(
        &mut self,
        name: &str,
        value: &str,
        place: &Place,
    ) -> Result<bool, Error> {
        let name = match known::find(name, value, place)? {
            Some(Known::Read(name)) => name,
            Some(Known::Default) => return Ok(true),
            None => return Ok(false),
        };
        // As in libpq, what is empty is not written.
        match value.is_empty() {
            true => _ = self.parameters.remove(name),
            false => {
                let written = (value.to_owned(), place.clone());
                self.parameters.insert(name, written);
            }
        }
        Ok(true)
    }

    /// Takes `password <password>` over.
    pub(crate) fn password(&mut self, line: &Line, environment: Environment<'_>) -> Done {
        let password = key::credential(line, environment, "a password")?;
        self.password = Some((Secret::new(password), line.name.place.clone()));
        Ok(())
    }

    /// Takes `schema <name>` over.
    pub(crate) fn schema(&mut self, line: &Line) -> Done {
        let word = line.without_block()?.one("a name")?;
        let name = word.text.as_str();
        check_schema(name, "schema")
            .map_err(|(problem, remedy)| word.error(problem).remedy(remedy))?;
        self.settings.schema = name.to_owned();
        Ok(())
    }

    /// Takes `topic_index on|off` over.
    pub(crate) fn topic_index(&mut self, line: &Line) -> Done {
        let word = line.without_block()?.one("`on` or `off`")?;
        self.settings.topic_index = match word.text.as_str() {
            "on" => true,
            "off" => false,
            other => {
                return Err(word
                    .error(format!("{} is neither `on` nor `off`", show(other)))
                    .remedy("write `topic_index off` to have none"));
            }
        };
        Ok(())
    }

    fn written(&self, name: &str) -> Option<&Written> {
        self.parameters
            .get(name)
            .or_else(|| self.variables.get(name))
    }

    /// The settings; `place` is that of the transport.
    ///
    /// # Errors
    ///
    /// No server or user is named, a parameter is wrong, or two contradict each other.
    pub(crate) fn finish(
        mut self,
        place: &Place,
        notices: &mut Vec<Notice>,
    ) -> Result<PostgresSettings, Error> {
        self.settings.servers = self.servers(place)?;
        let text = |name| self.written(name).map(|(text, _)| text.clone());
        let user = text("user").ok_or_else(|| {
            Error::at(place, "`transport postgres` names no user")
                .remedy("write it in the URL, postgres://<user>@<host>/<database>, or set PGUSER")
        })?;
        let database = text("dbname").unwrap_or_else(|| user.clone());
        let name = text("application_name").or_else(|| text("fallback_application_name"));
        let parameters = text("options");
        (self.settings.user, self.settings.database) = (user, database);
        self.settings.parameters = parameters;
        if let Some(name) = name {
            self.settings.application_name = name;
        }
        if let Some((text, place)) = self.written("connect_timeout") {
            self.settings.connect_timeout = seconds(text, place)?;
        }
        if let Some((text, place)) = self.written("target_session_attrs") {
            check_target(text, place)?;
        }
        self.settings.tls = Encryption {
            written: &|name| self.written(name),
        }
        .settings()?;
        if let Some((_, key)) = &self.settings.tls.identity {
            notices.extend(folders::exposed_key(key).map(Notice::warning));
        }
        self.sign_in(notices)?;
        Ok(self.settings)
    }

    fn servers(&self, place: &Place) -> Result<Vec<PostgresServer>, Error> {
        let hosts = self.written("host");
        // The address of another host would be that of a variable.
        let addresses = match self.parameters.contains_key("host") {
            true => self.parameters.get("hostaddr"),
            false => self.written("hostaddr"),
        };
        if hosts.is_none() && addresses.is_none() {
            return Err(Error::at(place, "`transport postgres` names no server").remedy(
                "write for example `url postgres://hub@db.example/app` in its block, `?host=/run/postgresql` for the socket of this machine, or set PGHOST",
            ));
        }
        servers::all(hosts, addresses, self.written("port"))
    }

    /// Finds the password of each server.
    fn sign_in(&mut self, notices: &mut Vec<Notice>) -> Done {
        let of_url = self.parameters.get("password");
        if let (Some((_, place)), Some(_)) = (&self.password, of_url) {
            return Err(Error::at(
                place,
                "the URL has a password, and `password` is another one",
            )
            .remedy("remove one of them")
            .hide_line());
        }
        let own = self.password.take().map(|(password, _)| password);
        let one = own.or_else(|| {
            let written = self.written("password");
            written.map(|(text, _)| Secret::new(text.clone()))
        });
        if let Some(one) = one {
            for server in &mut self.settings.servers {
                server.password = Some(one.clone());
            }
            return Ok(());
        }
        let named = self.written("passfile");
        let Some(file) = PasswordFile::read(named, self.home.as_deref(), notices)? else {
            return Ok(());
        };
        let settings = &mut self.settings;
        for server in &mut settings.servers {
            let found = file.find(server, &settings.database, &settings.user);
            server.password = found.map(Secret::new);
        }
        Ok(())
    }
}

/// Checks the name of a log's schema, which is written behind `option`.
///
/// # Errors
///
/// The problem and its remedy: no log can have that schema, or other things are there.
pub fn check_schema(name: &str, option: &str) -> Result<(), (String, String)> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_plain = name.starts_with(is_letter)
        && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
        && name.len() <= NAME_BYTES;
    let problem = format!("{} cannot name the schema of a log", show(name));
    if !is_plain || name.starts_with("pg_") {
        let remedy = format!(
            "write at most {NAME_BYTES} lowercase letters, digits and underscores, not `pg_` at the beginning, for example `{option} talaria`"
        );
        return Err((problem, remedy));
    }
    let owner = match name {
        "public" => "applications have",
        "information_schema" => "the server has",
        _ => return Ok(()),
    };
    Err((
        format!("{problem}: {owner} tables and functions there"),
        format!("choose another name, for example `{option} talaria`"),
    ))
}

fn seconds(text: &str, place: &Place) -> Result<Duration, Error> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| (1..=MOST_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Error::at(
            place,
            format!("`connect_timeout` is {}, which is not a number of seconds from 1 to {MOST_SECONDS}", show(text)),
        )
        .remedy("write for example connect_timeout=5")
    })
}

/// The hub always uses the server that takes writes, so the parameter may ask for nothing else.
fn check_target(text: &str, place: &Place) -> Done {
    match text {
        "any" | "read-write" | "primary" => Ok(()),
        other => Err(Error::at(
            place,
            format!("`target_session_attrs` is {}, and a log needs a server that takes writes", show(other)),
        )
        .remedy("write target_session_attrs=read-write, or leave it out: of several servers the hub uses the one that takes writes")),
    }
}
