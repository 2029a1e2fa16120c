//! The log behind the hubs of tests that are not about a transport.
//!
//! Those hubs keep their updates in memory. With `TALARIA_TEST_SERVER=redis7`, `valkey`, `redis8`, `postgres15`,
//! `postgres18` or `pgbouncer` (in front of PostgreSQL 15, in transaction mode) they keep them on one such server instead,
//! which the first of them starts and which ends with the process of the tests. Each hub has a log of its own there. A
//! test that is about its transport writes why in a comment, beside `transport memory` or as `# transport: …` where it
//! names none.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::servers::{PgBouncer, Postgres, Postgresql, Program, Redis};

/// The line that a server may replace.
const MEMORY: &str = "transport memory";

/// The variable that names the log of a home, in files that outlive the start of a hub.
pub(crate) const STREAM: &str = "TALARIA_TEST_STREAM";

/// The connections that a pooler may have.
const POOL: u16 = 100;

/// What stands behind the hubs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Redis(Program),
    Postgres(Postgresql),
    PgBouncer,
}

/// The server, and what ends it.
struct Server {
    address: SocketAddr,
    _redis: Option<Redis>,
    _postgres: Option<Postgres>,
    _pooler: Option<PgBouncer>,
    _guards: Vec<Child>,
}

/// Whether a server stands behind the hubs.
#[must_use]
pub fn is_shared() -> bool {
    behind().is_some()
}

fn behind() -> Option<Behind> {
    static BEHIND: OnceLock<Option<Behind>> = OnceLock::new();
    *BEHIND.get_or_init(|| match std::env::var("TALARIA_TEST_SERVER").as_deref() {
        Err(_) | Ok("") => None,
        Ok("redis7") => Some(Behind::Redis(Program::Redis7)),
        Ok("valkey") => Some(Behind::Redis(Program::Valkey)),
        Ok("redis8") => Some(Behind::Redis(Program::Redis8)),
        Ok("postgres15") => Some(Behind::Postgres(Postgresql::V15)),
        Ok("postgres18") => Some(Behind::Postgres(Postgresql::V18)),
        Ok("pgbouncer") => Some(Behind::PgBouncer),
        Ok(other) => panic!(
            "TALARIA_TEST_SERVER is {other:?}: write redis7, valkey, redis8, postgres15, postgres18 or pgbouncer"
        ),
    })
}

/// Where the server is that all hubs of this process share.
fn address(behind: Behind) -> SocketAddr {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| match behind {
        Behind::Redis(program) => {
            let redis = Redis::start(program);
            Server {
                address: redis.address(),
                _guards: vec![guard("KILL", redis.pid(), redis.folder())],
                _redis: Some(redis),
                _postgres: None,
                _pooler: None,
            }
        }
        Behind::Postgres(program) => of_postgres(program, false),
        Behind::PgBouncer => of_postgres(Postgresql::V15, true),
    });
    server.address
}

fn of_postgres(program: Postgresql, is_pooled: bool) -> Server {
    let postgres = Postgres::start(program);
    // So it ends its processes and removes its shared memory.
    let mut guards = vec![guard("QUIT", postgres.pid(), postgres.folder())];
    let pooler = is_pooled.then(|| PgBouncer::start(&postgres, &["postgres"], POOL));
    if let Some(pooler) = &pooler {
        guards.push(guard("KILL", pooler.pid(), pooler.folder()));
    }
    Server {
        address: pooler
            .as_ref()
            .map_or(postgres.address(), PgBouncer::address),
        _redis: None,
        _postgres: Some(postgres),
        _pooler: pooler,
        _guards: guards,
    }
}

/// A child that ends the server and removes its folder once this process has ended, however it ends: nothing drops
/// what is static.
fn guard(signal: &str, server: u32, folder: &Path) -> Child {
    const ENDING: &str = "read -r _; kill -\"$1\" \"$2\"; for _ in 1 2 3 4 5 6 7 8 9; do \
        kill -0 \"$2\" || break; sleep 0.2; done; rm -rf \"$3\"";
    Command::new("sh")
        .args(["-c", ENDING, "sh", signal, &server.to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts")
}

/// The lines of a `mercure` block in the home at `home`. Without a transport, hubs of one home have one log after the
/// other's end, as on disk; with `transport memory` each has a new one.
pub(crate) fn directives<'text>(text: &'text str, home: &Path) -> Cow<'text, str> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let Some(behind) = behind() else {
        return text.into();
    };
    let home = stream_of(home);
    let own = |line: &str| {
        let line = line.trim().trim_start_matches("# ");
        line.starts_with("transport") && line != MEMORY
    };
    if text.is_empty() || text.lines().any(own) {
        return text.into();
    }
    if text.lines().any(|line| line.trim() == MEMORY) {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        return swapped(text, behind, &format!("{home}_{number}")).into();
    }
    // A hub reads at its start what its ring holds, and the log of a home grows from hub to hub. Only the next hub of
    // the home takes the one before for dead.
    let options = "ring_bytes 64KiB\nlease 3s";
    format!("{text}\n{}", transport(behind, &home, options)).into()
}

/// A file, whose hubs have logs that are the same after a change of the file, and also at the next start in its home.
#[must_use]
pub fn file(text: &str) -> Cow<'_, str> {
    match behind() {
        Some(behind) => swapped(text, behind, &format!("{{${STREAM}}}")).into(),
        None => text.into(),
    }
}

/// The name of the log of a home.
pub(crate) fn stream_of(home: &Path) -> String {
    let name = home.file_name().unwrap_or_default();
    let name = plain(&name.to_string_lossy());
    format!("t{name}")
}

/// The name as any server takes it.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    let plain = name.chars().map(|c| if is_plain(c) { c } else { '_' });
    plain.collect::<String>().to_ascii_lowercase()
}

/// The text, where each name of a hub has another log: hubs of one name are one.
fn swapped(text: &str, behind: Behind, stream: &str) -> String {
    let mut name = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.trim();
        if words.starts_with("mercure") {
            name = "";
        }
        name = words.strip_prefix("name ").unwrap_or(name);
        lines.push(match words == MEMORY {
            true => transport(behind, &format!("{stream}_{}", plain(name)), "").into(),
            false => Cow::from(line),
        });
    }
    lines.join("\n") + if text.ends_with('\n') { "\n" } else { "" }
}

fn transport(behind: Behind, stream: &str, options: &str) -> String {
    let address = address(behind);
    match behind {
        Behind::Redis(_) => {
            format!("transport redis {{\nurl redis://{address}\nstream {stream}\n{options}\n}}")
        }
        Behind::Postgres(_) | Behind::PgBouncer => format!(
            "transport postgres {{\nurl postgres://postgres@{address}/postgres\nschema {stream}\n{options}\n}}"
        ),
    }
}
