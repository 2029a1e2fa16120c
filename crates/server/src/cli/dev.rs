//! `talaria dev`: a hub that makes its own credentials. Only this verb does, because a hub that no operator
//! configured must not let anyone in.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use talaria_config::draft::Draft;
use talaria_config::folders::{self, NO_DATA_HOME, data_home};
use talaria_config::levels::{Levels, VARIABLE};
use talaria_config::settings::{
    HistorySettings, IssuerSettings, KeySettings, ListenAddress, Secret, TransportSettings,
};
use talaria_config::source::{Place, Source, SourceKind};
use talaria_config::variables::{Instead, Variables};
use talaria_config::{Error, Loaded, Notice};
use talaria_hub::access::SigningKey;
use talaria_hub::origin::Origins;

use super::environment::environment;
use super::output;
use super::token::{DEV_EXPIRY, DEV_ISSUER, uuid};
use crate::serve::run;

/// What `talaria dev --help` adds.
pub(super) const HELP: &str = "\
The hub listens on 127.0.0.1 only and lets anonymous subscribers in. Its random key is made once, in
$XDG_DATA_HOME/talaria/dev.key or ~/.local/share/talaria/dev.key; what is published is kept beside it.
Once it listens, it prints on standard
output the `curl` commands to subscribe and to publish, a development token included, and how to make
another token for it. No variable but XDG_DATA_HOME, HOME and RUST_LOG configures it.

Example:
  talaria dev --port 3001";

/// The flags of `dev`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The TCP port on 127.0.0.1; 0 lets the system choose.
    #[arg(short, long, default_value_t = 3000)]
    port: u16,
}

/// Runs the development hub.
pub(super) fn main(args: &Args) -> ExitCode {
    let loaded = data_home(|name| std::env::var_os(name))
        .ok_or_else(|| Error::new(NO_DATA_HOME))
        .and_then(|data| settings(args.port, &data.join("talaria")))
        .and_then(|loaded| Ok((loaded, environment()?)))
        .and_then(|(loaded, variables)| {
            let (mut loaded, key, path) = loaded;
            loaded.settings.program.log = levels(&variables, &mut loaded.notices)?;
            Ok((loaded, key, path, variables))
        });
    let (mut loaded, key, path, variables) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return output::failure(error),
    };
    let notices = Variables::new(&variables).notices(Instead::Dev);
    loaded.notices.extend(notices);
    run::serve(loaded, move |address| {
        let greeted = publisher_token(address, &key).and_then(|token| {
            output::write_out(&greeting(address, &token, &path)).map_err(output::not_written)
        });
        if let Err(error) = greeted {
            tracing::warn!(%error, "the commands to use the hub could not be printed");
        }
    })
}

fn levels(variables: &HashMap<String, String>, notices: &mut Vec<Notice>) -> Result<Levels, Error> {
    let value = variables.get(VARIABLE).map_or("", String::as_str);
    Levels::parse(value, notices)
}

/// The settings of the development hub: it listens on 127.0.0.1, lets anonymous subscribers in, and accepts
/// the key in `directory` for both roles. Also returns the key and its file.
///
/// # Errors
///
/// The key cannot be read or made.
pub(super) fn settings(port: u16, directory: &Path) -> Result<(Loaded, Secret, PathBuf), Error> {
    let (secret, path) = key(directory)?;
    let place = Place::whole(Source::new(
        SourceKind::File,
        &path.display().to_string(),
        "",
        true,
    ));
    let key = KeySettings {
        material: secret.clone(),
        algorithm: None,
        place: place.clone(),
        algorithm_place: None,
    };
    let issuer = IssuerSettings {
        judges_unnamed: true,
        publisher: Some(key.clone().into()),
        subscriber: Some(key.into()),
        ..IssuerSettings::new(DEV_ISSUER, place)
    };
    // Every host is served, so that `localhost` and a forwarded port work too; other machines do not reach
    // the loopback interface.
    let address = ListenAddress {
        host: None,
        bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port,
        tls: false,
    };
    let mut draft = Draft::default();
    draft.issuers.push(issuer);
    draft.addresses.push(address);
    draft.hub.anonymous = true;
    // A page under development comes from another local port, and nothing here needs protection from it.
    draft.hub.cors_origins = Some(Origins::parse(&["*"]).map_err(Error::from_cause)?);
    draft.transport = TransportSettings::History(HistorySettings::new(directory.join("dev.db")));
    let loaded = draft.finish_alone()?;
    Ok((loaded, secret, path))
}

/// The key in `directory`, made if there is none.
fn key(directory: &Path) -> Result<(Secret, PathBuf), Error> {
    let path = directory.join("dev.key");
    let shown = path.display();
    let failed = |error: io::Error| {
        Error::new(shown.to_string())
            .caused_by(error)
            .remedy("set XDG_DATA_HOME to a writable directory")
    };
    match folders::read_own(&path, folders::KEY_BYTES).and_then(folders::text) {
        Ok(text) => {
            let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(Error::new(format!("{shown}: others may read this key"))
                    .remedy(format!("run: chmod 600 '{shown}'")));
            }
            let text = text.trim();
            if text.len() < 32 {
                return Err(
                    Error::new(format!("{shown}: this is not a key of 32 bytes or more"))
                        .remedy("remove the file"),
                );
            }
            return Ok((Secret::new(text.to_owned()), path));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::new(format!("no random numbers: {error}")))?;
    let text = BASE64_URL_SAFE_NO_PAD.encode(random);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    // The key is written under another name and linked, so that a hub that starts at the same moment
    // never reads half a key nor replaces ours.
    let draft = directory.join(format!("dev.key.{}", std::process::id()));
    let written = folders::create_own(&draft, 0o600)
        .and_then(|mut file| writeln!(file, "{text}"))
        .and_then(|()| fs::hard_link(&draft, &path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok((Secret::new(text), path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => key(directory),
        Err(error) => Err(failed(error)),
    }
}

/// A token that may publish and subscribe to everything on the hub at `address`.
///
/// # Errors
///
/// The token cannot be signed.
pub(super) fn publisher_token(address: SocketAddr, key: &Secret) -> Result<String, Error> {
    let claims = json!({
        "iss": DEV_ISSUER,
        "aud": [hub_url("127.0.0.1", address), hub_url("localhost", address)],
        "sub": uuid(),
        "client_id": DEV_ISSUER,
        "exp": DEV_EXPIRY,
        "jti": uuid(),
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
        }],
    });
    SigningKey::parse(key.expose(), None)
        .and_then(|key| key.sign(&claims))
        .map_err(Error::from_cause)
}

/// The hub's URL as a client writes it, without the default port.
fn hub_url(host: &str, address: SocketAddr) -> String {
    match address.port() {
        80 => format!("http://{host}/.well-known/mercure"),
        port => format!("http://{host}:{port}/.well-known/mercure"),
    }
}

/// What is printed once the hub listens; `key` is the path of its key.
pub(super) fn greeting(address: SocketAddr, publisher_token: &str, key: &Path) -> String {
    let url = hub_url("127.0.0.1", address);
    // Within single quotes a shell changes nothing but a single quote.
    let key = key.display().to_string().replace('\'', r"'\''");
    format!(
        "A hub for development listens on {url}\n\n\
         Subscribe, in one terminal:\n\n\
         curl -N '{url}?match=https://example.com/books/1'\n\n\
         Publish, in another:\n\n\
         curl -H 'Authorization: Bearer {publisher_token}' -d topic=https://example.com/books/1 -d data=Hello {url}\n\n\
         Make another token for this hub:\n\n\
         talaria token --key '@{key}' --iss {DEV_ISSUER} --aud {url} --subscribe https://example.com/books/1\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use talaria_hub::access::{Role, Verifier};
    use talaria_hub::clock::UnixTime;

    /// One random key is made once, and only its owner can read it; the printed token works under both names
    /// of the loopback interface.
    #[test]
    fn a_key_is_made_once_and_its_token_works() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("talaria");
        let (first, key, path) = settings(3000, &directory).unwrap();
        let (_, again, _) = settings(3000, &directory).unwrap();
        assert!(key == again && key.expose().len() >= 43);
        assert_eq!(path, directory.join("dev.key"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);

        let settings_of_hub = first.settings;
        assert!(settings_of_hub.hubs[0].options.anonymous && first.notices.is_empty());
        assert_eq!(
            settings_of_hub.sites[0].addresses[0].bind,
            [IpAddr::V4(Ipv4Addr::LOCALHOST)]
        );
        let address = "127.0.0.1:3000".parse().unwrap();
        let token = publisher_token(address, &key).unwrap();
        let options = settings_of_hub.hubs[0].options.clone();
        let verifier = Verifier::new(options.issuers, options.base, options.limits);
        for host in ["127.0.0.1", "localhost"] {
            let audience = [format!("http://{host}:3000/.well-known/mercure")];
            for role in [Role::Publisher, Role::Subscriber] {
                verifier
                    .verify(
                        &token,
                        role,
                        &audience,
                        UnixTime::from_seconds(1_800_000_000.0),
                    )
                    .unwrap();
            }
        }
        let greeting = greeting(address, &token, &path);
        let mint = format!(
            "talaria token --key '@{}' --iss https://localhost",
            path.display()
        );
        assert!(greeting.contains(&mint), "{greeting}");
        assert_eq!(
            greeting
                .lines()
                .filter(|line| line.starts_with("curl "))
                .count(),
            2
        );

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            settings(3000, &directory)
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
    }
}
