//! What the system says of the process, under the names that all clients of Prometheus use.

use rustix::process::{Resource, getrlimit};

use super::families::Page;

/// Adds the series of the process. What the system does not say is left out.
pub(super) fn add(page: &mut Page, started: f64) {
    let process = Process::read();
    page.counter(
        "process_cpu_seconds",
        "Total user and system CPU time spent in seconds.",
    )
    .add_some(process.cpu_seconds);
    page.gauge("process_open_fds", "Number of open file descriptors.")
        .add_some(process.descriptors);
    page.gauge(
        "process_max_fds",
        "Maximum number of open file descriptors.",
    )
    .add_some(getrlimit(Resource::Nofile).current.map(|most| most as f64));
    page.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
    )
    .add_some(process.virtual_bytes);
    page.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
    )
    .add_some(process.resident_bytes);
    page.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
    )
    .add(&[], started);
}

/// What `/proc` says of the process; nothing where there is none.
#[derive(Default)]
struct Process {
    cpu_seconds: Option<f64>,
    descriptors: Option<f64>,
    virtual_bytes: Option<f64>,
    resident_bytes: Option<f64>,
}

impl Process {
    #[cfg(target_os = "linux")]
    fn read() -> Self {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let mut pages = pages.split_whitespace().map(str::parse::<f64>);
        let page = rustix::param::page_size() as f64;
        let mut bytes = || Some(pages.next()?.ok()? * page);
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let descriptors = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            virtual_bytes: bytes(),
            resident_bytes: bytes(),
            cpu_seconds: cpu_ticks(&stat)
                .map(|ticks| ticks / rustix::param::clock_ticks_per_second() as f64),
            // One of them is that of the folder that is read.
            descriptors: descriptors.map(|each| each.count().saturating_sub(1) as f64),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Self {
        Self::default()
    }
}

/// The ticks of user and system in the fourteenth and fifteenth field. The second one is the name of the program, which
/// may hold spaces and brackets.
#[cfg(target_os = "linux")]
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_hold_brackets() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_ticks(stat), Some(200.0));
        assert_eq!(cpu_ticks("42 (a"), None);
        let process = Process::read();
        assert!(
            process.resident_bytes > Some(1e5) && process.virtual_bytes > process.resident_bytes
        );
        assert!(process.descriptors >= Some(3.0));
        assert!(process.cpu_seconds.is_some());
    }
}
