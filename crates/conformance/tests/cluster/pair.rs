//! A primary of PostgreSQL and its synchronous standby; the test is the operator.

use talaria_conformance::servers::{Postgres, Postgresql};

use crate::servers::{ROLE, Transport, on_postgres, prepared};

/// Two servers, of which one is the primary.
pub struct Pair {
    servers: [Postgres; 2],
}

impl Pair {
    /// Starts both; each commit waits for the standby.
    #[must_use]
    pub fn start(program: Postgresql) -> Self {
        let primary = prepared(Postgres::start(program));
        let standby = primary.standby();
        primary.wait_for_standbys(true);
        Self {
            servers: [primary, standby],
        }
    }

    /// The transport on both.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let addresses = self.servers.each_ref().map(Postgres::address);
        on_postgres(&addresses, &format!("{}:{}", ROLE.0, ROLE.1))
    }

    /// The place of the primary.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        let is_primary =
            |server: &Postgres| server.try_ask("SELECT pg_is_in_recovery()").as_deref() == Ok("f");
        self.servers.iter().position(is_primary)
    }

    /// Kills a server.
    pub fn kill(&mut self, place: usize) {
        self.servers[place].kill();
    }

    /// Stops a server without letting it know.
    pub fn suspend(&self, place: usize) {
        self.servers[place].suspend();
    }

    /// Lets a server go on.
    pub fn resume(&self, place: usize) {
        self.servers[place].resume();
    }

    /// Makes the other one the primary. The one that failed must not come back as such, so it is killed.
    pub fn promote_other(&mut self, failed: usize) -> usize {
        let other = 1 - failed;
        self.servers[failed].kill();
        self.servers[other].promote();
        other
    }

    /// Makes the server that failed the standby of the other one, and has commits wait for it again.
    pub fn follow(&mut self, failed: usize) {
        let [first, second] = &mut self.servers;
        let (failed, primary) = match failed {
            0 => (first, second),
            _ => (second, first),
        };
        failed.follow(primary);
        primary.wait_for_standbys(true);
    }
}
