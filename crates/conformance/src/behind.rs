//! The log behind the hubs of tests that are not about a transport.
//!
//! Those hubs keep their updates in memory. With `TALARIA_TEST_SERVER=redis7`, `valkey` or `redis8` they keep them on
//! one such server instead, which the first of them starts and which ends with the process of the tests. Each hub has
//! a log of its own there. A test that is about its transport writes why in a comment, beside `transport memory` or as
//! `# transport: …` where it names none.

use std::borrow::Cow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::servers::{Program, Redis};

/// The line that a server may replace.
const MEMORY: &str = "transport memory";

/// The variable that names the log of a home, in files that outlive the start of a hub.
pub(crate) const STREAM: &str = "TALARIA_TEST_STREAM";

/// The server, and what ends it.
struct Server {
    redis: Redis,
    _guard: Child,
}

/// Whether a server stands behind the hubs.
#[must_use]
pub fn is_shared() -> bool {
    program().is_some()
}

fn program() -> Option<Program> {
    static PROGRAM: OnceLock<Option<Program>> = OnceLock::new();
    *PROGRAM.get_or_init(|| match std::env::var("TALARIA_TEST_SERVER").as_deref() {
        Err(_) | Ok("") => None,
        Ok("redis7") => Some(Program::Redis7),
        Ok("valkey") => Some(Program::Valkey),
        Ok("redis8") => Some(Program::Redis8),
        Ok(other) => panic!("TALARIA_TEST_SERVER is {other:?}: write redis7, valkey or redis8"),
    })
}

/// The server that all hubs of this process share.
fn server(program: Program) -> &'static Redis {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let redis = Redis::start(program);
        let guard = guard(redis.pid(), redis.folder());
        Server {
            redis,
            _guard: guard,
        }
    });
    &server.redis
}

/// A child that kills the server and removes its folder once this process has ended, however it ends: nothing drops
/// what is static.
fn guard(server: u32, folder: &Path) -> Child {
    Command::new("sh")
        .args([
            "-c",
            "read -r _; kill -9 \"$1\"; rm -rf \"$2\"",
            "sh",
            &server.to_string(),
        ])
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
    let Some(program) = program() else {
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
        return swapped(text, program, &format!("{home}-{number}")).into();
    }
    // A hub reads at its start what its ring holds, and the log of a home grows from hub to hub. Only the next hub of
    // the home takes the one before for dead.
    let options = "ring_bytes 64KiB\nlease 3s";
    format!("{text}\n{}", transport(program, &home, options)).into()
}

/// A file, whose hubs have logs that are the same after a change of the file, and also at the next start in its home.
#[must_use]
pub fn file(text: &str) -> Cow<'_, str> {
    match program() {
        Some(program) => swapped(text, program, &format!("{{${STREAM}}}")).into(),
        None => text.into(),
    }
}

/// The name of the log of a home.
pub(crate) fn stream_of(home: &Path) -> String {
    let name = home.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The text, where each name of a hub has another log: hubs of one name are one.
fn swapped(text: &str, program: Program, stream: &str) -> String {
    let mut name = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.trim();
        if words.starts_with("mercure") {
            name = "";
        }
        name = words.strip_prefix("name ").unwrap_or(name);
        lines.push(match words == MEMORY {
            true => transport(program, &format!("{stream}-{name}"), "").into(),
            false => Cow::from(line),
        });
    }
    lines.join("\n") + if text.ends_with('\n') { "\n" } else { "" }
}

fn transport(program: Program, stream: &str, options: &str) -> String {
    let address = server(program).address();
    format!("transport redis {{\nurl redis://{address}\nstream {stream}\n{options}\n}}")
}
