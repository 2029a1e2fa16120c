//! PostgreSQL and PgBouncer as processes of a test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use talaria_conformance::free_port;
use tempfile::TempDir;

/// The role that may do everything.
pub(crate) const SUPERUSER: &str = "postgres";
/// What root cannot run is run by this user.
const ACCOUNT: &str = "talaria-test";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
/// The programs of Debian's version; `POSTGRES_BIN` names those of another one.
const BIN: &str = "/usr/lib/postgresql/15/bin";

/// The user that servers run as, if the tests run as root.
pub(crate) fn account() -> Option<(u32, u32)> {
    let own = fs::metadata("/proc/self").expect("Linux has it");
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return None;
    }
    let numbers = || {
        let users = fs::read_to_string("/etc/passwd").expect("there are users");
        let line = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next() == Some(ACCOUNT);
            is_it.then(|| fields.skip(1).take(2).map(|field| field.parse().ok()))
        });
        let mut fields = line?;
        Some((fields.next()??, fields.next()??))
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = numbers() {
            return Some(found);
        }
        assert!(
            Instant::now() < deadline,
            "the user {ACCOUNT} cannot be made"
        );
        // Another test may be making it.
        _ = Command::new("useradd")
            .args(["--system", "--user-group", "--no-create-home", ACCOUNT])
            .output();
        std::thread::sleep(PAUSE);
    }
}

fn command(program: &str) -> Command {
    let folder = std::env::var_os("POSTGRES_BIN").unwrap_or_else(|| BIN.into());
    let mut command = Command::new(Path::new(&folder).join(program));
    if let Some((user, group)) = account() {
        command.uid(user).gid(group);
    }
    command.current_dir("/").env("LC_ALL", "C");
    command
}

fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

pub(crate) fn folder() -> TempDir {
    let folder = TempDir::with_prefix("talaria-pg-").expect("a folder can be made");
    if let Some((user, group)) = account() {
        chown(folder.path(), Some(user), Some(group)).expect("root may give it");
    }
    folder
}

/// One server, over restarts on the same port.
pub(crate) struct Server {
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
    folder: Arc<TempDir>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with these settings besides, as `name=value`.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let mut server = Self::empty(settings);
        let mut make = command("initdb");
        make.args(["-N", "-A", "trust", "-U", SUPERUSER, "-E", "UTF8"]);
        make.args(["--locale", "C.UTF-8", "-D"]).arg(server.data());
        output(make).expect("a cluster is made");
        server.restart();
        server
    }

    fn empty(settings: &[&str]) -> Self {
        Self {
            port: free_port(),
            settings: settings.iter().map(|each| (*each).to_owned()).collect(),
            process: None,
            folder: Arc::new(folder()),
        }
    }

    /// A standby that streams from this server.
    pub(crate) fn standby(&self) -> Self {
        let mut standby = Self::empty(&[]);
        let mut copy = command("pg_basebackup");
        copy.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            SUPERUSER,
        ]);
        copy.args(["-R", "-X", "stream", "-c", "fast", "-D"])
            .arg(standby.data());
        output(copy).expect("the data is copied");
        standby.restart();
        standby
    }

    /// Has every commit wait for a standby, or for none.
    pub(crate) fn wait_for_standbys(&self, waits: bool) {
        self.set("synchronous_standby_names", if waits { "*" } else { "" });
        let deadline = Instant::now() + PATIENCE;
        let count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while waits && self.ask(count) == "0" {
            assert!(Instant::now() < deadline, "no standby is in sync");
            std::thread::sleep(PAUSE);
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Asks for one value, or runs statements.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let answer = self.ask_as(SUPERUSER, sql);
        answer.unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// Asks for one value, or returns what the server complains of.
    pub(crate) fn try_ask(&self, sql: &str) -> Result<String, String> {
        self.ask_as(SUPERUSER, sql)
    }

    /// Asks as another role.
    pub(crate) fn ask_as(&self, role: &str, sql: &str) -> Result<String, String> {
        self.ask_at("127.0.0.1", role, sql)
    }

    fn ask_at(&self, host: &str, role: &str, sql: &str) -> Result<String, String> {
        let mut ask = command("psql");
        let port = self.port.to_string();
        ask.args(["-w", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        ask.args([
            "-h", host, "-p", &port, "-U", role, "-d", SUPERUSER, "-c", sql,
        ]);
        output(ask)
    }

    /// Runs statements in a transaction that stays open until what is returned is dropped.
    pub(crate) fn hold(&self, sql: &str) -> Held {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut open = command("psql");
        open.args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-U", SUPERUSER]);
        open.args(["-p", &self.port.to_string(), "-d", SUPERUSER]);
        open.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = open.spawn().expect("psql starts");
        let input = process.stdin.as_mut().expect("it has one");
        let said = writeln!(input, "BEGIN;\n{sql};\n\\echo held");
        said.expect("it reads");
        let output = process.stdout.as_mut().expect("it has one");
        let mut lines = BufReader::new(output).lines();
        let is_held = lines.any(|line| line.is_ok_and(|line| line == "held"));
        assert!(is_held, "the transaction has ended");
        Held(process)
    }

    /// Changes a setting.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.ask(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.ask("SELECT pg_reload_conf()");
        let deadline = Instant::now() + PATIENCE;
        while self.ask(&format!("SHOW {setting}")) != value {
            assert!(Instant::now() < deadline, "{setting} is not in force");
            std::thread::sleep(PAUSE);
        }
    }

    /// Has this role log in with its password.
    pub(crate) fn demand_passwords(&self, role: &str) {
        let rules = fs::read_to_string(self.data().join("pg_hba.conf")).expect("it is there");
        self.permit(&format!(
            "host all {role} 127.0.0.1/32 scram-sha-256\n{rules}"
        ));
    }

    /// Has these rules say who may log in, and how.
    pub(crate) fn permit(&self, rules: &str) {
        let loaded = "SELECT pg_conf_load_time()";
        let before = self.ask_locally(loaded);
        fs::write(self.data().join("pg_hba.conf"), rules).expect("it can be written");
        self.ask_locally("SELECT pg_reload_conf()");
        let deadline = Instant::now() + PATIENCE;
        while self.ask_locally(loaded) == before {
            assert!(Instant::now() < deadline, "the rules are not in force");
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks by the Unix socket.
    pub(crate) fn ask_locally(&self, sql: &str) -> String {
        let folder = self.folder().to_string_lossy().into_owned();
        let answer = self.ask_at(&folder, SUPERUSER, sql);
        answer.unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// Gives a file to the user that the server runs as.
    pub(crate) fn give(&self, path: &Path) {
        if let Some((user, group)) = account() {
            chown(path, Some(user), Some(group)).expect("root may give it");
        }
    }

    /// Makes the standby the primary.
    pub(crate) fn promote(&self) {
        assert_eq!(self.ask("SELECT pg_promote(true, 60)"), "t");
    }

    /// Starts it, again if it runs.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder().join("log"));
        let log = log.expect("the log can be written");
        let mut start = command("postgres");
        start
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder());
        start.args([
            "-p",
            &self.port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
        ]);
        for setting in &self.settings {
            start.args(["-c", setting]);
        }
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(start.spawn().expect("the server starts"));
        let deadline = Instant::now() + PATIENCE;
        let is_ready = || {
            let mut ready = command("pg_isready");
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            output(ready).is_ok()
        };
        while !is_ready() {
            let log = fs::read_to_string(self.folder().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "it does not start: {log}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends all its processes at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            self.resume_all(process.id());
            signal("QUIT", process.id());
            let deadline = Instant::now() + PATIENCE;
            while process.try_wait().expect("it is a child").is_none() {
                assert!(Instant::now() < deadline, "it does not end");
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Stops all its processes without letting them know.
    pub(crate) fn suspend(&self) {
        let process = self.process.as_ref().expect("it runs").id();
        signal("STOP", process);
        for child in children(process) {
            signal("STOP", child);
        }
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        self.resume_all(self.process.as_ref().expect("it runs").id());
    }

    fn resume_all(&self, process: u32) {
        for child in children(process) {
            signal("CONT", child);
        }
        signal("CONT", process);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(60)..].join("\n");
            eprintln!("the end of the server's log:\n{end}");
        }
        self.kill();
    }
}

fn signal(name: &str, process: u32) {
    _ = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .output();
}

fn children(parent: u32) -> Vec<u32> {
    let found = Command::new("pgrep")
        .args(["-P", &parent.to_string()])
        .output();
    let found = found.map(|output| output.stdout).unwrap_or_default();
    let found = String::from_utf8_lossy(&found);
    found
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// A transaction that is open.
pub(crate) struct Held(Child);

impl Held {
    /// Commits it.
    pub(crate) fn commit(mut self) {
        use std::io::Write as _;
        let input = self.0.stdin.as_mut().expect("it has one");
        writeln!(input, "COMMIT;\n\\q").expect("it reads");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
