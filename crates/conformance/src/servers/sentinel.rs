//! A primary with two replicas, watched by three sentinels.

use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use super::program::Program;
use super::redis::{Redis, eventually};
use super::resp::{Reply, ask};
use crate::free_port;

/// The name by which the sentinels know the primary.
const NAME: &str = "hub";

/// A primary, replicas, and the sentinels that choose among them.
pub struct Sentinels {
    /// The servers; the first began as primary.
    pub servers: Vec<Redis>,
    ports: Vec<u16>,
    _processes: Vec<Process>,
    _folder: TempDir,
}

impl Sentinels {
    /// Starts all of them, and waits until they know each other.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start(program: Program) -> Self {
        let primary = Redis::start(program);
        let mut servers = vec![primary.replica(&[]), primary.replica(&[])];
        let folder = TempDir::with_prefix("talaria-sentinel-").expect("a folder can be made");
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let mut processes = Vec::new();
        for port in &ports {
            let file = folder.path().join(format!("{port}.conf"));
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {NAME} 3000\nsentinel failover-timeout {NAME} 5000\n",
                primary.port(),
            );
            std::fs::write(&file, settings).expect("the folder can be written");
            let mut command = Command::new(program.path());
            command.arg(&file).arg("--sentinel");
            processes.push(Process::start(
                command,
                folder.path(),
                &format!("{port}.log"),
            ));
        }
        servers.insert(0, primary);
        let sentinels = Self {
            servers,
            ports,
            _processes: processes,
            _folder: folder,
        };
        eventually("the sentinels know each other", || sentinels.is_complete());
        sentinels
    }

    /// The name of the primary.
    #[must_use]
    pub fn name(&self) -> String {
        NAME.to_owned()
    }

    /// Hosts and ports of the sentinels.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, u16)> {
        self.ports
            .iter()
            .map(|port| ("127.0.0.1".to_owned(), *port))
            .collect()
    }

    /// The place in [`Self::servers`] of the primary, if all sentinels name the same one.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        let named = |port: &u16| {
            let named = say(*port, "GET-MASTER-ADDR-BY-NAME").ok()?;
            Some(named.array().get(1)?.text().to_owned())
        };
        let named: Vec<Option<String>> = self.ports.iter().map(named).collect();
        let first = named.first()?.clone()?;
        let agree = named.iter().all(|other| other.as_ref() == Some(&first));
        let is_it = |server: &Redis| server.port().to_string() == first;
        self.servers.iter().position(is_it).filter(|_| agree)
    }

    /// Whether all sentinels know that both replicas follow the primary. Before, they may promote the one that lags:
    /// they compare what they were last told, which may be ten seconds old.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Some(primary) = self.primary() else {
            return false;
        };
        let port = self.servers[primary].port().to_string();
        self.ports.iter().all(|sentinel| {
            let Ok(Reply::Array(replicas)) = say(*sentinel, "REPLICAS") else {
                return false;
            };
            let follows = |replica: &Reply| {
                let field = |name| field(replica.array(), name);
                field("flags") == Some("slave")
                    && field("master-link-status") == Some("ok")
                    && field("master-port") == Some(&port)
            };
            replicas.len() == 2 && replicas.iter().all(follows)
        })
    }

    fn is_complete(&self) -> bool {
        self.ports.iter().all(|sentinel| {
            let Ok(Reply::Array(fields)) = say(*sentinel, "MASTER") else {
                return false;
            };
            field(&fields, "num-slaves") == Some("2")
                && field(&fields, "num-other-sentinels") == Some("2")
        })
    }
}

/// What a sentinel says of the primary of this name.
fn say(sentinel: u16, what: &str) -> std::io::Result<Reply> {
    let address = (std::net::Ipv4Addr::LOCALHOST, sentinel).into();
    ask(address, &[&["SENTINEL", what, NAME]])
}

/// A field of names and values in turns.
fn field<'a>(fields: &'a [Reply], name: &str) -> Option<&'a str> {
    let mut pairs = fields.chunks(2);
    let pair = pairs.find(|pair| pair[0].text() == name);
    pair.map(|pair| pair[1].text())
}
