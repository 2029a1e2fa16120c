//! The password file of libpq: lines of `host:port:database:user:password`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::known::Written;
use crate::error::Error;
use crate::folders::{self, KEY_BYTES};
use crate::settings::{Notice, PostgresHost, PostgresServer};

/// The folders in which libpq looks for a socket where no host is named; the file then says `localhost`.
const SOCKETS: &[&str] = &["/run/postgresql", "/var/run/postgresql", "/tmp"];

/// A password file that only its owner may read.
pub(super) struct PasswordFile {
    text: String,
}

impl PasswordFile {
    /// Reads the file that is named, else `~/.pgpass` if there is one.
    ///
    /// # Errors
    ///
    /// The file that is named cannot be read, or others may read it.
    pub(super) fn read(
        named: Option<&Written>,
        home: Option<&str>,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<Self>, Error> {
        let Some((path, place)) = named else {
            let path = home.map(|home| Path::new(home).join(".pgpass"));
            let Some(path) = path.filter(|path| path.is_file()) else {
                return Ok(None);
            };
            return match content(&path) {
                Ok(text) => Ok(Some(Self { text })),
                Err((problem, remedy)) => {
                    notices.push(Notice::warning(format!(
                        "{problem}, so it is not used; {remedy}"
                    )));
                    Ok(None)
                }
            };
        };
        let read = content(&PathBuf::from(path));
        let text = read.map_err(|(problem, remedy)| Error::at(place, problem).remedy(remedy))?;
        Ok(Some(Self { text }))
    }

    /// The password of the first line that fits.
    pub(super) fn find(
        &self,
        server: &PostgresServer,
        database: &str,
        user: &str,
    ) -> Option<String> {
        let host = match &server.host {
            PostgresHost::Name(name) => name.clone(),
            PostgresHost::Folder(path) if SOCKETS.iter().any(|known| Path::new(known) == path) => {
                "localhost".to_owned()
            }
            PostgresHost::Folder(path) => path.display().to_string(),
        };
        let wanted = [&*host, &server.port.to_string(), database, user];
        self.text.lines().find_map(|line| {
            let (fields, password) = fields(line)?;
            let fits = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
            let password = Some(password).filter(|password| !password.is_empty());
            password.filter(|_| fields.iter().zip(&wanted).all(fits))
        })
    }
}

/// The first four fields, and the password; `None` for a comment, and for a line that is not one.
fn fields(line: &str) -> Option<([String; 4], String)> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            // The password may hold colons.
            ':' if last < 4 => fields.push(String::new()),
            c => {
                let c = match c {
                    '\\' => chars.next().unwrap_or('\\'),
                    c => c,
                };
                fields.get_mut(last)?.push(c);
            }
        }
    }
    let password = fields.pop()?;
    let fields: [String; 4] = fields.try_into().ok()?;
    Some((fields, password))
}

/// The text of a file that only its owner may read, or what is wrong and what to do.
fn content(path: &Path) -> Result<String, (String, String)> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        (
            format!("the password file {shown} cannot be read: {error}"),
            "check the path and its permissions".to_owned(),
        )
    };
    let text = folders::read(path, KEY_BYTES)
        .and_then(folders::text)
        .map_err(unreadable)?;
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    match mode & 0o077 == 0 || folders::is_of_container(path) {
        true => Ok(text),
        false => Err((
            format!("other users may read the password file {shown}"),
            format!("run: chmod 600 '{shown}'"),
        )),
    }
}
