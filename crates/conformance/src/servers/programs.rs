//! What the programs of PostgreSQL are asked, as the user that may run them.

use std::path::Path;
use std::process::Command;

use super::account::Account;
use super::program::Postgresql;

/// The role that may do everything, and its database.
pub(super) const SUPERUSER: &str = "postgres";
/// Members of this role need their password; all others sign in with none.
pub const WITH_PASSWORD: &str = "with_password";

/// The programs of one version, and who runs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Programs {
    pub(super) program: Postgresql,
    pub(super) account: Account,
}

impl Programs {
    pub(super) fn new(program: Postgresql) -> Self {
        let account = Account::find();
        Self { program, account }
    }

    /// Makes a cluster in a folder.
    ///
    /// # Panics
    /// It cannot be made.
    pub(super) fn create(self, data: &Path, has_small_disk: bool) {
        let made = self.run("initdb", |command| {
            command.args(["-N", "-A", "trust", "-U", SUPERUSER]);
            command.args(["-E", "UTF8", "--locale", "C.UTF-8"]);
            if has_small_disk {
                command.args(["--wal-segsize", "1"]);
            }
            command.arg("-D").arg(data);
        });
        made.unwrap_or_else(|said| panic!("no cluster was made: {said}"));
        let rules = format!(
            "local all all trust\nhost all +{WITH_PASSWORD} 127.0.0.1/32 scram-sha-256\n\
             host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"
        );
        std::fs::write(data.join("pg_hba.conf"), rules).expect("the folder can be written");
    }

    /// Copies the cluster of the server at a port into a folder, as its standby.
    ///
    /// # Panics
    /// It cannot be copied.
    pub(super) fn copy(self, port: u16, data: &Path) {
        let copied = self.run("pg_basebackup", |command| {
            command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", SUPERUSER]);
            command
                .args(["-R", "-X", "stream", "-c", "fast", "-D"])
                .arg(data);
        });
        copied.unwrap_or_else(|said| panic!("no standby was made: {said}"));
    }

    /// Runs statements as a role, in a database; returns what they give.
    ///
    /// # Errors
    /// The server refuses one, or does not answer.
    pub(super) fn ask(
        self,
        port: u16,
        (role, database): (&str, &str),
        sql: &str,
    ) -> Result<String, String> {
        self.run("psql", |command| {
            command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
            command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            command.args(["-U", role, "-d", database, "-c", sql]);
            command.env("PGCONNECT_TIMEOUT", "5");
        })
    }

    /// Whether the server at a port takes connections.
    pub(super) fn is_ready(self, port: u16) -> bool {
        let asked = self.run("pg_isready", |command| {
            command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        });
        asked.is_ok()
    }

    /// The command that runs the server.
    pub(super) fn server(
        self,
        port: u16,
        socket: &Path,
        data: &Path,
        settings: &[String],
    ) -> Command {
        let mut command = Command::new(self.program.bin().join("postgres"));
        command
            .arg("-D")
            .arg(data)
            .args(["-p", &port.to_string(), "-k"]);
        command.arg(socket).env("LC_ALL", "C");
        let usual = [
            "listen_addresses=127.0.0.1",
            "max_connections=300",
            "log_line_prefix=%m [%p] %u ",
        ];
        for setting in usual.into_iter().chain(settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        self.account.run(&mut command);
        command
    }

    /// Runs a program; returns what it prints, or what it complains of.
    fn run(self, program: &str, arguments: impl FnOnce(&mut Command)) -> Result<String, String> {
        let mut command = Command::new(self.program.bin().join(program));
        arguments(&mut command);
        self.account.run(&mut command);
        command
            .current_dir("/")
            .env_remove("PGPASSWORD")
            .env("LC_ALL", "C");
        let done = command
            .output()
            .map_err(|error| format!("{program} does not start: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        match done.status.success() {
            true => Ok(text(&done.stdout)),
            false => Err(text(&done.stderr)),
        }
    }
}
