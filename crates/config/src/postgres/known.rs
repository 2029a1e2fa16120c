//! The parameters of libpq, and what the hub does with each.

use crate::error::Error;
use crate::shown::show;
use crate::source::Place;

/// The parameters that the hub reads.
pub(crate) const READ: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "connect_timeout",
    "application_name",
    "fallback_application_name",
    "options",
    "target_session_attrs",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];

/// The variables of libpq that the hub reads, and the parameters that they stand for.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
];

const OWN_DEADLINES: &str = "remove it: the hub bounds the time of each call itself";
const NO_FILE: &str = "write what the file says in the URL itself";

/// Parameters of libpq that the hub does not read: values that ask for what it does anyway, and what to do about
/// others.
const UNREAD: &[(&str, &[&str], &str)] = &[
    (
        "channel_binding",
        &["prefer", "disable"],
        "remove it: the hub binds the channel where the server offers that",
    ),
    (
        "client_encoding",
        &["utf8", "UTF8", "UTF-8", "utf-8", "unicode", "auto"],
        "remove it: updates are UTF-8",
    ),
    ("gssdelegation", &["0"], "remove it"),
    (
        "gssencmode",
        &["disable", "prefer"],
        "remove it, and write sslmode=verify-full",
    ),
    ("gsslib", &[], "remove it"),
    ("keepalives", &["0", "1"], OWN_DEADLINES),
    ("keepalives_count", &[], OWN_DEADLINES),
    ("keepalives_idle", &[], OWN_DEADLINES),
    ("keepalives_interval", &[], OWN_DEADLINES),
    ("krbsrvname", &[], "remove it"),
    (
        "load_balance_hosts",
        &["disable"],
        "remove it: the log is on the server that takes writes",
    ),
    ("max_protocol_version", &["latest"], "remove it"),
    ("min_protocol_version", &["3.0"], "remove it"),
    ("replication", &["0", "false", "no", "off"], "remove it"),
    (
        "require_auth",
        &[],
        "remove it; sslmode=verify-full keeps other servers away",
    ),
    ("requirepeer", &[], "remove it"),
    ("requiressl", &["0"], "write sslmode=require"),
    ("service", &[], NO_FILE),
    ("servicefile", &[], NO_FILE),
    (
        "sslcertmode",
        &["allow"],
        "remove it; with `sslcert` the hub shows its certificate if the server asks",
    ),
    ("sslcompression", &["0"], "remove it"),
    ("sslcrl", &[], "remove it"),
    ("sslcrldir", &[], "remove it"),
    ("sslnegotiation", &["postgres"], "remove it"),
    (
        "sslpassword",
        &[],
        "name a key in `sslkey` that is not encrypted, in a file that only the hub may read",
    ),
    ("sslsni", &["1"], "remove it"),
    ("ssl_max_protocol_version", &["TLSv1.3"], "remove it"),
    (
        "ssl_min_protocol_version",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "remove it",
    ),
    ("tcp_user_timeout", &[], OWN_DEADLINES),
];

/// Parameters that libraries of applications put into such URLs.
const OF_LIBRARIES: &[&str] = &[
    "charset",
    "connection_limit",
    "encoding",
    "pgbouncer",
    "pool",
    "pool_timeout",
    "prepared_statements",
    "serverVersion",
    "sslaccept",
    "timeout",
];

/// A value and where it is written.
pub(crate) type Written = (String, Place);

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A parameter that the hub reads.
    Read(&'static str),
    /// One that asks for what the hub does anyway.
    Default,
}

/// A parameter of libpq; `None` if it is not one.
///
/// # Errors
///
/// The hub does not do what it asks for.
pub(super) fn find(name: &str, value: &str, place: &Place) -> Result<Option<Known>, Error> {
    if let Some(name) = READ.iter().find(|known| **known == name) {
        return Ok(Some(Known::Read(name)));
    }
    if let Some((name, harmless, remedy)) = UNREAD.iter().find(|(known, ..)| *known == name) {
        if value.is_empty() || harmless.contains(&value) {
            return Ok(Some(Known::Default));
        }
        let value = match name.contains("passw") {
            true => String::new(),
            false => format!(", here {},", show(value)),
        };
        let problem = format!("the parameter `{name}`{value} is not supported");
        return Err(Error::at(place, problem).remedy(*remedy));
    }
    if OF_LIBRARIES.contains(&name) {
        let problem = format!("`{name}` is not a parameter of PostgreSQL");
        return Err(Error::at(place, problem).remedy(
            "remove it: it is for a library of the application, and the hub does not need it",
        ));
    }
    Ok(None)
}
