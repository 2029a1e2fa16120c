//! The program under test and the files that it sees.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use crate::behind;

/// The key that verifies publisher tokens, unless `TALARIA_HUB_KEY` names one for both roles.
pub const PUBLISHER_KEY: &str = "the key of the publishers, of 32 bytes or more";

/// The key that verifies subscriber tokens.
pub const SUBSCRIBER_KEY: &str = "the key of the subscribers, of 32 bytes or more";

/// The files of a machine, which outlive a hub: working directory, home and data.
#[derive(Clone)]
pub struct Home(Arc<TempDir>);

impl Home {
    /// An empty one, so that the program reads no `Caddyfile` and no store of this machine.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("talaria-conformance-");
        Self(Arc::new(
            folder.expect("the temporary directory can be written"),
        ))
    }

    /// The working directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the file `Caddyfile`.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn configure(&self, text: impl AsRef<str>) {
        let text = behind::file(text.as_ref());
        let written = std::fs::write(self.path().join("Caddyfile"), &*text);
        written.expect("the temporary directory can be written");
    }

    /// A command that runs the program with this home and nothing else in its environment.
    #[must_use]
    pub fn program(&self) -> Command {
        self.environment(Command::new(program()))
    }

    pub(crate) fn environment(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("GLOBAL_OPTIONS", "skip_install_trust")
            // Hubs of tests that run at once would take each other's port.
            .env("CADDY_ADMIN", "off")
            .env("NO_COLOR", "1")
            .env("RUST_LOG", "info")
            // Tests read lines as people do; `log_json` has those for programs.
            .env("TALARIA_LOG_FORMAT", "console")
            .env("RUST_BACKTRACE", "1")
            .env(behind::STREAM, behind::stream_of(self.path()))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts the program on the site address `server_name`, with these lines in its `mercure` block
    /// and these variables besides the two keys.
    pub(crate) fn spawn(
        &self,
        server_name: &str,
        directives: &str,
        variables: &[(&str, &str)],
        stderr: Stdio,
    ) -> Process {
        let mut command = self.program();
        command.arg("run");
        self.serve(command, server_name, directives, variables, stderr)
    }

    /// Starts `command` with the variables of [`Self::spawn`].
    pub(crate) fn serve(
        &self,
        mut command: Command,
        server_name: &str,
        directives: &str,
        variables: &[(&str, &str)],
        stderr: Stdio,
    ) -> Process {
        let child = command
            .env("SERVER_NAME", server_name)
            .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
            .env("MERCURE_SUBSCRIBER_JWT_KEY", SUBSCRIBER_KEY)
            .env(
                "MERCURE_EXTRA_DIRECTIVES",
                &*behind::directives(directives, self.path()),
            )
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the hub program starts");
        Process {
            child,
            _home: self.clone(),
        }
    }

    /// Runs a verb of the program to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.program().args(arguments).output();
        output.expect("the program starts")
    }
}

/// A program that runs; dropping it kills it.
pub(crate) struct Process {
    pub(crate) child: Child,
    _home: Home,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `TALARIA_BIN`, or a fresh build of the program in the profile of this test.
///
/// # Panics
///
/// When it does not build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(path) = std::env::var_os("TALARIA_BIN") {
            return PathBuf::from(path);
        }
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test
            .parent()
            .and_then(Path::parent)
            .expect("tests lie in target/<profile>/deps");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--package",
            "talaria-server",
            "--bin",
            "talaria",
        ]);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        if let Some(target) = folder.parent() {
            cargo.env("CARGO_TARGET_DIR", target);
        }
        assert!(
            cargo.status().expect("cargo starts").success(),
            "the hub program does not build"
        );
        folder.join("talaria")
    })
}
