//! What no waiting mends ends a hub on `transport postgres` with exit code 1, the problem and the remedy, and without the
//! password.

use talaria_conformance::hub::Home;
use talaria_conformance::servers::{Postgres, Postgresql};

use crate::postgres::{PASSWORD, make_role, on, schema};
use crate::redis::Starting;
use crate::redis_refused::certificate;

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
            "shema news",
            &[
                "line 3, column 1: unknown transport option `shema`",
                "did you mean `schema`?",
            ][..],
        ),
        (
            "url nonsense",
            &[
                "line 3, column 5: this is neither the URL of a PostgreSQL server",
                "write postgres://",
            ],
        ),
        (
            "url postgres://u:S3CR3T@h:x",
            &["line 3, column 5: what follows the colon behind a host is not a port"],
        ),
        (
            "url postgres://h/d?sslmod=require",
            &[
                "line 3, column 5: unknown parameter `sslmod`",
                "did you mean `sslmode`?",
            ],
        ),
        (
            "url postgres://u@h/d?sslmode=verify-full&sslrootcert=/nowhere.pem",
            &["the file `/nowhere.pem` cannot be read"],
        ),
        (
            "size many",
            &["line 3, column 6: `many` is not a whole number"],
        ),
    ] {
        refused(
            &format!("anonymous\ntransport postgres {{\n{option}\npassword {PASSWORD}\n}}"),
            expected,
        );
    }
}

/// What is wrong with the server or the role is told with the server's address.
#[test]
fn mistakes_of_the_server() {
    let server = Postgres::start(Postgresql::V15);
    let address = server.address();
    let cannot = format!("the server {address} cannot keep the log");
    make_role(&server);
    let by = |user: &str, database: &str, options: &str| {
        format!(
            "anonymous\ntransport postgres {{\nurl postgres://{user}@{address}/{database}\n{options}\n}}"
        )
    };
    let hub = format!("hub:{PASSWORD}");
    refused(
        &by("hub:another", "postgres", ""),
        &[
            &cannot,
            "password authentication failed",
            "set the password",
        ],
    );
    refused(&by("hub", "postgres", ""), &[&cannot, "password"]);
    refused(
        &by("stranger", "postgres", ""),
        &[
            &cannot,
            "role \"stranger\" does not exist",
            "set a role that may log in",
        ],
    );
    refused(
        &by(&hub, "absent", ""),
        &[&cannot, "\"absent\" does not exist", "create the database"],
    );
    refused(
        &by(&hub, "postgres", ""),
        &[
            &cannot,
            "cannot create the schema \"talaria\"",
            "`talaria postgres schema`",
        ],
    );
}

/// So is what is wrong with the schema.
#[test]
fn mistakes_of_the_schema() {
    let server = Postgres::start(Postgresql::V18);
    let cannot = format!("the server {} cannot keep the log", server.address());
    make_role(&server);
    server.run_sql(&schema(&["--schema", "less", "hub"]));
    server.run_sql("REVOKE INSERT ON less.log FROM hub");
    let less = format!(
        "anonymous\ntransport postgres {{\nurl postgres://hub:{PASSWORD}@{}/postgres\nschema less\n}}",
        server.address()
    );
    refused(
        &less,
        &[
            &cannot,
            "lacks a privilege: INSERT on \"less\".log",
            "GRANT INSERT ON",
        ],
    );
    server.run_sql(&schema(&["--schema", "newer", "hub"]));
    server.run_sql("UPDATE newer.state SET format = 99");
    refused(
        &on(&server, "schema newer"),
        &[
            &cannot,
            "has the format 99",
            "use the version that wrote the log",
        ],
    );
    server.run_sql("CREATE SCHEMA foreign_log; CREATE TABLE foreign_log.state (n int)");
    refused(
        &on(&server, "schema foreign_log"),
        &[
            &cannot,
            "a table \"state\" that is not of this hub",
            "set another `schema`",
        ],
    );
    server.run_sql("CREATE SCHEMA other_log; CREATE TABLE other_log.log (n int)");
    refused(
        &on(&server, "schema other_log"),
        &[&cannot, "that is not of this hub", "set another `schema`"],
    );
}

/// A server whose certificate has another name or authority is not spoken to, nor one without TLS.
#[test]
fn a_certificate_that_is_not_trusted() {
    let plain = Postgres::start(Postgresql::V15);
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "localhost");
    certificate(folder.path(), "elsewhere");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (file("localhost.crt"), file("localhost.key"));
    for path in [
        folder.path().to_owned(),
        folder.path().join("localhost.crt"),
        folder.path().join("localhost.key"),
    ] {
        plain.give(&path);
    }
    let server = Postgres::with(
        // The newest one is built without TLS.
        Postgresql::V15,
        &[
            "ssl=on",
            &format!("ssl_cert_file={certificate}"),
            &format!("ssl_key_file={key}"),
        ],
    );
    let by = |server: &Postgres, parameters: &str| {
        format!(
            "anonymous\ntransport postgres {{\nurl postgres://postgres@{}/postgres?{parameters}\n}}",
            server.address()
        )
    };
    let ca = |name: &str| format!("sslrootcert={}", file(name));
    refused(
        &by(
            &server,
            &format!("sslmode=verify-ca&{}", ca("elsewhere.crt")),
        ),
        &["cannot keep the log", "certificate"],
    );
    refused(
        &by(
            &server,
            &format!("sslmode=verify-full&{}", ca("localhost.crt")),
        ),
        &["cannot keep the log", "certificate"],
    );
    refused(
        &by(&plain, "sslmode=require"),
        &["cannot keep the log", "TLS"],
    );
    // The host of the certificate is found at another address.
    let named = format!(
        "anonymous\ntransport postgres {{\nurl \"host=localhost hostaddr=127.0.0.1 port={} user=postgres sslmode=verify-full sslrootcert={certificate}\"\n}}",
        server.port()
    );
    let hub = Starting::new(&Home::new(), &named, &[]);
    hub.says("listening");
}
