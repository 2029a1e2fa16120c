//! Runs the program in a directory and an environment of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A secret.
pub const SECRET: &str = "s3cr3t-that-must-never-be-shown-anywhere";

/// What a hub needs at least.
pub const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", ":3000"),
    ("MERCURE_PUBLISHER_JWT_KEY", SECRET),
    ("MERCURE_SUBSCRIBER_JWT_KEY", SECRET),
];

/// A directory of its own for one test, removed at its end.
pub struct Directory(PathBuf);

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "talaria-config-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs the program in this directory, with this environment and nothing else of ours.
    pub fn talaria(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_talaria"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the program wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The keys, and directives of the environment.
pub fn extra(directives: &str) -> Vec<(&str, &str)> {
    [KEYS, &[("MERCURE_EXTRA_DIRECTIVES", directives)]].concat()
}
