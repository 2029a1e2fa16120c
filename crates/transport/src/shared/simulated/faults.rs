//! What a test can do to the servers and the network.

use super::Simulated;
use super::network::{Direction, Faults};
use super::server::State;

impl Simulated {
    /// Sets how often what goes wrong on the network.
    pub fn set_faults(&self, faults: Faults) {
        self.0.change(|world, _| world.network.faults = faults);
    }

    /// Swallows what goes in one direction between a node and the servers.
    pub fn cut(&self, node: &str, direction: Direction) {
        self.0.change(|world, _| world.network.cut(node, direction));
    }

    /// Lets everything pass again between a node and the servers.
    pub fn mend(&self, node: &str) {
        self.0.change(|world, _| world.network.mend(node));
    }

    /// Stops the primary, which keeps its connections open.
    pub fn stop(&self) {
        self.set_state(State::Stopped);
    }

    /// Lets a stopped primary go on; it executes what has arrived meanwhile.
    pub fn go_on(&self) {
        self.0.change(|world, _| {
            if world.primary.state == State::Stopped {
                world.primary.state = State::Running;
            }
        });
    }

    /// Ends the primary's process.
    pub fn kill(&self) {
        self.set_state(State::Down);
    }

    /// Starts the primary's process with the same data. It is another one from now on.
    pub fn restart(&self) {
        self.0.change(|world, _| {
            let identity = world.identity();
            world.primary.restart(identity);
        });
    }

    /// Starts the primary's process if there is none.
    pub fn start(&self) {
        self.0.change(|world, _| {
            if world.primary.state == State::Down {
                let identity = world.identity();
                world.primary.restart(identity);
            }
        });
    }

    fn set_state(&self, state: State) {
        self.0.change(|world, _| world.primary.state = state);
    }

    /// Has the servers refuse to write for a reason, or no longer.
    pub fn refuse(&self, reason: Option<&'static str>) {
        self.0.change(|world, _| world.refusing = reason);
    }

    /// Has the next batch fail after this many of its entries are stored.
    pub fn fail_half_way(&self, entries: usize) {
        self.0
            .change(|world, _| world.failing_after = Some(entries));
    }

    /// Cuts a replica off from its primary.
    pub fn cut_replica(&self, index: usize) {
        self.set_replica(index, true);
    }

    /// Lets a replica follow its primary again.
    pub fn mend_replica(&self, index: usize) {
        self.set_replica(index, false);
    }

    fn set_replica(&self, index: usize, is_cut: bool) {
        self.0.change(|world, _| {
            if let Some(replica) = world.primary.replicas.get_mut(index) {
                replica.is_cut = is_cut;
            }
        });
    }

    /// Makes a replica the primary: the most advanced one, or that of an index. The nodes named in `stale` go on with
    /// the former primary until [`Self::end_former`].
    pub fn fail_over(&self, to: Option<usize>, stale: &[&str]) {
        self.0.change(|world, _| {
            let index = to.or_else(|| world.primary.most_advanced());
            let replica = index.and_then(|index| world.primary.replicas.get(index));
            if let Some(replica) = replica {
                let data = replica.data.clone();
                let identity = world.identity();
                world.promote(data, identity);
                world.stale = stale.iter().map(|node| (*node).to_owned()).collect();
            }
        });
    }

    /// Ends the former primary; its nodes find the present one.
    pub fn end_former(&self) {
        self.0.change(|world, _| world.demote());
    }

    /// Makes the former primary the primary again, with the data that it had.
    pub fn put_back(&self) {
        self.0.change(|world, _| {
            if let Some(former) = &world.former {
                let data = former.data.clone();
                // It is the process that it was.
                let identity = former.identity;
                world.promote(data, identity);
            }
        });
    }

    /// Removes all data from all servers.
    pub fn flush(&self) {
        self.0.change(|world, now| world.flush(now));
    }

    /// Keeps a copy of what the primary holds.
    pub fn back_up(&self) {
        self.0
            .change(|world, _| world.backup = Some(world.primary.data.clone()));
    }

    /// Replaces the primary by another server that has the copy; [`Self::put_back`] undoes it.
    pub fn restore(&self) {
        self.0.change(|world, _| {
            if let Some(data) = world.backup.clone() {
                let identity = world.identity();
                world.promote(data, identity);
            }
        });
    }
}
