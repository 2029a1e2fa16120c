//! The attacker's process, as the bench sees it.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use serde_json::Value;

use super::args::Attack;

/// How long an attacker may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// A running attacker, ended when dropped.
pub struct Attacker(Child);

impl Attacker {
    /// Starts this program as an attacker.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        attack: Attack,
        url: &str,
        addresses: u8,
        publisher_token: &str,
    ) -> Result<Self, String> {
        let explain = |error: std::io::Error| format!("the attacker cannot start: {error}");
        let program = std::env::current_exe().map_err(explain)?;
        let name = attack.to_possible_value();
        let child = Command::new(program)
            .args(["bench", "attacker"])
            .arg(name.as_ref().map_or("", |name| name.get_name()))
            .args(["--url", url, "--addresses", &addresses.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(explain)?;
        // From here on dropping it ends the process.
        let mut attacker = Self(child);
        if let Some(input) = &mut attacker.0.stdin {
            writeln!(input, "{publisher_token}").map_err(explain)?;
        }
        Ok(attacker)
    }

    /// Ends the attack and returns what the attacker counted.
    ///
    /// # Errors
    /// When it ended by itself, or does not end.
    pub fn stop(mut self) -> Result<Value, String> {
        drop(self.0.stdin.take());
        let looks = PATIENCE.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                let mut counts = String::new();
                if let Some(output) = &mut self.0.stdout {
                    _ = output.read_to_string(&mut counts);
                }
                return serde_json::from_str(&counts)
                    .map_err(|_| "the attacker failed; see what it printed".to_owned());
            }
            thread::sleep(LOOK);
        }
        Err("the attacker does not end".to_owned())
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is to be reaped.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
