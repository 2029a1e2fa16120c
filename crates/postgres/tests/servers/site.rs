//! A server, and the way to it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use talaria_conformance::free_port;
use tempfile::TempDir;

use crate::server::{PATIENCE, PAUSE, SUPERUSER, Server, account, folder};

/// PgBouncer in front of a server, in transaction mode.
pub(crate) struct Pooler {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Pooler {
    /// A pooler with this many connections to the server.
    pub(crate) fn start(server: &Server, size: u16) -> Self {
        let (folder, port) = (folder(), free_port());
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {size}\n",
            server.port()
        )
        .replace("port=", &format!("user={SUPERUSER} port="));
        fs::write(&file, settings).expect("the folder can be written");
        let mut start = Command::new("pgbouncer");
        start.arg("-q").arg(&file).stdin(Stdio::null());
        if let Some((user, group)) = account() {
            start.uid(user).gid(group);
        }
        start.stdout(Stdio::null()).stderr(Stdio::null());
        let process = start.spawn().expect("PgBouncer starts");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not start");
            std::thread::sleep(PAUSE);
        }
        Self {
            port,
            process,
            _folder: folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// How the log's server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Pooled,
}

/// A server, and perhaps a pooler in front of it.
pub(crate) struct Site {
    server: Server,
    pooler: Option<Pooler>,
}

impl Site {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::of(Server::start(), kind)
    }

    pub(crate) fn of(server: Server, kind: Kind) -> Self {
        let pooler = (kind == Kind::Pooled).then(|| Pooler::start(&server, 10));
        Self { server, pooler }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let pooled = self.pooler.as_ref().map(Pooler::address);
        pooled.unwrap_or_else(|| self.server.address())
    }
}

impl std::ops::Deref for Site {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl std::ops::DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
