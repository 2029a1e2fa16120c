//! What no waiting mends ends a hub on `transport redis` with exit code 1, the problem and the remedy, and without the
//! password.

use std::path::Path;
use std::process::Command;

use talaria_conformance::hub::Home;
use talaria_conformance::servers::{Program, Redis, Sentinels};

use crate::redis::{Starting, on};

const PASSWORD: &str = "S3CR3T";

/// A hub with these lines ends; its message has these words.
fn refused(directives: &str, expected: &[&str]) {
    let mut hub = Starting::new(&Home::new(), directives, &[]);
    assert_eq!(hub.ends(), Some(1), "{directives}");
    // The end of the log follows that of the process.
    let last = hub.says(expected[0]);
    let said = hub.log.since(0).join("\n");
    for expected in expected {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(!last.contains("listening"), "{last}");
}

/// What is wrong with the configuration has its place in it.
#[test]
fn mistakes_of_the_configuration() {
    for (option, expected) in [
        (
            "adress cache:6379",
            &[
                "line 3, column 1: unknown transport option `adress`",
                "did you mean `address`?",
            ][..],
        ),
        (
            "gob",
            &["line 3, column 1: `gob` is not supported", "remove it"],
        ),
        (
            "url nonsense",
            &[
                "line 3, column 5: this is not the URL of a Redis server",
                "write redis://",
            ],
        ),
        (
            "url redis://u:S3CR3T@h:x",
            &["line 3, column 5: what follows the colon is not a port"],
        ),
        (
            "replicas many",
            &["line 3, column 10: `many` is not a whole number"],
        ),
        (
            "ca /nowhere.pem",
            &["line 3, column 4: the file `/nowhere.pem` cannot be read"],
        ),
    ] {
        refused(
            &format!("anonymous\ntransport redis {{\n{option}\npassword {PASSWORD}\n}}"),
            expected,
        );
    }
}

/// What is wrong with the server is told with its address.
#[test]
fn mistakes_of_the_server() {
    let server = Redis::start(Program::Redis7);
    let cannot = format!("the server {} cannot keep the log", server.address());
    refused(
        &on(&server, "replicas 1"),
        &[
            &cannot,
            "`replicas` is 1, but the server",
            "give the server replicas",
        ],
    );
    server.ask(&["SET", "{foreign}:log", "x"]);
    refused(
        &on(&server, "stream foreign"),
        &[&cannot, "\"{foreign}:log\" that is not of this hub"],
    );
    server.ask(&["HSET", "{newer}:meta", "format", "99", "tag", "1"]);
    refused(
        &on(&server, "stream newer"),
        &[&cannot, "has a newer format"],
    );
    refused(&on(&server, "database 99"), &[&cannot, "database"]);
    let rules = [
        "ACL", "SETUSER", "hub", "on", ">S3CR3T", "~*", "+@all", "-xadd",
    ];
    server.ask(&rules);
    let user = format!("username hub\npassword {PASSWORD}");
    refused(
        &on(&server, &user),
        &[&cannot, "XADD", "permit the user this command"],
    );
    let wrong = format!("username other\npassword {PASSWORD}");
    refused(
        &on(&server, &wrong),
        &[&cannot, "WRONGPASS", "set the username and password"],
    );
    server.set("requirepass", "right");
    refused(&on(&server, ""), &[&cannot, "NOAUTH", "set the password"]);
    refused(
        &on(&server, &format!("password {PASSWORD}")),
        &[&cannot, "WRONGPASS"],
    );
    let evicts = Redis::with(Program::Redis7, &["--maxmemory-policy", "allkeys-lru"]);
    refused(
        &on(&evicts, ""),
        &[
            "`maxmemory-policy` is allkeys-lru",
            "set `maxmemory-policy noeviction`",
        ],
    );
}

/// A name that the Sentinels do not know is not waited for.
#[test]
fn an_unknown_name_of_a_primary() {
    let sentinels = Sentinels::start(Program::Redis7);
    let addresses: Vec<String> = sentinels
        .addresses()
        .iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    let directives = format!(
        "anonymous\ntransport redis {{\nsentinel other {}\n}}",
        addresses.join(" ")
    );
    refused(
        &directives,
        &["the primary other of the Sentinels", "cannot keep the log"],
    );
}

/// A certificate that signs itself, of this name.
pub(crate) fn certificate(folder: &Path, name: &str) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args([
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.crt"),
        ])
        .output()
        .expect("openssl is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// A server whose certificate has another name or authority is not spoken to.
#[tokio::test]
async fn a_certificate_that_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "localhost");
    certificate(folder.path(), "elsewhere");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (file("localhost.crt"), file("localhost.key"));
    let server = Redis::with(
        Program::Redis7,
        &[
            "--port",
            "0",
            "--tls-port",
            "{port}",
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &certificate,
        ],
    );
    let by = |host: &str, ca: &str| {
        let port = server.port();
        format!(
            "anonymous\ntransport redis {{\nurl rediss://:{PASSWORD}@{host}:{port}\nca {ca}\n}}"
        )
    };
    refused(
        &by("localhost", &file("elsewhere.crt")),
        &["cannot keep the log", "certificate"],
    );
    refused(
        &by("127.0.0.1", &certificate),
        &["cannot keep the log", "certificate"],
    );
}
