//! Memory while a load runs.

use super::outcome::TcpMemory;
use super::plan::Plan;
use super::progress::Progress;
use crate::error::Problem;
use crate::process::{Usage, tcp_memory};

/// Reads memory while a load runs.
pub(crate) struct Watch {
    pid: Option<u32>,
    tcp_before: u64,
    /// Deliveries at a tenth of the load, when its size is known.
    tenth_at: Option<u64>,
    /// Resident bytes of the process after a tenth of the load.
    pub(crate) tenth: u64,
    /// The most resident bytes of the process.
    pub(crate) peak: u64,
    /// By how much TCP's buffers grew.
    pub(crate) tcp: TcpMemory,
}

impl Watch {
    /// Watches a process, if there is one, and TCP's buffers, which held `tcp_before` bytes.
    pub(crate) fn new(plan: &Plan, pid: Option<u32>, tcp_before: u64) -> Self {
        let updates = plan.load.updates;
        Self {
            pid,
            tcp_before,
            tenth_at: updates.map(|updates| updates.div_ceil(10) * plan.fan_out()),
            tenth: 0,
            peak: 0,
            tcp: TcpMemory::default(),
        }
    }

    /// Reads memory now.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn look(&mut self, progress: &Progress) -> Result<(), Problem> {
        let resident = match self.pid {
            Some(pid) => Usage::of(pid)?.resident,
            None => 0,
        };
        self.peak = self.peak.max(resident);
        self.tcp.end = tcp_memory()
            .unwrap_or_default()
            .saturating_sub(self.tcp_before);
        if self.tenth_at.is_some_and(|at| progress.delivered() >= at) {
            self.tenth_at = None;
            self.tenth = resident;
            self.tcp.tenth = self.tcp.end;
        }
        Ok(())
    }
}
