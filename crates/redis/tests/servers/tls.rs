//! Encrypted connections.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use talaria_conformance::servers::{Program, Redis as Server};
use talaria_redis::{Place, Redis, RedisOptions, RedisTls, Survey};
use talaria_transport::shared::backend::BackendError;
use tempfile::TempDir;

use crate::support::{Node, contents};

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

    /// A server that speaks TLS alone.
    fn serve(&self, clients: &str) -> Server {
        let [certificate, key, ca] = ["server.crt", "server.key", "ca.crt"]
            .map(|name| self.path(name).to_str().expect("it is UTF-8").to_owned());
        Server::with(
            Program::Redis7,
            &[
                "--port",
                "0",
                "--tls-port",
                "{port}",
                "--tls-auth-clients",
                clients,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-ca-cert-file",
                &ca,
            ],
        )
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

fn options(server: &Server, host: &str, tls: RedisTls) -> RedisOptions {
    let place = Place::Address {
        host: host.to_owned(),
        port: server.port(),
    };
    let mut options = RedisOptions::new(place, "hub");
    options.tls = Some(tls);
    options
}

async fn survey(options: RedisOptions) -> Result<Survey, BackendError> {
    Redis::new(options)
        .expect("the options can be used")
        .survey()
        .await
}

fn is_fatal(found: &Result<Survey, BackendError>) {
    let is_fatal =
        matches!(found, Err(BackendError::Fatal { problem, .. }) if problem.contains("encrypted"));
    assert!(is_fatal, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_trusted_by_its_authority_and_its_name() {
    let certificates = Certificates::make();
    let server = certificates.serve("no");
    let tls = |ca: &str| RedisTls {
        ca: Some(certificates.bytes(ca)),
        ..RedisTls::default()
    };
    let mut node = Node::enter(options(&server, "localhost", tls("ca.crt")), 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    node.backend.survey().await.expect("a survey");

    is_fatal(&survey(options(&server, "localhost", tls("other.crt"))).await);
    is_fatal(&survey(options(&server, "127.0.0.1", tls("ca.crt"))).await);
    is_fatal(&survey(options(&server, "localhost", RedisTls::default())).await);

    // It waits for the rest of what it takes for a command.
    let plain = Server::start(Program::Redis7);
    let found = survey(options(&plain, "localhost", tls("ca.crt"))).await;
    let is_late =
        matches!(&found, Err(BackendError::Away(why)) if why.contains("no encrypted connection"));
    assert!(is_late, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_ask_for_a_certificate() {
    let certificates = Certificates::make();
    let server = certificates.serve("yes");
    let mut tls = RedisTls {
        ca: Some(certificates.bytes("ca.crt")),
        ..RedisTls::default()
    };
    is_fatal(&survey(options(&server, "localhost", tls.clone())).await);
    tls.certificate = Some((
        certificates.bytes("client.crt"),
        certificates.bytes("client.key"),
    ));
    survey(options(&server, "localhost", tls))
        .await
        .expect("a survey");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_certificates_are_read_for_the_next_connection() {
    let certificates = Certificates::make();
    let server = certificates.serve("no");
    let file = certificates.path("trusted.crt");
    let becomes = |name: &str| {
        std::fs::copy(certificates.path(name), &file).expect("the folder can be written");
    };
    becomes("other.crt");
    let path = file.clone();
    let read = move || {
        let ca = std::fs::read(&path).map_err(|error| error.to_string())?;
        Ok(RedisTls {
            ca: Some(ca),
            ..RedisTls::default()
        })
    };
    let mut options = options(&server, "localhost", read().expect("it is there"));
    options.tls_again = Some(Arc::new(read));
    let backend = Redis::new(options).expect("the options can be used");
    is_fatal(&backend.survey().await);
    becomes("ca.crt");
    backend.survey().await.expect("it is trusted now");
    // What cannot be used, or is not there, leaves what was read before.
    std::fs::write(&file, "text").expect("the folder can be written");
    backend.survey().await.expect("it is trusted still");
    std::fs::remove_file(&file).expect("it is there");
    backend.survey().await.expect("it is trusted still");
    becomes("other.crt");
    is_fatal(&backend.survey().await);
}

#[test]
fn what_is_not_a_certificate_is_refused() {
    for tls in [
        RedisTls {
            ca: Some(b"text".to_vec()),
            ..RedisTls::default()
        },
        RedisTls {
            certificate: Some((b"text".to_vec(), b"text".to_vec())),
            ..RedisTls::default()
        },
    ] {
        let place = Place::Address {
            host: "localhost".to_owned(),
            port: 1,
        };
        let mut options = RedisOptions::new(place, "hub");
        options.tls = Some(tls);
        let made = Redis::new(options);
        assert!(matches!(made, Err(BackendError::Fatal { .. })), "{made:?}");
    }
}
