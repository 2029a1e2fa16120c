//! PgBouncer in front of a server of PostgreSQL, in transaction mode.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::account::Account;
use super::postgres::Postgres;
use super::process::Process;
use crate::{PATIENCE, free_port};

/// How often it is tried whether it listens.
const PAUSE: Duration = Duration::from_millis(20);

/// A pooler that gives a client a connection of the server for each transaction.
pub struct PgBouncer {
    port: u16,
    process: Process,
    folder: TempDir,
}

impl PgBouncer {
    /// A pooler of at most `size` connections to each database, which lets these roles in without a password.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(server: &Postgres, roles: &[&str], size: u16) -> Self {
        let account = Account::find();
        let folder = TempDir::with_prefix("talaria-pgbouncer-").expect("a folder can be made");
        account.give(folder.path());
        let users: Vec<String> = roles
            .iter()
            .map(|role| format!("\"{role}\" \"\"\n"))
            .collect();
        let (list, file) = (
            folder.path().join("users"),
            folder.path().join("pgbouncer.ini"),
        );
        std::fs::write(&list, users.concat()).expect("the folder can be written");
        account.give(&list);
        for _ in 0..5 {
            let port = free_port();
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = {size}\nmax_client_conn = 2000\nserver_login_retry = 1\n",
                server.port(),
                list.display(),
            );
            std::fs::write(&file, settings).expect("the folder can be written");
            account.give(&file);
            let mut command = Command::new("pgbouncer");
            command.arg(&file);
            account.run(&mut command);
            let mut process = Process::start(command, folder.path(), "log");
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && !process.has_ended() {
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Self {
                        port,
                        process,
                        folder,
                    };
                }
                std::thread::sleep(PAUSE);
            }
        }
        panic!("PgBouncer does not start");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The folder of its settings.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.number()
    }
}
