//! A cluster of three primaries with a replica each.

use std::process::Command;

use super::program::Program;
use super::redis::{Redis, eventually};
use crate::free_port;

/// Six servers that are one cluster.
pub struct Cluster {
    /// The servers.
    pub servers: Vec<Redis>,
}

impl Cluster {
    /// Starts all of them, and waits until every slot has an owner with a replica.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start(program: Program) -> Self {
        let servers: Vec<Redis> = (0..6)
            .map(|_| {
                let bus = free_port().to_string();
                let flags = [
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "2000",
                    "--cluster-port",
                    &bus,
                ];
                Redis::with(program, &flags)
            })
            .collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(servers.iter().map(|server| server.address().to_string()));
        let created = create
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output();
        let created = created.expect("redis-cli starts");
        assert!(
            created.status.success(),
            "{}",
            String::from_utf8_lossy(&created.stdout)
        );
        let cluster = Self { servers };
        eventually("every node knows the cluster", || {
            cluster.servers.iter().all(|server| {
                let is_up = server
                    .ask(&["CLUSTER", "INFO"])
                    .text()
                    .contains("cluster_state:ok");
                let info = server.info("replication");
                let is_replicated =
                    info.contains("connected_slaves:1") || info.contains("master_link_status:up");
                is_up && is_replicated
            })
        });
        cluster
    }

    /// Hosts and ports of the nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, u16)> {
        self.servers
            .iter()
            .map(|server| ("127.0.0.1".to_owned(), server.port()))
            .collect()
    }

    /// The place in [`Self::servers`] of the primary that owns the slot of a key.
    ///
    /// # Panics
    /// No node does.
    #[must_use]
    pub fn owner(&self, key: &str) -> usize {
        let owns =
            |server: &Redis| !matches!(server.ask(&["EXISTS", key]), super::resp::Reply::Error(_));
        self.servers
            .iter()
            .position(owns)
            .expect("a node owns the slot")
    }
}
