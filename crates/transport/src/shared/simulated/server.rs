//! A primary and the replicas that follow it.

use std::time::Duration;

use tokio::time::Instant;

use super::command::{Answer, Data, Request};
use super::log::{Context, Limits};
use crate::shared::backend::BackendError;

/// What a server does with what reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// It keeps connections open and answers once it runs again.
    Stopped,
    /// There is no process.
    Down,
}

/// What a primary has executed.
#[derive(Debug, Clone)]
struct Executed {
    at: Instant,
    context: Context,
    request: Request,
}

/// A copy that executes what its primary has, some time later.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) data: Data,
    /// How many commands of its primary it has executed.
    applied: usize,
    pub(super) lag: Duration,
    /// Whether its primary cannot reach it.
    pub(super) is_cut: bool,
}

#[derive(Debug)]
pub(super) struct Server {
    /// Another one after each start and each promotion.
    pub(super) identity: u64,
    pub(super) state: State,
    pub(super) data: Data,
    pub(super) replicas: Vec<Replica>,
    executed: Vec<Executed>,
    limits: Limits,
}

impl Server {
    pub(super) fn new(identity: u64, data: Data, lags: &[Duration], limits: Limits) -> Self {
        let replica = |lag: &Duration| Replica {
            data: data.clone(),
            applied: 0,
            lag: *lag,
            is_cut: false,
        };
        Self {
            identity,
            state: State::Running,
            replicas: lags.iter().map(replica).collect(),
            data,
            executed: Vec::new(),
            limits,
        }
    }

    /// Executes a command; the same in the same order on each replica, later.
    pub(super) fn execute(
        &mut self,
        request: &Request,
        at: Instant,
        now: u64,
    ) -> Result<Answer, BackendError> {
        let context = Context {
            server: self.identity,
            now,
        };
        if !self.replicas.is_empty() {
            let request = request.clone();
            self.executed.push(Executed {
                at,
                context,
                request,
            });
        }
        self.data.execute(request, context, &self.limits)
    }

    /// The number of commands that were executed.
    pub(super) fn written(&self) -> usize {
        self.executed.len()
    }

    /// How many replicas have executed the first `written` commands.
    pub(super) fn confirmed(&self, written: usize) -> usize {
        let has = |replica: &&Replica| replica.applied >= written;
        self.replicas.iter().filter(has).count()
    }

    /// Lets the replicas follow.
    pub(super) fn replicate(&mut self, now: Instant) {
        for replica in self.replicas.iter_mut().filter(|replica| !replica.is_cut) {
            while let Some(next) = self.executed.get(replica.applied)
                && next.at + replica.lag <= now
            {
                // Whatever the primary answered, the copy has executed the same.
                _ = replica
                    .data
                    .execute(&next.request, next.context, &self.limits);
                replica.applied += 1;
            }
        }
    }

    /// When a replica executes its next command.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let reached = self.replicas.iter().filter(|replica| !replica.is_cut);
        let next = reached.filter_map(|replica| {
            let next = self.executed.get(replica.applied)?;
            Some(next.at + replica.lag)
        });
        next.min()
    }

    /// The replica that has executed most.
    pub(super) fn most_advanced(&self) -> Option<usize> {
        let replicas = self.replicas.iter().enumerate();
        let most = replicas.max_by_key(|(index, replica)| (replica.applied, usize::MAX - index));
        most.map(|(index, _)| index)
    }

    pub(super) fn lags(&self) -> Vec<Duration> {
        self.replicas.iter().map(|replica| replica.lag).collect()
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The process is another one from now on, with the same data.
    pub(super) fn restart(&mut self, identity: u64) {
        self.identity = identity;
        self.state = State::Running;
    }
}
