//! The scripts, each of which the server executes atomically.

use std::sync::LazyLock;

use redis::{Cmd, Script as Hashed, Value};

use crate::connection::Connection;
use crate::fault::Fault;

/// The code of a server that does not know a script.
pub(crate) const UNKNOWN: &str = "NOSCRIPT";

/// A script and its hash, by which the server knows it.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let hash = Hashed::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// Runs the script. `arguments` adds its arguments to the command, twice if the server does not know the script.
    ///
    /// # Errors
    /// What the server refused, or why it did not answer.
    pub(crate) async fn run(
        &self,
        connection: &Connection,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd) + Send,
    ) -> Result<Value, Fault> {
        let mut known = self.command(keys);
        arguments(&mut known);
        match connection.ask(&known).await {
            Err(fault) if fault.is(UNKNOWN) => {
                let mut whole = command("EVAL", self.text, keys);
                arguments(&mut whole);
                connection.ask(&whole).await
            }
            answer => answer,
        }
    }

    /// The command that runs the script if the server knows it, without arguments. Else it answers [`UNKNOWN`].
    pub(crate) fn command(&self, keys: &[&str]) -> Cmd {
        command("EVALSHA", &self.hash, keys)
    }
}

fn command(name: &str, script: &str, keys: &[&str]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

/// Flags let the server refuse a script before it begins. Those that free memory or keep a membership run although the
/// memory is full.
macro_rules! script {
    ($flags:literal, $($file:literal),+) => {
        LazyLock::new(|| Script::new(concat!("#!lua", $flags, "\n", $(include_str!($file)),+)))
    };
}

pub(crate) static APPEND: LazyLock<Script> =
    script!("", "scripts/retain.lua", "scripts/append.lua");
pub(crate) static ATTACH: LazyLock<Script> = script!(" flags=allow-oom", "scripts/attach.lua");
pub(crate) static SETTLE: LazyLock<Script> = script!(" flags=allow-oom", "scripts/settle.lua");
pub(crate) static BEAT: LazyLock<Script> =
    script!(" flags=allow-oom", "scripts/retain.lua", "scripts/beat.lua");
pub(crate) static BURY: LazyLock<Script> = script!(" flags=allow-oom", "scripts/bury.lua");
pub(crate) static CONFIRM: LazyLock<Script> = script!(" flags=allow-oom", "scripts/confirm.lua");
pub(crate) static PROBE: LazyLock<Script> = script!(" flags=allow-oom", "scripts/probe.lua");
