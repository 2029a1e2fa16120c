//! `talaria dev`: a hub that makes its own credentials. Only this verb does, because a hub that no operator
//! configured must not let anyone in.

mod greeting;
mod listening;
mod own_key;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use talaria_config::draft::Draft;
use talaria_config::folders::{NO_DATA_HOME, data_home};
use talaria_config::log_variables;
use talaria_config::settings::{
    HistorySettings, IssuerSettings, KeySettings, Secret, TransportSettings,
};
use talaria_config::source::{Place, Source, SourceKind};
use talaria_config::variables::{Instead, Variables};
use talaria_config::{Error, Loaded, Notice};

use self::greeting::{greeting, publisher_token};
use self::listening::{Listening, common_url};
use self::own_key::key;
use super::environment::environment;
use super::token::DEV_ISSUER;
use super::{logging, output};
use crate::serve::trust_stores::is_container;
use crate::serve::{run, tls};

/// What `talaria dev --help` adds.
pub(super) const HELP: &str = "\
The hub listens on 127.0.0.1 unless --address says otherwise, and lets anonymous subscribers in. Its random
key is made once, in $XDG_DATA_HOME/talaria/dev.key or ~/.local/share/talaria/dev.key; what is published is
kept beside it. Once it listens, it prints on standard output the address of its playground, which is a page to try
the hub with, the `curl` commands to subscribe and to publish, a development token included, and how to make another
token for it. No variable but XDG_DATA_HOME, HOME and those of the log configures it.

Examples:
  talaria dev --port 3001
  talaria dev --https
      With a certificate of the local authority; `talaria trust` makes browsers accept it.
  docker run -p 3000:3000 <image> talaria dev --address 0.0.0.0
      In a container, reached from outside.";

/// The flags of `dev`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The IP address to listen on, with a port if wanted: 0.0.0.0 for every interface, as in a container.
    /// [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The TCP port; 0 lets the system choose. [default: 3000]
    #[arg(short, long)]
    port: Option<u16>,
    /// Speak HTTPS, with a certificate of the local authority.
    #[arg(long)]
    https: bool,
    #[command(flatten)]
    log: logging::Args,
}

/// Runs the development hub.
pub(super) fn main(args: &Args) -> ExitCode {
    let prepared = Listening::read(args.address.as_deref(), args.port, args.https)
        .and_then(|listening| Ok((prepare(&listening, &args.log)?, listening)));
    let ((loaded, key, path, root), listening) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return output::failure(error),
    };
    run::serve(loaded, move |address| {
        let greeted = publisher_token(&listening, address, &key).and_then(|token| {
            let text = greeting(&listening.url(address), &token, &path, root.as_deref());
            output::write_out(&text).map_err(output::not_written)
        });
        if let Err(error) = greeted {
            tracing::warn!(name: "greeting_failed", %error, "the commands to use the hub could not be printed");
        }
    })
}

/// Everything that the hub and its greeting need: the settings, the key, its file, and the file of the root.
type Prepared = (Loaded, Secret, PathBuf, Option<PathBuf>);

fn prepare(listening: &Listening, log: &logging::Args) -> Result<Prepared, Error> {
    let data = data_home(|name| std::env::var_os(name)).ok_or_else(|| Error::new(NO_DATA_HOME))?;
    let (mut loaded, key, path) = settings(listening, &data.join("talaria"))?;
    let mut variables = environment()?;
    log.put(&mut variables);
    let variables = Variables::new(&variables);
    let logs = &mut loaded.settings.program.log;
    log_variables::apply(logs, &|name| variables.read(name), &mut loaded.notices)?;
    loaded.notices.extend(variables.notices(Instead::Dev));
    loaded.notices.extend(openness(listening, is_container()));
    let root = match listening.https {
        true => Some(tls::directory()?.join("root.crt")),
        false => None,
    };
    Ok((loaded, key, path, root))
}

/// What to tell about a hub that other machines reach. In a container only what is published reaches it.
fn openness(listening: &Listening, is_in_container: bool) -> Option<Notice> {
    let text = format!(
        "every machine that reaches {} may subscribe and, by the playground, publish; leave --address out to listen on this machine only",
        listening.ip
    );
    match (listening.is_open(), is_in_container) {
        (false, _) => None,
        (true, true) => Some(Notice::info(text)),
        (true, false) => Some(Notice::warning(text)),
    }
}

/// The settings of the development hub: it lets anonymous subscribers in, and accepts the key in `directory` for
/// both roles. Also returns the key and its file.
///
/// # Errors
///
/// The key cannot be read or made.
fn settings(listening: &Listening, directory: &Path) -> Result<(Loaded, Secret, PathBuf), Error> {
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
    let mut draft = Draft::default();
    draft.issuers.push(issuer);
    draft.addresses.extend(listening.addresses());
    // A page under development comes from another local port, and nothing here needs protection from it.
    draft.hub.pages.playground = true;
    // Other machines and containers call the hub by names that it cannot know.
    draft.hub.accepted_audiences.push(common_url());
    draft.transport = TransportSettings::History(HistorySettings::new(directory.join("dev.db")));
    let mut loaded = draft.finish_alone()?;
    // The port of the redirects may belong to a hub that is not for development.
    loaded.settings.program.redirects = None;
    // The greeting names the command.
    loaded.settings.program.skip_install_trust = true;
    Ok((loaded, secret, path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use talaria_config::settings::Level;
    use talaria_hub::access::{Role, Verifier};
    use talaria_hub::clock::UnixTime;

    fn listening(address: &str, https: bool) -> Listening {
        Listening::read(Some(address), Some(3000), https).unwrap()
    }

    /// One random key is made once, and only its owner can read it; the printed token works under both names
    /// of the loopback interface.
    #[test]
    fn a_key_is_made_once_and_its_token_works() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("talaria");
        let local = listening("127.0.0.1", false);
        let (first, key, path) = settings(&local, &directory).unwrap();
        let (_, again, _) = settings(&local, &directory).unwrap();
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
        let token = publisher_token(&local, address, &key).unwrap();
        let options = settings_of_hub.hubs[0].options.clone();
        let verifier = Verifier::new(options.issuers, options.base, options.limits);
        let own = ["127.0.0.1", "localhost"]
            .map(|host| format!("http://{host}:3000/.well-known/mercure"));
        for audience in own.into_iter().chain(options.accepted_audiences) {
            for role in [Role::Publisher, Role::Subscriber] {
                verifier
                    .verify(
                        &token,
                        role,
                        std::slice::from_ref(&audience),
                        UnixTime::from_seconds(1_800_000_000.0),
                    )
                    .unwrap();
            }
        }
        let text = greeting(&local.url(address), &token, &path, None);
        let mint = format!(
            "talaria token --key '@{}' --iss https://localhost",
            path.display()
        );
        assert!(text.contains(&mint), "{text}");
        let commands = text.lines().filter(|line| line.starts_with("curl "));
        assert_eq!(commands.count(), 2);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            settings(&local, &directory)
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
    }

    /// Over HTTPS the names of the certificate are served, no other port is taken, and the commands name the root.
    /// Only a hub that other machines reach has a warning, which a container does not need.
    #[test]
    fn the_hub_listens_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let open = listening("0.0.0.0", true);
        let (loaded, _, path) = settings(&open, folder.path()).unwrap();
        let settings = loaded.settings;
        assert!(
            settings.sites[0]
                .addresses
                .iter()
                .all(|address| address.tls)
        );
        assert_eq!(settings.program.redirects, None);
        let text = greeting(
            "https://localhost:3000/hub",
            "t",
            &path,
            Some(Path::new("/r.crt")),
        );
        assert!(text.contains("\ntalaria trust\n"), "{text}");
        assert_eq!(text.matches("curl --cacert '/r.crt' ").count(), 2, "{text}");

        let level = |listening, is_in_container| {
            openness(listening, is_in_container).map(|notice| notice.level)
        };
        assert_eq!(level(&open, false), Some(Level::Warning));
        assert_eq!(level(&open, true), Some(Level::Info));
        assert_eq!(level(&listening("127.0.0.1", false), false), None);
    }
}
