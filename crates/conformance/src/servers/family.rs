//! A process and its children, which a signal to the process alone does not reach.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number| parent_of(*number) == Some(parent))
        .collect()
}

/// What follows the name in the line about a process: its state, then its parent.
fn parent_of(process: u32) -> Option<u32> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after) = line.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

fn is_alive(process: u32) -> bool {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = line
        .rsplit_once(')')
        .and_then(|(_, after)| after.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn signal(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A child may have ended meanwhile.
        _ = kill_process(pid, signal);
    }
}

/// Stops the process, then its children, which can become no more.
pub(super) fn suspend(parent: u32) {
    signal(parent, Signal::STOP);
    for child in children(parent) {
        signal(child, Signal::STOP);
    }
}

/// Lets all of them go on.
pub(super) fn resume(parent: u32) {
    for child in children(parent) {
        signal(child, Signal::CONT);
    }
    signal(parent, Signal::CONT);
}

/// Kills all of them, and waits until the children have ended.
///
/// # Panics
/// One does not.
pub(super) fn kill(parent: u32) {
    signal(parent, Signal::STOP);
    let children = children(parent);
    signal(parent, Signal::KILL);
    for child in &children {
        signal(*child, Signal::KILL);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while children.iter().any(|child| is_alive(*child)) {
        assert!(Instant::now() < deadline, "a killed process lives");
        std::thread::sleep(Duration::from_millis(10));
    }
}
