//! What a process uses: processor time and memory, as Linux accounts for them.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Problem;

/// How often memory is read.
pub(crate) const SAMPLE: Duration = Duration::from_millis(100);
/// How often a process' memory is read at most until it settles, and how many equal readings suffice.
const SETTLE_LOOKS: usize = 30;
const SETTLED_LOOKS: usize = 3;

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time so far, in microseconds, in steps of a clock tick (10 ms mostly).
    pub(crate) cpu_us: u64,
    /// Resident bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// Reads a process from `/proc`.
    ///
    /// # Errors
    /// When the process does not exist.
    pub(crate) fn of(pid: u32) -> Result<Self, Problem> {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{pid}/{file}"))
                .map_err(|error| Problem::NoProcess { pid, error })
        };
        let stat = read("stat")?;
        let resident = read("statm")?
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok());
        cpu_ticks(&stat)
            .zip(resident)
            .map(|(ticks, pages)| Self {
                cpu_us: ticks * 1_000_000 / clock_ticks_per_second(),
                resident: pages * page_size() as u64,
            })
            .ok_or(Problem::NoUsage { pid })
    }

    /// Reads this process.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub(crate) fn own() -> Result<Self, Problem> {
        Self::of(std::process::id())
    }

    /// Reads a process once its memory has settled, so that it is done with accepting connections when
    /// "idle" is measured.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn settled(pid: u32) -> Result<Self, Problem> {
        let mut usage = Self::of(pid)?;
        let mut equal = 0;
        for _ in 0..SETTLE_LOOKS {
            thread::sleep(SAMPLE);
            let now = Self::of(pid)?;
            equal = if now.resident == usage.resident {
                equal + 1
            } else {
                0
            };
            usage = now;
            if equal == SETTLED_LOOKS {
                break;
            }
        }
        Ok(usage)
    }
}

/// `utime` and `stime`, the 14th and 15th field. The command before them may contain any character.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// The bytes that TCP holds in the socket buffers of the whole machine.
pub(crate) fn tcp_memory() -> Option<u64> {
    let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
    let line = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    let pages: u64 = words.nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

/// Raises the limit of open files to its maximum.
///
/// # Errors
/// When that is still less than `needed`.
pub(crate) fn allow_open_files(needed: u64) -> Result<(), Problem> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    match allowed {
        Some(allowed) if allowed < needed => Err(Problem::OpenFiles { needed, allowed }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command in `/proc/PID/stat` may contain spaces and parentheses (proc(5)).
    #[test]
    fn times_are_found_behind_any_command() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 5 0 0";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert!(Usage::own().unwrap().resident > 0);
        let error = Usage::of(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("--hub-pid"), "{error}");
    }
}
