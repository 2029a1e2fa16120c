//! Encrypted connections.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use talaria_postgres::{Encryption, Host, Mode, Postgres, PostgresOptions};
use talaria_transport::shared::backend::BackendError;
use tempfile::TempDir;

use crate::session::SUPERUSER;
use crate::site::{Kind, Site};
use crate::support::{Node, contents, on, until};

/// The role that may log in without encryption.
const WATCHER: &str = "watcher";

/// An authority, a server's certificate for `localhost`, and a client's.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let made = Self(tempfile::tempdir().expect("a folder can be made"));
        made.authority("ca");
        made.authority("other");
        made.certificate("server", "subjectAltName=DNS:localhost");
        made.certificate("client", "extendedKeyUsage=clientAuth");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("it was made")
    }

    fn authority(&self, name: &str) {
        let (key, file) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        openssl(
            self.0.path(),
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &file,
            ],
        );
    }

    fn certificate(&self, name: &str, extension: &str) {
        let (key, request, file) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.crt"),
        );
        let (subject, extensions) = (format!("/CN={name}"), format!("{name}.ext"));
        std::fs::write(self.path(&extensions), extension).expect("the folder can be written");
        openssl(
            self.0.path(),
            &[
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &request,
            ],
        );
        openssl(
            self.0.path(),
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                &extensions,
                "-out",
                &file,
            ],
        );
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let made = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// A server that offers encryption, and the certificates. With `demands`, it takes no other connections by TCP.
async fn encrypted(demands: &str) -> (Site, Certificates) {
    let made = Certificates::make();
    let server = Site::start(Kind::Direct);
    let folder = server.folder();
    for name in ["server.crt", "server.key", "ca.crt"] {
        let path = folder.join(name);
        std::fs::copy(made.path(name), &path).expect("the folder can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .expect("it is ours");
        server.give(&path);
    }
    for (setting, name) in [
        ("ssl_cert_file", "server.crt"),
        ("ssl_key_file", "server.key"),
        ("ssl_ca_file", "ca.crt"),
    ] {
        let path = folder.join(name);
        server.set_at_last(setting, &path.to_string_lossy()).await;
    }
    server.set_at_last("ssl", "on").await;
    server.run_sql(&format!("CREATE ROLE {WATCHER} SUPERUSER LOGIN"));
    let loaded = || async { server.ask_as(WATCHER, SUPERUSER, "SELECT pg_conf_load_time()") };
    let before = loaded().await;
    let rules = format!("host all {WATCHER} 127.0.0.1/32 trust\n{demands}\n");
    std::fs::write(folder.join("data/pg_hba.conf"), rules).expect("it can be written");
    server.run_sql("SELECT pg_reload_conf()");
    let now = until("the rules are in force", loaded, |now| *now != before).await;
    assert!(now.is_ok(), "{now:?}");
    (server, made)
}

fn options(server: &Site, host: &str, mode: Mode, ca: Option<Vec<u8>>) -> PostgresOptions {
    let mut options = on(server);
    options.servers[0].host = Host::Name(host.to_owned());
    options.encryption = Encryption {
        mode,
        ca,
        certificate: None,
    };
    options
}

async fn survey(options: PostgresOptions) -> Result<(), BackendError> {
    Postgres::new(options)?.survey().await.map(drop)
}

fn is_fatal(found: &Result<(), BackendError>, problem: &str) {
    let fits =
        matches!(found, Err(BackendError::Fatal { problem: said, .. }) if said.contains(problem));
    assert!(fits, "{found:?} instead of {problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_demand_what_libpq_demands() {
    let (server, made) = encrypted("hostssl all all 127.0.0.1/32 trust").await;
    let (ca, other) = (Some(made.bytes("ca.crt")), Some(made.bytes("other.crt")));
    let local = "127.0.0.1";
    for (host, mode, ca) in [
        (local, Mode::Prefer, None),
        (local, Mode::Require, None),
        (local, Mode::Require, ca.clone()),
        (local, Mode::VerifyCa, ca.clone()),
        ("localhost", Mode::VerifyFull, ca.clone()),
    ] {
        let found = survey(options(&server, host, mode, ca)).await;
        assert_eq!(found, Ok(()), "{host} {mode:?}");
    }
    let mut addressed = options(&server, "localhost", Mode::VerifyFull, ca.clone());
    addressed.servers[0].address = Some([127, 0, 0, 1].into());
    assert_eq!(survey(addressed).await, Ok(()));
    for (host, mode, ca, problem) in [
        (local, Mode::Disable, None, "no pg_hba.conf entry"),
        (local, Mode::VerifyFull, ca.clone(), "certificate"),
        (local, Mode::Require, other.clone(), "certificate"),
        (local, Mode::VerifyCa, other.clone(), "certificate"),
        ("localhost", Mode::VerifyFull, other, "certificate"),
        ("localhost", Mode::VerifyFull, None, "certificate"),
    ] {
        is_fatal(&survey(options(&server, host, mode, ca)).await, problem);
    }
    let mut node = Node::enter(options(&server, local, Mode::Require, ca), 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'talaria' AND NOT ssl";
    assert_eq!(server.ask_as(WATCHER, SUPERUSER, plain), Ok("0".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_encryption_is_refused_if_it_is_demanded() {
    let server = Site::start(Kind::Direct);
    let found = survey(options(&server, "127.0.0.1", Mode::Require, None)).await;
    is_fatal(&found, "no encrypted connection");
    let found = survey(options(&server, "127.0.0.1", Mode::Prefer, None)).await;
    assert_eq!(found, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_certificate_which_may_be_renewed() {
    let (server, made) = encrypted("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca").await;
    let mut options = options(&server, "127.0.0.1", Mode::Require, None);
    assert!(survey(options.clone()).await.is_err());
    let pair = (made.bytes("client.crt"), made.bytes("client.key"));
    let renewed = Encryption {
        mode: Mode::Require,
        ca: None,
        certificate: Some(pair),
    };
    let is_renewed = Arc::new(AtomicBool::new(false));
    let (asked, before) = (Arc::clone(&is_renewed), options.encryption.clone());
    options.encryption_again = Some(Arc::new(move || {
        Ok(match asked.load(Ordering::Relaxed) {
            true => renewed.clone(),
            false => before.clone(),
        })
    }));
    let backend = Postgres::new(options).expect("the options can be used");
    assert!(backend.survey().await.is_err());
    is_renewed.store(true, Ordering::Relaxed);
    assert!(backend.survey().await.is_ok());
}
