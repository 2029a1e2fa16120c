//! A hub that a file configures, with a separate admin listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use talaria_conformance::PATIENCE;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, PUBLISHER_KEY};
use talaria_conformance::log::Log;

/// A hub and its files; dropping it kills it.
pub struct Running {
    pub home: Home,
    pub child: Child,
    pub log: Log,
    /// Where the hub listens.
    pub address: SocketAddr,
    /// Where its admin listener is.
    pub admin: SocketAddr,
}

/// A file with these lines in its `mercure` block, and these global options. The ports are free ones.
#[must_use]
pub fn caddyfile(global: &str, directives: &str) -> String {
    format!(
        "{{\n{global}\n}}\nhttp://127.0.0.1:0 {{\nmercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\n\
         transport memory\n{directives}\n}}\n}}\n"
    )
}

impl Running {
    /// `talaria run` with these arguments, on the file `Caddyfile` of the home.
    #[must_use]
    pub fn start(text: &str, arguments: &[&str]) -> Self {
        let home = Home::new();
        home.configure(text);
        Self::start_in(home, arguments)
    }

    /// `talaria run`, with every line of the log.
    #[must_use]
    pub fn start_debugging(text: &str) -> Self {
        let home = Home::new();
        home.configure(text);
        Self::start_with(home, &[], "debug")
    }

    /// `talaria run` with these arguments in a home.
    #[must_use]
    pub fn start_in(home: Home, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, "info")
    }

    /// `talaria run` with these arguments in a home, with the lines of a level.
    #[must_use]
    pub fn start_with(home: Home, arguments: &[&str], level: &str) -> Self {
        let mut child = home
            .program()
            .arg("run")
            .args(arguments)
            .env("CADDY_ADMIN", "localhost:0")
            .env("RUST_LOG", level)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::collect(child.stderr.take().unwrap());
        let found = |field: &'static str, words: &'static str| {
            let found = log.find(0, PATIENCE, |line| {
                line.contains(words).then(|| field_of(line, field))?
            });
            found.unwrap_or_else(|said| panic!("no {field} within {said}"))
        };
        let address: SocketAddr = found("address", "listening").parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
        let admin = found("admin", "admin endpoints are served")
            .parse()
            .unwrap();
        Self {
            home,
            child,
            log,
            address,
            admin,
        }
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.home.path().join("Caddyfile")
    }

    /// A client of the hub.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address, &self.address.to_string())
    }

    /// A client of the admin listener.
    #[must_use]
    pub fn admin(&self) -> Client {
        Client::new(self.admin, &self.admin.to_string())
    }

    /// Runs a verb that asks the admin listener; its exit code, and what it said.
    #[must_use]
    pub fn verb(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self
            .home
            .program()
            .args(arguments)
            .env("CADDY_ADMIN", self.admin.to_string())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// Lets the hub's files grow, or not.
    pub fn disk_is_full(&self, full: bool) {
        disk_is_full(self.child.id(), full);
    }

    /// Waits for a line of the log that has these words, from line `from` on.
    pub fn logs(&self, from: usize, words: &str) {
        let found = self
            .log
            .find(from, PATIENCE, |line| line.contains(words).then_some(()));
        found.unwrap_or_else(|said| panic!("never logged {words:?}, but:\n{said}"));
    }

    /// Waits for the end of the process.
    pub async fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Lets the files of a process grow, or not: then the history refuses every update.
pub fn disk_is_full(process: u32, full: bool) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: full.then_some(1),
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).expect("the limit is set");
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field_of(line: &str, field: &str) -> Option<String> {
    let (_, after) = line.split_once(&format!("{field}="))?;
    let value = after.split_whitespace().next()?;
    Some(value.trim_matches('"').to_owned())
}
