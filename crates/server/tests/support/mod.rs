//! Runs the program in an empty directory and a given environment.

use std::process::{Command, Output};

use tempfile::TempDir;

/// A secret.
pub const SECRET: &str = "s3cr3t-that-must-never-be-shown-anywhere";

/// The variables without which a hub does not start.
pub const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", ":3000"),
    ("MERCURE_PUBLISHER_JWT_KEY", SECRET),
    ("MERCURE_SUBSCRIBER_JWT_KEY", SECRET),
];

/// The directory of one test, removed at its end.
pub struct Directory(TempDir);

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs the program in this directory, with this environment and nothing else of ours.
    pub fn talaria(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_talaria"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap()
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
