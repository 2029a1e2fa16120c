//! The user that servers run as which root cannot run.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// Made for the tests, and left on the machine.
const NAME: &str = "talaria-test";

/// A user without privileges; the user of the tests, unless that is root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    numbers: Option<(u32, u32)>,
}

impl Account {
    /// Finds the user, or makes it.
    ///
    /// # Panics
    /// It cannot be made.
    pub(super) fn find() -> Self {
        static FOUND: OnceLock<Account> = OnceLock::new();
        *FOUND.get_or_init(|| match rustix::process::geteuid().is_root() {
            true => Self {
                numbers: Some(found_or_made()),
            },
            false => Self { numbers: None },
        })
    }

    /// Has a command run as this user.
    pub(super) fn run(self, command: &mut Command) {
        if let Some((user, group)) = self.numbers {
            command.uid(user).gid(group);
        }
    }

    /// Gives it a file or a folder.
    ///
    /// # Panics
    /// It cannot be given.
    pub(super) fn give(self, path: &Path) {
        if let Some((user, group)) = self.numbers {
            chown(path, Some(user), Some(group)).expect("root may give files");
        }
    }
}

fn found_or_made() -> (u32, u32) {
    let mut said = None;
    // Another process may be making it, and then holds a lock.
    for _ in 0..50 {
        if let Some(found) = numbers() {
            return found;
        }
        let made = Command::new("useradd")
            .args(["--system", "--user-group", "--no-create-home"])
            .args(["--shell", "/bin/sh", NAME])
            .output();
        said = Some(made);
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("there is no user {NAME}: {said:?}")
}

fn numbers() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(NAME))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
