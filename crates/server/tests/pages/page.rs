//! Does what a page says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command as Process;

use regex::Regex;
use talaria_conformance::servers::{Postgres, Postgresql};

use crate::blocks::{Block, blocks};
use crate::commands::{Command, Step, steps};
use crate::expected::Seen;
use crate::ports::Ports;
use crate::shell::{OPTIONAL, Printed, Running, Shell, find};

/// How a page abbreviates a token.
const ABBREVIATED: &str = "eyJhbGci…";

/// What came of a page.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, each with its line.
    pub faults: Vec<String>,
    /// How many commands were run.
    pub commands: usize,
    /// How many blocks were not run, by their reason.
    pub not_run: BTreeMap<String, usize>,
}

/// A server or a stream, until the page ends it.
struct Open {
    command: Command,
    running: Running,
}

struct Page<'page> {
    name: &'page str,
    report: Report,
    shell: Shell,
    ports: Ports,
    seen: Seen,
    open: Vec<Open>,
    /// The token that was printed last.
    token: Option<String>,
    /// The shell answers no more, or a program is missing, so the rest of the page is not run.
    is_stopped: bool,
}

/// Runs the commands of a page.
pub fn run(name: &str, text: &str) -> Report {
    let blocks = match blocks(text) {
        Ok(blocks) => blocks,
        Err(error) => {
            return Report {
                faults: vec![format!("{name}:{error}")],
                ..Report::default()
            };
        }
    };
    let texts: Vec<String> = blocks
        .iter()
        .filter(|block| is_shell(block) || block.file().is_some())
        .map(Block::text)
        .collect();
    let ports = Ports::of(texts.iter().map(String::as_str));
    let folder = tempfile::tempdir().unwrap();
    let needs_database = texts.iter().any(|text| text.contains("$ createdb "));
    let database = needs_database.then(|| Postgres::start(Postgresql::V15));
    let mut page = Page {
        name,
        report: Report::default(),
        shell: Shell::start(folder.path(), &ports, database.as_ref()),
        ports,
        seen: Seen::default(),
        open: Vec::new(),
        token: None,
        is_stopped: false,
    };
    for block in &blocks {
        page.block(block);
    }
    while let Some(open) = page.open.pop() {
        page.end(&open);
    }
    page.report
}

fn is_shell(block: &Block) -> bool {
    matches!(block.language.as_str(), "console" | "sh")
}

/// The program of the first word, if it is one that need not be installed, and is not.
fn missing(text: &str) -> Option<&'static str> {
    let mut words = text.split_whitespace().filter(|word| !word.contains('='));
    let first = words.next()?;
    OPTIONAL
        .into_iter()
        .find(|name| *name == first && find(name).is_none())
}

impl Page<'_> {
    fn block(&mut self, block: &Block) {
        if let Some(reason) = block.reason() {
            *self.report.not_run.entry(reason.to_owned()).or_default() += 1;
        } else if let Some(name) = block.file() {
            self.file(name, &block.text());
        }
        if !is_shell(block) || block.file().is_some() {
            return;
        }
        let steps = match steps(block) {
            Ok(steps) => steps,
            Err(error) => return self.report.faults.push(format!("{}:{error}", self.name)),
        };
        for step in steps {
            match step {
                Step::Command(command) if block.reason().is_some() => self.check(&command),
                Step::Command(_) | Step::Interrupt { .. } if self.is_stopped => {}
                Step::Command(command) => self.command(command),
                Step::Interrupt { .. } if block.reason().is_some() => {}
                Step::Interrupt { line } => match self.open.pop() {
                    Some(open) => self.end(&open),
                    None => self.fault(line, "^C", "nothing goes on here"),
                },
            }
        }
    }

    fn fault(&mut self, line: usize, command: &str, what: &str) {
        let fault = format!("{}:{line}: {command}\n{what}", self.name);
        self.report.faults.push(fault);
    }

    fn file(&mut self, name: &str, text: &str) {
        let path = self.shell.home().join(name);
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(path, self.ports.to_here(text)).unwrap();
    }

    /// Checks the syntax of a command that is not run.
    fn check(&mut self, command: &Command) {
        let checked = Process::new("bash")
            .args(["-n", "-c", &command.text])
            .output()
            .unwrap();
        if !checked.status.success() {
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            self.fault(command.line, &command.text, &said);
        }
    }

    fn command(&mut self, command: Command) {
        if let Some(program) = missing(&command.text) {
            let reason = format!("{program} is not installed");
            *self.report.not_run.entry(reason).or_default() += 1;
            self.is_stopped = true;
            return;
        }
        self.report.commands += 1;
        let text = self.here(&command.text);
        if command.keeps_running {
            self.begin(command, &text);
            return;
        }
        match self.shell.run(&text) {
            Ok(printed) => self.judge(&command, &printed),
            Err(error) => self.stuck(&command, &error),
        }
    }

    fn stuck(&mut self, command: &Command, error: &str) {
        self.is_stopped = true;
        self.fault(command.line, &command.text, error);
    }

    /// The command with the ports that are free here.
    fn here(&self, text: &str) -> String {
        let text = if text.contains("talaria dev") && !text.contains("--port") {
            text.replace("talaria dev", "talaria dev --port 3000")
        } else {
            text.to_owned()
        };
        let text = self.seen.to_here(&self.ports.to_here(&text));
        match text.contains(ABBREVIATED) {
            true => text.replace(ABBREVIATED, &self.token()),
            false => text,
        }
    }

    fn begin(&mut self, command: Command, text: &str) {
        let before = self.ports.listening();
        let running = match self.shell.begin(text) {
            Ok(running) => running,
            Err(error) => return self.stuck(&command, &error),
        };
        let is_stream = command.text.contains("curl ");
        let ports = &self.ports;
        let has_begun = self.shell.wait_until(|shell| {
            let now = ports.listening();
            let listens = now.iter().any(|port| !before.contains(port));
            !is_stream && listens || !shell.so_far(&running).out.is_empty()
        });
        if !has_begun {
            let printed = self.shell.so_far(&running);
            let what = format!("does not begin:\n{}{}", printed.out, printed.err);
            self.fault(command.line, &command.text, &what);
        }
        self.open.push(Open { command, running });
    }

    /// Judges what a server or a stream has printed, when that is what the page shows or does not become it, and
    /// ends it.
    fn end(&mut self, open: &Open) {
        let mut seen = self.seen.clone();
        let (ports, home) = (&self.ports, self.shell.home());
        let shown = &open.command.output;
        let is_right = shown.is_empty()
            || self.is_stopped
            || self.shell.wait_until(|shell| {
                let printed = shell.so_far(&open.running);
                shows(&mut seen, shown, &printed, ports, home)
            });
        self.seen = seen;
        let printed = self.shell.so_far(&open.running);
        self.shell.end(&open.running);
        if !is_right {
            self.differs(&open.command, &printed);
        }
    }

    fn judge(&mut self, command: &Command, printed: &Printed) {
        self.token = token(&printed.out).or_else(|| self.token.take());
        let code = printed.code.unwrap_or_default();
        if (code != 0) != command.fails {
            let what = format!("exit code {code}\n{}{}", printed.out, printed.err);
            return self.fault(command.line, &command.text, &what);
        }
        let (ports, home) = (&self.ports, self.shell.home());
        let shown = &command.output;
        if !shown.is_empty() && !shows(&mut self.seen, shown, printed, ports, home) {
            self.differs(command, printed);
        }
    }

    /// The token that a command printed last, or what a server prints when it listens.
    fn token(&self) -> String {
        let mut found = self.token.clone();
        self.shell.wait_until(|shell| {
            let mut open = self.open.iter().rev();
            let of_server = || open.find_map(|open| token(&shell.so_far(&open.running).out));
            found = found.take().or_else(of_server);
            found.is_some()
        });
        found.unwrap_or_else(|| ABBREVIATED.to_owned())
    }

    fn differs(&mut self, command: &Command, printed: &Printed) {
        let what = format!(
            "the page shows:\n{}\nstandard output:\n{}\nstandard error:\n{}",
            command.output.join("\n"),
            self.ports.to_page(&printed.out),
            self.ports.to_page(&printed.err)
        );
        self.fault(command.line, &command.text, &what);
    }
}

/// The last token in a text.
fn token(text: &str) -> Option<String> {
    let token = Regex::new(r"eyJ[\w-]+\.[\w-]+\.[\w-]+").unwrap();
    Some(token.find_iter(text).last()?.as_str().to_owned())
}

/// Whether the page shows what was printed.
fn shows(seen: &mut Seen, shown: &[String], printed: &Printed, ports: &Ports, home: &Path) -> bool {
    let home = home.display().to_string();
    let of_page = |text: &str| ports.to_page(text).replace(&home, "/home/me");
    let both = format!("{}{}", printed.out, printed.err);
    [&printed.out, &printed.err, &both]
        .into_iter()
        .any(|text| seen.matches(shown, &of_page(text)))
}
