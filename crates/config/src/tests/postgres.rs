//! `transport postgres` and `postgresql`: the directive, what libpq takes, and variables (B-261).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{KEYS, texts, try_load, with};
use crate::settings::{PostgresSettings, PostgresTlsMode, TransportSettings};
use crate::{Level, Loaded};

/// Files as far as loading looks at them.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("talaria-{name}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let this = Self(folder);
        let pem = |label| format!("-----BEGIN {label}-----\nx\n-----END {label}-----\n");
        this.write("ca.pem", &pem("CERTIFICATE"), "600");
        this.write("hub.pem", &pem("CERTIFICATE"), "600");
        this.write("hub.key", &pem("PRIVATE KEY"), "600");
        this.write("password", "S3CR3T\n", "600");
        this
    }

    fn write(&self, name: &str, text: &str, mode: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
        let mut chmod = std::process::Command::new("chmod");
        assert!(
            chmod
                .arg(mode)
                .arg(self.0.join(name))
                .status()
                .unwrap()
                .success()
        );
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn of(loaded: &Loaded) -> PostgresSettings {
    match &loaded.settings.stores[0] {
        TransportSettings::Postgres(postgres) => (**postgres).clone(),
        other => panic!("{other:?} is not PostgreSQL"),
    }
}

fn block(options: &str) -> PostgresSettings {
    let loaded = with(&format!("transport postgres {{\n{options}\n}}")).unwrap();
    assert_eq!(loaded.notices, [], "{options}");
    of(&loaded)
}

/// The block, with these variables besides.
fn beside(options: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let directives = format!("transport postgres {{\n{options}\n}}");
    let own = [("MERCURE_EXTRA_DIRECTIVES", &*directives)];
    try_load(None, &[KEYS, &own, variables].concat())
}

fn passwords(postgres: &PostgresSettings) -> Vec<Option<&str>> {
    let servers = postgres.servers.iter();
    servers
        .map(|server| server.password.as_ref().map(|password| password.expose()))
        .collect()
}

/// Each option of the block reaches its place; without them these defaults hold.
#[test]
fn every_option_takes_effect() {
    let postgres = block("url postgres://hub@db");
    assert_eq!(postgres.place(), "db:5432");
    assert_eq!((&*postgres.user, &*postgres.database), ("hub", "hub"));
    assert_eq!((&*postgres.schema, postgres.size), ("talaria", None));
    assert_eq!((postgres.max_age, postgres.topic_index), (None, true));
    assert_eq!(
        (postgres.ring_bytes, postgres.parameters.clone()),
        (32 << 20, None)
    );
    assert_eq!(postgres.application_name, "talaria");
    assert_eq!(postgres.publish_timeout, Duration::from_secs(10));
    assert_eq!(postgres.lease, Duration::from_secs(15));
    assert_eq!(postgres.tls.mode, PostgresTlsMode::Prefer);
    let postgres = block(
        "url postgres://hub@db\nschema news_1\nsize 1000\nmax_age 7d\ntopic_index off\nring_bytes 1MiB\n\
         publish_timeout 2s\nlease 5s\npassword \"p w\"",
    );
    assert_eq!((&*postgres.schema, postgres.size), ("news_1", Some(1000)));
    assert_eq!(postgres.max_age, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(
        (postgres.topic_index, postgres.ring_bytes),
        (false, 1 << 20)
    );
    assert_eq!(
        (postgres.publish_timeout, postgres.lease),
        (Duration::from_secs(2), Duration::from_secs(5))
    );
    assert_eq!(passwords(&postgres), [Some("p w")]);
    assert_eq!(
        block("url postgres://hub@db\nsize 0\nmax_age 0s\ntopic_index on").size,
        None
    );
    assert!(
        with("transport postgresql {\nurl postgresql://hub@db\nunknown_cursor replay\n}").is_ok()
    );
}

/// Servers are named in a URI or in pairs, and several by lists of the same length.
#[test]
fn servers_are_named_as_libpq_does() {
    for (url, shown) in [
        ("postgres://u@a", "a:5432"),
        ("POSTGRESQL://u@a:1/d", "a:1"),
        ("postgres://u@a,b:2,[::1]:3/d", "a:5432, b:2, [::1]:3"),
        ("postgres://u@[::1]/d", "[::1]:5432"),
        ("postgres://u@%2Frun%2Fpg:7/d", "/run/pg/.s.PGSQL.7"),
        ("postgres:///d?host=/run/pg&user=u", "/run/pg/.s.PGSQL.5432"),
        ("postgres://u@a/d?host=b&port=9", "b:9"),
        ("postgres://u@/d?hostaddr=10.0.0.1", "10.0.0.1:5432"),
        ("host=a user=u", "a:5432"),
        ("host=a,b port=1,2 user=u", "a:1, b:2"),
        ("host=a,b port=7 user=u", "a:7, b:7"),
        ("host = 'a' user='u'  dbname=d", "a:5432"),
    ] {
        let postgres = block(&format!("url \"{url}\""));
        assert_eq!(postgres.place(), shown, "{url}");
        assert_eq!(postgres.user, "u", "{url}");
    }
    let postgres = block("url \"host=db.example hostaddr=10.0.0.1 user=u\"");
    assert_eq!(postgres.servers[0].address, "10.0.0.1".parse().ok());
    assert_eq!(postgres.place(), "db.example:5432");
}

/// A URL says what its user, its path and its parameters stand for, those of libpq and those of the block.
#[test]
fn a_url_is_read() {
    let url = |url: &str| {
        of(&try_load(None, &[KEYS, &[("MERCURE_TRANSPORT_URL", url)]].concat()).unwrap())
    };
    let postgres = url(
        "postgresql://us%40er:p%3A%40%2Fw@h:1/my%20db?connect_timeout=7&application_name=hub&options=-c%20a%3Db\
         &target_session_attrs=read-write&sslmode=require&schema=s&size=9&max_age=1h&lease=3s&topic_index=off\
         &client_encoding=utf8&gssencmode=prefer",
    );
    assert_eq!((&*postgres.user, &*postgres.database), ("us@er", "my db"));
    assert_eq!(passwords(&postgres), [Some("p:@/w")]);
    assert_eq!(postgres.connect_timeout, Duration::from_secs(7));
    assert_eq!(postgres.application_name, "hub");
    assert_eq!(postgres.parameters.as_deref(), Some("-c a=b"));
    assert_eq!(postgres.tls.mode, PostgresTlsMode::Require);
    assert_eq!((&*postgres.schema, postgres.size), ("s", Some(9)));
    assert_eq!(
        (postgres.lease, postgres.topic_index),
        (Duration::from_secs(3), false)
    );
    assert_eq!(
        url("postgres://u@h?ssl=true").tls.mode,
        PostgresTlsMode::Require
    );
    // The last of a name counts, and what is empty is not written.
    let postgres = url("postgres://u@h/d?user=v&dbname=e&application_name=");
    assert_eq!((&*postgres.user, &*postgres.database), ("v", "e"));
    assert_eq!(postgres.application_name, "talaria");
    let pairs =
        block(r#"url "host=h user=u password='p \'w\\ ' dbname=d fallback_application_name=app""#);
    assert_eq!(passwords(&pairs), [Some("p 'w\\ ")]);
    assert_eq!(pairs.application_name, "app");
    let directive = with("transport_url postgres://u@h/d").unwrap();
    assert_eq!(of(&directive).database, "d");
}

/// What the URL does not say, the variables of libpq do, and the password file last.
#[test]
fn variables_are_defaults() {
    let variables = [
        ("PGHOST", "h"),
        ("PGPORT", "7"),
        ("PGUSER", "u"),
        ("PGDATABASE", "d"),
        ("PGPASSWORD", "S3CR3T"),
        ("PGAPPNAME", "app"),
        ("PGOPTIONS", "-c a=b"),
        ("PGCONNECT_TIMEOUT", "3"),
        ("PGSSLMODE", "disable"),
        ("PGTARGETSESSIONATTRS", "any"),
    ];
    let postgres = of(&beside("", &variables).unwrap());
    assert_eq!(postgres.place(), "h:7");
    assert_eq!((&*postgres.user, &*postgres.database), ("u", "d"));
    assert_eq!(passwords(&postgres), [Some("S3CR3T")]);
    assert_eq!(postgres.application_name, "app");
    assert_eq!(postgres.parameters.as_deref(), Some("-c a=b"));
    assert_eq!(postgres.connect_timeout, Duration::from_secs(3));
    assert_eq!(postgres.tls.mode, PostgresTlsMode::Disable);
    let options = "url postgres://x:pw@y:1/z?sslmode=require&application_name=own";
    let postgres = of(&beside(options, &variables).unwrap());
    assert_eq!(postgres.place(), "y:1");
    assert_eq!((&*postgres.user, &*postgres.database), ("x", "z"));
    assert_eq!(passwords(&postgres), [Some("pw")]);
    assert_eq!(postgres.tls.mode, PostgresTlsMode::Require);
    // The address belongs to the host of the variables.
    let addresses = [("PGHOST", "h"), ("PGHOSTADDR", "10.0.0.1"), ("PGUSER", "u")];
    let address = |options: &str| of(&beside(options, &addresses).unwrap()).servers[0].address;
    assert_eq!(address(""), "10.0.0.1".parse().ok());
    assert_eq!(address("url postgres://y/z"), None);
}

/// The password file has a password for each server, unless something else has one; only its owner may read it.
#[test]
fn the_password_file_is_read() {
    let files = Files::new("pgpass");
    let text = "# a comment:5432:*:*:no\n\
                a:5432:app:hub:of\\:a\n\
                *:6000:*:hub:b:c\n\
                localhost:5432:*:*:socket\n\
                /srv/pg:5432:*:*:folder\n\
                broken\n";
    files.write(".pgpass", text, "600");
    files.write("loose", text, "644");
    let home = files.0.display().to_string();
    let find = |url: &str| {
        let options = format!("url \"{url}\"");
        let loaded = beside(&options, &[("HOME", &home)]).unwrap();
        assert_eq!(loaded.notices, [], "{url}");
        let found = of(&loaded);
        passwords(&found)
            .into_iter()
            .map(|found| found.map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(find("postgres://hub@a/app"), [some("of:a")]);
    assert_eq!(
        find("postgres://hub@a,b:6000/app"),
        [some("of:a"), some("b:c")]
    );
    assert_eq!(find("postgres://other@a/app"), [None]);
    assert_eq!(
        find("postgres:///app?host=/run/postgresql&user=x"),
        [some("socket")]
    );
    assert_eq!(find("host=/srv/pg user=x"), [some("folder")]);
    assert_eq!(find("postgres://hub:own@a/app"), [some("own")]);
    let named = format!("postgres://hub@a/app?passfile={}", files.path(".pgpass"));
    assert_eq!(find(&named), [some("of:a")]);
    let options = "url postgres://hub@a/app";
    let error = beside(options, &[("PGPASSFILE", &files.path("loose"))]).unwrap_err();
    assert!(
        error.starts_with("PGPASSFILE: other users may read"),
        "{error}"
    );
    assert!(error.contains("run: chmod 600 '"), "{error}");
    let error = beside(options, &[("PGPASSFILE", "/nowhere")]).unwrap_err();
    assert!(error.contains("/nowhere cannot be read"), "{error}");
    files.write(".pgpass", text, "640");
    let loaded = beside(options, &[("HOME", &home)]).unwrap();
    assert_eq!(passwords(&of(&loaded)), [None]);
    assert_eq!(loaded.notices[0].level, Level::Warning);
    assert!(
        texts(&loaded)[0].contains("so it is not used; run: chmod 600"),
        "{:?}",
        texts(&loaded)
    );
}

/// A password may stand in a variable or in a file, and the settings do not show it.
#[test]
fn a_password_may_stand_elsewhere() {
    let files = Files::new("postgres-password");
    let file = format!("{{file.{}}}", files.path("password"));
    for options in [
        format!("url postgres://u@h\npassword {file}"),
        "url postgres://u@h\npassword {env.DB_PASSWORD}".to_owned(),
        "url postgres://u:{env.DB_PASSWORD}@h".to_owned(),
        "url {env.DATABASE_URL}".to_owned(),
    ] {
        let variables = [
            ("DB_PASSWORD", "S3CR3T"),
            ("DATABASE_URL", "host=h user=u password=S3CR3T"),
        ];
        let loaded = beside(&options, &variables).unwrap();
        assert_eq!(passwords(&of(&loaded)), [Some("S3CR3T")], "{options}");
        let shown = format!("{:?}", loaded.settings.stores);
        assert!(!shown.contains("S3CR3T"), "{shown}");
    }
}

/// `sslmode` and the files beside it; the hub trusts only an authority that is named.
#[test]
fn encryption_is_read() {
    let files = Files::new("postgres-tls");
    let (ca, certificate, key) = (
        files.path("ca.pem"),
        files.path("hub.pem"),
        files.path("hub.key"),
    );
    let tls = |parameters: &str| block(&format!("url postgres://u@h/d?{parameters}")).tls;
    for (mode, expected) in [
        ("disable", PostgresTlsMode::Disable),
        ("prefer", PostgresTlsMode::Prefer),
        ("require", PostgresTlsMode::Require),
        ("verify-full", PostgresTlsMode::VerifyFull),
    ] {
        assert_eq!(tls(&format!("sslmode={mode}")).mode, expected);
    }
    let read = tls(&format!(
        "sslmode=verify-full&sslrootcert={ca}&sslcert={certificate}&sslkey={key}"
    ));
    assert_eq!(read.ca.as_deref(), Some(Path::new(&ca)));
    assert_eq!(
        read.identity,
        Some((PathBuf::from(&certificate), PathBuf::from(&key)))
    );
    let mode = |parameters: &str| tls(&format!("{parameters}&sslrootcert={ca}")).mode;
    assert_eq!(mode("sslmode=require"), PostgresTlsMode::VerifyCa);
    assert_eq!(mode("sslmode=verify-ca"), PostgresTlsMode::VerifyCa);
    let system = tls("sslrootcert=system");
    assert_eq!(
        (system.mode, system.ca),
        (PostgresTlsMode::VerifyFull, None)
    );
}
