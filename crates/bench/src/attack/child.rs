//! Starts the attacker's process and ends it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use serde_json::Value;

use super::args::{Attack, AttackArgs};
use super::attacker::BEGUN;
use crate::error::Problem;

/// How long an attack may take to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// How long it may take to end: it has only the processor time that others leave.
const END: Duration = Duration::from_secs(60);

/// A running attacker, which ends when dropped.
pub(crate) struct Attacker {
    child: Child,
    lines: Receiver<String>,
}

impl Attacker {
    /// Starts this program as an attacker.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        attack: Attack,
        args: &AttackArgs,
        publisher_token: &str,
    ) -> Result<Self, Problem> {
        let program = std::env::current_exe().map_err(Problem::Attacker)?;
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
            .args(args.tls_port.map(|port| format!("--tls-port={port}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Problem::Attacker)?;
        let (line, lines) = channel();
        if let Some(output) = child.stdout.take() {
            // It ends with the attacker.
            thread::spawn(move || {
                let printed = BufReader::new(output).lines().map_while(Result::ok);
                printed.into_iter().try_for_each(|each| line.send(each))
            });
        }
        // From here on, dropping it ends the process.
        let mut attacker = Self { child, lines };
        if let Some(input) = &mut attacker.child.stdin {
            writeln!(input, "{publisher_token}").map_err(Problem::Attacker)?;
        }
        Ok(attacker)
    }

    /// Ends the attack and returns what the attacker counted. First waits for a while until the attack has begun.
    ///
    /// # Errors
    /// When the attacker has failed, or does not end.
    pub(crate) fn stop(mut self) -> Result<Value, Problem> {
        // If the hub does not answer, the attacker has not failed.
        _ = self.lines.recv_timeout(BEGIN);
        drop(self.child.stdin.take());
        while let Ok(line) = self.lines.recv_timeout(END) {
            if line != BEGUN {
                return serde_json::from_str(&line)
                    .map_err(|error| Problem::AttackerOutput { line, error });
            }
        }
        Err(Problem::AttackerSilent)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may have ended already; either way it has to be reaped.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
