//! One server of PostgreSQL, alone or as the standby of another.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Process;
use super::program::Postgresql;
use super::programs::{Programs, SUPERUSER};
use super::redis::eventually;
use super::{disk, family};
use crate::{PATIENCE, free_port};

/// How often a server is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an orderly end may take.
const ENDING: Duration = Duration::from_secs(10);
/// A server that keeps its data in a folder, over restarts on the same port.
pub struct Postgres {
    programs: Programs,
    port: u16,
    settings: Vec<String>,
    process: Option<Process>,
    folder: Arc<TempDir>,
    has_small_disk: bool,
}

impl Postgres {
    /// A server as it is installed, but with room for the connections of many tests.
    #[must_use]
    pub fn start(program: Postgresql) -> Self {
        Self::with(program, &[])
    }

    /// A server with these settings besides, as `name=value`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn with(program: Postgresql, settings: &[&str]) -> Self {
        let server = Self::empty(program, settings, false);
        server.create().started()
    }

    /// A server on a disk of `mebibytes` MiB, which can be filled. That takes root.
    ///
    /// # Panics
    /// It does not start, or the disk cannot be mounted.
    #[must_use]
    pub fn on_disk(program: Postgresql, mebibytes: u32, settings: &[&str]) -> Self {
        let server = Self::empty(program, settings, true);
        disk::mount(server.folder(), mebibytes);
        server.programs.account.give(server.folder());
        server.create().started()
    }

    /// A standby of this server, which streams from it. Every commit waits for it from now on, while it is named in
    /// the primary's `synchronous_standby_names`: see [`Self::wait_for_standbys`].
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        let standby = Self::empty(self.programs.program, &settings, false);
        standby.programs.copy(self.port, &standby.data());
        let standby = standby.started();
        eventually("the standby streams", || {
            self.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "0"
        });
        standby
    }

    /// Has each commit wait for any standby, or for none.
    pub fn wait_for_standbys(&self, waits: bool) {
        let names = if waits { "*" } else { "" };
        self.set("synchronous_standby_names", names);
        eventually("the setting is in force", || {
            let shown = self.ask("SHOW synchronous_standby_names");
            let synchronous =
                self.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
            shown == names && (!waits || synchronous != "0")
        });
    }

    fn empty(program: Postgresql, settings: &[&str], has_small_disk: bool) -> Self {
        let folder = TempDir::with_prefix("talaria-postgres-").expect("a folder can be made");
        let programs = Programs::new(program);
        programs.account.give(folder.path());
        Self {
            programs,
            port: 0,
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
            process: None,
            folder: Arc::new(folder),
            has_small_disk,
        }
    }

    fn create(self) -> Self {
        self.programs.create(&self.data(), self.has_small_disk);
        self
    }

    fn started(mut self) -> Self {
        for _ in 0..5 {
            self.port = free_port();
            if self.try_start() {
                return self;
            }
        }
        panic!("no port was free: {}", self.log());
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

    /// The folder of its data, its log and its socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Gives a file to the user that the server runs as, such as the key of its certificate.
    pub fn give(&self, path: &Path) {
        self.programs.account.give(path);
    }

    /// Asks for one value, or runs several statements, as the role that may do everything. Each runs by itself.
    ///
    /// # Panics
    /// The server refuses it.
    #[must_use = "use `run_sql` for what returns nothing"]
    pub fn ask(&self, sql: &str) -> String {
        self.try_ask(sql)
            .unwrap_or_else(|said| panic!("{sql}: {said}\n{}", self.log()))
    }

    /// Runs statements as the role that may do everything.
    ///
    /// # Panics
    /// The server refuses one.
    pub fn run_sql(&self, sql: &str) {
        _ = self.ask(sql);
    }

    /// The same, or what the server says.
    ///
    /// # Errors
    /// The server refuses it, or does not answer.
    pub fn try_ask(&self, sql: &str) -> Result<String, String> {
        self.ask_as(SUPERUSER, SUPERUSER, sql)
    }

    /// Asks as another role, in a database.
    ///
    /// # Errors
    /// The server refuses it, or does not answer.
    pub fn ask_as(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        self.programs.ask(self.port, (role, database), sql)
    }

    /// Changes a setting of a server that runs.
    ///
    /// # Panics
    /// It is refused.
    pub fn set(&self, setting: &str, value: &str) {
        self.run_sql(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.run_sql("SELECT pg_reload_conf()");
    }

    /// Makes the standby the primary.
    ///
    /// # Panics
    /// It is not a standby, or stays one.
    pub fn promote(&self) {
        assert_eq!(
            self.ask("SELECT pg_promote(true, 60)"),
            "t",
            "it is not promoted"
        );
    }

    /// Kills all its processes, as a crash of the machine would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            family::kill(process.number());
            process.has_ended_within(ENDING);
        }
    }

    /// Stops it in an orderly way, and waits for that; its clients are sent away.
    ///
    /// # Panics
    /// It does not end.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::INT);
        assert!(
            process.has_ended_within(ENDING * 3),
            "it does not stop: {}",
            process.log()
        );
    }

    /// Starts it again, on the same port with the same data. What ran is killed before.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "it does not start again: {}", self.log());
    }

    /// Makes it a standby of another server, from a new copy of that one's data. It keeps its port.
    ///
    /// # Panics
    /// It does not start.
    pub fn follow(&mut self, primary: &Self) {
        self.kill();
        std::fs::remove_dir_all(self.data()).expect("its data can be removed");
        self.programs.copy(primary.port, &self.data());
        assert!(self.try_start(), "it does not start again: {}", self.log());
    }

    /// Stops all its processes without letting them know.
    pub fn suspend(&self) {
        family::suspend(self.pid());
    }

    /// Lets them go on.
    pub fn resume(&self) {
        family::resume(self.pid());
    }

    /// Fills the small disk that it was started on.
    pub fn fill_disk(&self) {
        disk::fill(self.folder());
    }

    /// Makes room there again. A server that ended for want of it is started.
    ///
    /// # Panics
    /// It does not start.
    pub fn empty_disk(&mut self) {
        disk::empty(self.folder());
        if self.process.as_mut().is_none_or(Process::has_ended) {
            self.restart();
        }
    }

    /// The number of its first process.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").number()
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    fn try_start(&mut self) -> bool {
        let command = self
            .programs
            .server(self.port, self.folder(), &self.data(), &self.settings);
        let mut process = Process::start(command, self.folder.path(), "log");
        let deadline = Instant::now() + PATIENCE * 2;
        let mut is_ready = false;
        while !is_ready && Instant::now() < deadline && !process.has_ended() {
            std::thread::sleep(PAUSE);
            is_ready = self.programs.is_ready(self.port);
        }
        self.process = Some(process);
        is_ready
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // So it removes its shared memory, and its processes end.
            process.signal_if_running(Signal::QUIT);
            family::resume(process.number());
            if !process.has_ended_within(ENDING) {
                family::kill(process.number());
            }
        }
        if self.has_small_disk {
            disk::unmount(self.folder());
        }
    }
}
