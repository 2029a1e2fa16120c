//! One server.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::Process;
use super::program::Program;
use super::resp::{Reply, ask};
use crate::{PATIENCE, free_port};

/// How often a server is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(20);

/// A server that keeps its data in a folder, over restarts on the same port.
pub struct Redis {
    program: Program,
    port: u16,
    flags: Vec<String>,
    process: Option<Process>,
    folder: Arc<TempDir>,
}

impl Redis {
    /// A server with the settings of most: an append-only file, synced every second.
    #[must_use]
    pub fn start(program: Program) -> Self {
        Self::with(program, &[])
    }

    /// A server with these settings besides, as arguments; in them, `{port}` stands for its port.
    #[must_use]
    pub fn with(program: Program, flags: &[&str]) -> Self {
        let mut server = Self {
            program,
            port: 0,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            process: None,
            folder: Arc::new(TempDir::with_prefix("talaria-redis-").expect("a folder can be made")),
        };
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("no port was free: {}", server.log());
    }

    /// A replica of this server, which is connected.
    #[must_use]
    pub fn replica(&self, flags: &[&str]) -> Self {
        let port = self.port.to_string();
        let flags = [flags, &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = Self::with(self.program, &flags);
        let has_synced = || {
            replica
                .info("replication")
                .contains("master_link_status:up")
        };
        eventually("the replica is in sync", has_synced);
        replica
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks it a command.
    ///
    /// # Panics
    /// It does not answer.
    pub fn ask(&self, command: &[&str]) -> Reply {
        let answer = ask(self.address(), &[command]);
        answer.unwrap_or_else(|error| panic!("no answer to {command:?}: {error}\n{}", self.log()))
    }

    /// Changes a setting.
    ///
    /// # Panics
    /// It is refused.
    pub fn set(&self, setting: &str, value: &str) {
        let answer = self.ask(&["CONFIG", "SET", setting, value]);
        assert_eq!(
            answer,
            Reply::Text("OK".to_owned()),
            "CONFIG SET {setting} {value}"
        );
    }

    /// A section of what it says of itself.
    #[must_use]
    pub fn info(&self, section: &str) -> String {
        self.ask(&["INFO", section]).text().to_owned()
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same port with the same data.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "it does not start again: {}", self.log());
    }

    /// Stops it without letting it know.
    ///
    /// # Panics
    /// It does not run.
    pub fn suspend(&self) {
        self.running().suspend();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// It does not run.
    pub fn resume(&self) {
        self.running().resume();
    }

    /// Lets it write nothing more to its files, as if its disk were full.
    ///
    /// # Panics
    /// It does not run.
    pub fn fill_disk(&self) {
        // Smaller files may grow up to there, so that a part of a write may still fit.
        self.running().limit_files(Some(largest(self.folder())));
    }

    /// Lets it write again.
    ///
    /// # Panics
    /// It does not run.
    pub fn empty_disk(&self) {
        self.running().limit_files(None);
    }

    /// Its process number.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().number()
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new("sh");
        // A write beyond the limit of `fill_disk` fails, and does not end the process.
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        command.arg(self.program.path()).args([
            "--bind",
            "127.0.0.1 -::1",
            "--appendonly",
            "yes",
            "--save",
            "",
        ]);
        command
            .args(["--repl-diskless-sync-delay", "0", "--dir"])
            .arg(self.folder());
        let port = self.port.to_string();
        command.args(["--port", &port]);
        command.args(self.flags.iter().map(|flag| flag.replace("{port}", &port)));
        self.launch(command)
    }

    fn launch(&mut self, command: Command) -> bool {
        let mut process = Process::start(command, self.folder.path(), "log");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !process.has_ended() {
            // A password or TLS may be needed, so any sign of life will do.
            let is_ready = match ask(self.address(), &[&["PING"]]) {
                Ok(Reply::Error(text)) => !text.starts_with("LOADING"),
                Ok(_) => true,
                Err(error) => error.kind() != ErrorKind::ConnectionRefused,
            };
            if is_ready {
                self.process = Some(process);
                return true;
            }
            std::thread::sleep(PAUSE);
        }
        self.process = Some(process);
        false
    }
}

/// The size of the largest file in a folder and those in it.
fn largest(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => largest(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.max().unwrap_or(0)
}

/// Asks until it is so.
///
/// # Panics
/// It is not so within [`PATIENCE`] three times over, since elections take seconds.
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE * 3;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(PAUSE);
    }
}
