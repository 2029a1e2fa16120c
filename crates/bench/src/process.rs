//! What a process costs: processor time and memory, as Linux accounts for them.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time so far, in microseconds, in steps of a clock tick (10 ms mostly).
    pub cpu_us: u64,
    /// Resident bytes.
    pub resident: u64,
}

impl Usage {
    /// Reads a process from `/proc`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self, String> {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|error| {
                format!("--hub-pid {pid}: {error}; give the number of a running process")
            })
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
            .ok_or_else(|| format!("--hub-pid {pid}: /proc has no times for it"))
    }
}

/// `utime` and `stime`, the 14th and 15th field; the command before them may contain anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// The bytes that TCP holds in socket buffers, over the whole machine.
pub fn tcp_memory() -> Option<u64> {
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
/// When so many files cannot be opened.
pub fn allow_open_files(needed: u64) -> Result<(), String> {
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
        Some(allowed) if allowed < needed => Err(format!(
            "the load needs {needed} open files, but a process may open {allowed} here; raise the \
             limit (ulimit -Hn) or lower --subscribers and --stalled"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// proc(5): the command may contain spaces and parentheses.
    #[test]
    fn times_are_found_behind_any_command() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 5 0 0";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert!(Usage::of(std::process::id()).unwrap().resident > 0);
        assert!(Usage::of(u32::MAX).unwrap_err().contains("--hub-pid"));
    }
}
