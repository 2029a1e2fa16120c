//! The options of `transport redis` while they are read (B-260).

mod address;
pub(crate) mod url;

use self::address::Named;
use crate::error::Error;
use crate::folders;
use crate::key;
use crate::pem;
use crate::settings::{
    Notice, RedisAddress, RedisCredentials, RedisPlace, RedisSettings, RedisTlsSettings, Secret,
};
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::tree::Line;

/// The port of a server that names none.
const PORT: u16 = 6379;
/// The port of a Sentinel that names none.
const SENTINEL_PORT: u16 = 26379;
/// The longest name of a log.
const NAME_BYTES: usize = 128;

/// Options that have no effect beside `url` (B-260).
pub(crate) const SAID_BY_URL: &[&str] = &["address", "addresses", "username", "password", "tls"];

type Done = Result<(), Error>;

/// A log on Redis whose options are being read.
#[derive(Debug)]
pub(crate) struct RedisDraft {
    /// What is read so far; the place is a default until a server is named.
    pub(crate) settings: RedisSettings,
    tls: RedisTlsSettings,
    is_encrypted: bool,
    /// The lines that were taken over.
    written: Vec<(&'static str, Place)>,
}

impl Default for RedisDraft {
    fn default() -> Self {
        let nowhere = RedisAddress {
            host: "localhost".to_owned(),
            port: PORT,
        };
        Self {
            settings: RedisSettings::new(RedisPlace::Address(nowhere)),
            tls: RedisTlsSettings::default(),
            is_encrypted: false,
            written: Vec::new(),
        }
    }
}

impl RedisDraft {
    /// Remembers where an option is written.
    pub(crate) fn mark(&mut self, option: &'static str, place: &Place) {
        self.written.push((option, place.clone()));
    }

    fn place_of(&self, options: &[&str]) -> Option<(&'static str, &Place)> {
        let mut written = self.written.iter().rev();
        let found = written.find(|(name, _)| options.contains(name));
        found.map(|(name, place)| (*name, place))
    }

    /// Takes `address` or `addresses` over. Several are nodes of a cluster.
    pub(crate) fn addresses(&mut self, line: &Line) -> Done {
        let words = line.without_block()?.some("an address")?;
        if let Some((name, place)) = self.place_of(&["address", "addresses"]) {
            let problem = format!("addresses are written already, with `{name}` at {place}");
            return Err(line.name.error(problem).remedy(
                "write them on one line, `addresses <host>:<port>…`, if they are nodes of one cluster",
            ));
        }
        let named = address::all(&line.name.text, words, PORT)?;
        let mut addresses = Vec::new();
        for named in &named {
            match named {
                Named::Address(address) => addresses.push(address.clone()),
                Named::Unix(_) => {}
            }
        }
        self.settings.place = match (named.as_slice(), addresses.as_slice()) {
            ([], _) => return Err(line.missing("an address")),
            ([Named::Unix(path)], _) => RedisPlace::Unix(path.clone()),
            ([Named::Address(address)], _) => RedisPlace::Address(address.clone()),
            (all, addresses) if all.len() == addresses.len() => {
                RedisPlace::Cluster(addresses.to_vec())
            }
            _ => {
                return Err(line
                    .name
                    .error("a socket is not a node of a cluster")
                    .remedy("write the socket alone, or the nodes' addresses"));
            }
        };
        Ok(())
    }

    /// Takes `sentinel <name> <host:port>…` over.
    pub(crate) fn sentinel(&mut self, line: &Line) -> Done {
        const FORM: &str = "write `sentinel <name> <host>:<port>…`: what the Sentinels call the primary, and where they are";
        let words = line.without_block()?.some("a name and addresses")?;
        let Some((name, words)) = words.split_first().filter(|(_, words)| !words.is_empty()) else {
            return Err(line.missing("addresses after the name").remedy(FORM));
        };
        // Sentinels take no other names.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.text.is_empty() || !name.text.chars().all(is_name) {
            let problem = format!("{} is not the name of a primary", show(&name.text));
            return Err(name.error(problem).remedy(FORM));
        }
        let named = address::all("sentinel", words, SENTINEL_PORT)?;
        let mut sentinels = Vec::new();
        for named in named {
            match named {
                Named::Address(address) => sentinels.push(address),
                Named::Unix(_) => {
                    return Err(line
                        .name
                        .error("a socket is not the address of a Sentinel")
                        .remedy(FORM));
                }
            }
        }
        self.settings.place = RedisPlace::Sentinel {
            name: name.text.clone(),
            sentinels,
        };
        Ok(())
    }

    /// Takes `stream <name>` over.
    pub(crate) fn stream(&mut self, line: &Line) -> Done {
        let word = line.without_block()?.one("a name")?;
        // Braces would change which part of a key decides on its slot in a cluster.
        let is_wrong = |c: char| c.is_control() || matches!(c, '{' | '}');
        if word.text.is_empty() || word.text.len() > NAME_BYTES || word.text.contains(is_wrong) {
            let problem = format!("{} cannot name a log", show(&word.text));
            return Err(word.error(problem).remedy(format!(
                "write 1 to {NAME_BYTES} bytes without braces, for example `stream mercure`"
            )));
        }
        self.settings.stream.clone_from(&word.text);
        Ok(())
    }

    /// Takes `tls` over.
    pub(crate) fn encrypt(&mut self, line: &Line) -> Done {
        line.without_block()?.at_most(0, "")?;
        self.is_encrypted = true;
        Ok(())
    }

    /// Takes `ca <file>` over.
    pub(crate) fn authorities(&mut self, line: &Line) -> Done {
        let word = line.without_block()?.one("a file")?;
        self.tls.ca = Some(pem::file(&word.place, &word.text, "CERTIFICATE")?);
        Ok(())
    }

    /// Takes `client_certificate <certificate> <key>` over.
    pub(crate) fn identity(&mut self, line: &Line) -> Done {
        const FILES: &str = "the files of a certificate and of its key";
        line.without_block()?.at_most(2, FILES)?;
        let [certificate, key] = line.args.as_slice() else {
            return Err(line
                .missing(FILES)
                .remedy("write `client_certificate <certificate> <key>`"));
        };
        self.tls.identity = Some((
            pem::file(&certificate.place, &certificate.text, "CERTIFICATE")?,
            pem::file(&key.place, &key.text, "PRIVATE KEY")?,
        ));
        Ok(())
    }

    /// The settings; `place` is that of the transport.
    ///
    /// # Errors
    ///
    /// No server is named, or two options contradict each other.
    pub(crate) fn finish(
        mut self,
        place: &Place,
        notices: &mut Vec<Notice>,
    ) -> Result<RedisSettings, Error> {
        self.check_server(place)?;
        self.check_credentials()?;
        self.check_encryption()?;
        if let Some((_, key)) = &self.tls.identity {
            notices.extend(folders::exposed_key(key).map(Notice::warning));
        }
        self.settings.tls = self.is_encrypted.then_some(self.tls);
        Ok(self.settings)
    }

    fn check_server(&self, place: &Place) -> Done {
        let addresses = self.place_of(&["address", "addresses"]);
        let sentinel = self.place_of(&["sentinel"]);
        match (addresses, sentinel) {
            (None, None) => {
                return Err(Error::at(place, "`transport redis` names no server").remedy(
                    "write for example `url redis://cache:6379` or `address cache:6379` in its block",
                ));
            }
            (Some((other, at)), Some((_, place))) => {
                return Err(Error::at(
                    place,
                    format!("both `sentinel` and `{other}` (at {at}) name a server"),
                )
                .remedy(
                    "remove one of them; the addresses of Sentinels stand behind `sentinel <name>`",
                ));
            }
            _ => {}
        }
        let is_cluster = matches!(self.settings.place, RedisPlace::Cluster(_));
        match self.place_of(&["database"]) {
            Some((_, place)) if is_cluster && self.settings.database != 0 => Err(Error::at(
                place,
                format!(
                    "several addresses are a cluster, and a cluster has no database {}",
                    self.settings.database
                ),
            )
            .remedy("remove `database`, or write one address")),
            _ => Ok(()),
        }
    }

    fn check_credentials(&self) -> Done {
        let of_sentinel = &["sentinel_username", "sentinel_password"];
        if let Some((name, place)) = self.place_of(of_sentinel)
            && !matches!(self.settings.place, RedisPlace::Sentinel { .. })
        {
            return Err(Error::at(
                place,
                format!("`{name}` is for Sentinels, and no `sentinel` is written"),
            )
            .remedy("write `sentinel <name> <host>:<port>…`, or the option without `sentinel_`")
            .hide_line());
        }
        for (name, credentials) in [
            ("username", &self.settings.credentials),
            ("sentinel_username", &self.settings.sentinel_credentials),
        ] {
            let RedisCredentials { username, password } = credentials;
            let Some((_, place)) = self.place_of(&[name]) else {
                continue;
            };
            if username.is_some() && password.is_none() {
                let password = name.replace("username", "password");
                return Err(Error::at(place, format!("`{name}` stands without `{password}`"))
                    .remedy(format!(
                        "write `{password}` too; in a URL a password alone stands behind a colon: redis://:<password>@<host>"
                    ))
                    .hide_line());
            }
        }
        Ok(())
    }

    fn check_encryption(&self) -> Done {
        if let Some((name, place)) = self.place_of(&["ca", "client_certificate"])
            && !self.is_encrypted
        {
            return Err(Error::at(
                place,
                format!("`{name}` is for TLS, and connections are not encrypted"),
            )
            .remedy("write `tls` too, or a URL that begins with rediss://"));
        }
        match self.place_of(&["tls"]) {
            Some((_, place)) if matches!(self.settings.place, RedisPlace::Unix(_)) => {
                Err(Error::at(place, "a socket of this machine speaks no TLS")
                    .remedy("remove `tls`"))
            }
            _ => Ok(()),
        }
    }
}

/// Reads the name of a user.
pub(crate) fn username(
    credentials: &mut RedisCredentials,
    line: &Line,
    environment: Environment<'_>,
) -> Done {
    credentials.username = Some(key::credential(line, environment, "the name of a user")?);
    Ok(())
}

/// Reads a password.
pub(crate) fn password(
    credentials: &mut RedisCredentials,
    line: &Line,
    environment: Environment<'_>,
) -> Done {
    let password = key::credential(line, environment, "a password")?;
    credentials.password = Some(Secret::new(password));
    Ok(())
}
