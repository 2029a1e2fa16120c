//! The attacker's process, as the bench sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use serde_json::Value;

use super::args::{Attack, AttackArgs};
use super::attacker::BEGUN;

/// How long an attack may take to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// How long it may take to end: it gets only the processor time that others leave.
const END: Duration = Duration::from_secs(60);

/// A running attacker, ended when dropped.
pub struct Attacker {
    child: Child,
    lines: Receiver<String>,
}

impl Attacker {
    /// Starts this program as an attacker.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(attack: Attack, args: &AttackArgs, publisher_token: &str) -> Result<Self, String> {
        let explain = |error: std::io::Error| format!("the attacker cannot start: {error}");
        let program = std::env::current_exe().map_err(explain)?;
        let name = attack.to_possible_value();
        let mut child = Command::new(program)
            .args(["bench", "attacker"])
            .arg(name.as_ref().map_or("", |name| name.get_name()))
            .args([
                "--url",
                &args.url,
                "--addresses",
                &args.addresses.to_string(),
            ])
            .args(["--nice", &args.nice.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(explain)?;
        let (line, lines) = channel();
        if let Some(output) = child.stdout.take() {
            // It ends with the attacker.
            thread::spawn(move || {
                let printed = BufReader::new(output).lines().map_while(Result::ok);
                printed.into_iter().try_for_each(|each| line.send(each))
            });
        }
        // From here on dropping it ends the process.
        let mut attacker = Self { child, lines };
        if let Some(input) = &mut attacker.child.stdin {
            writeln!(input, "{publisher_token}").map_err(explain)?;
        }
        Ok(attacker)
    }

    /// Ends the attack and returns what the attacker counted. An attack that has not begun yet goes on for a
    /// while until it has.
    ///
    /// # Errors
    /// When it ended by itself, or does not end.
    pub fn stop(mut self) -> Result<Value, String> {
        // A hub that answers none of them is not a failure of the attacker.
        _ = self.lines.recv_timeout(BEGIN);
        drop(self.child.stdin.take());
        while let Ok(line) = self.lines.recv_timeout(END) {
            if line != BEGUN {
                return serde_json::from_str(&line)
                    .map_err(|error| format!("the attacker printed {line:?}: {error}"));
            }
        }
        Err("the attacker failed or does not end; see what it printed".to_owned())
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is to be reaped.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
