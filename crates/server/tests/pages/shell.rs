//! One shell for each page, in an empty folder, with little on its path.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use talaria_conformance::servers::{Postgres, Postgresql};

use crate::ports::Ports;

/// What the shell finds beside `talaria`.
const PROGRAMS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "bash",
    "cat",
    "chmod",
    "cmp",
    "comm",
    "cp",
    "curl",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "fold",
    "grep",
    "gzip",
    "head",
    "id",
    "install",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nl",
    "nproc",
    "od",
    "openssl",
    "paste",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "split",
    "stat",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "uname",
    "uniq",
    "wc",
    "xargs",
];

/// What it finds if it is installed. Commands that begin with another one are skipped.
pub const OPTIONAL: [&str; 6] = ["createdb", "node", "php", "psql", "python3", "redis-server"];

/// How long a command, the start of a server, and what a stream prints may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Where a program of this name is, if it is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    if name == "python3" {
        // The one on the path may be a script that needs the whole path.
        let said = Command::new(name)
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .ok()?;
        return Some(PathBuf::from(String::from_utf8(said.stdout).ok()?.trim()));
    }
    if matches!(name, "createdb" | "psql") {
        // What is on the path is a script that needs Perl.
        return Some(Postgresql::V15.bin().join(name)).filter(|path| path.is_file());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Printed {
    /// Its exit code, if it has ended.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// A command that goes on.
#[derive(Debug)]
pub struct Running {
    number: usize,
    pid: Pid,
}

/// The shell of a page.
pub struct Shell {
    bash: Child,
    input: ChildStdin,
    said: Receiver<String>,
    home: PathBuf,
    records: PathBuf,
    commands: usize,
}

impl Shell {
    /// Starts it. `folder` is empty; `database` is a server of PostgreSQL for its commands.
    pub fn start(folder: &Path, ports: &Ports, database: Option<&Postgres>) -> Self {
        let (programs, home, records) = (
            folder.join("bin"),
            folder.join("home"),
            folder.join("records"),
        );
        for folder in [&programs, &home, &records] {
            std::fs::create_dir(folder).unwrap();
        }
        for name in PROGRAMS.iter().chain(&OPTIONAL) {
            if let Some(path) = find(name) {
                symlink(path, programs.join(name)).unwrap();
            }
        }
        symlink(env!("CARGO_BIN_EXE_talaria"), programs.join("talaria")).unwrap();
        let mut bash = Command::new(find("bash").expect("bash is installed"))
            .args(["--norc", "--noprofile"])
            .env_clear()
            .env("PATH", &programs)
            .env("HOME", &home)
            .env("LANG", "C.UTF-8")
            // As on the reader's terminal.
            .env("TALARIA_LOG_FORMAT", "console")
            .env("CADDY_ADMIN", format!("localhost:{}", ports.free(2019)))
            .envs(database.into_iter().flat_map(|server| {
                let port = server.port().to_string();
                let known = [("PGHOST", "127.0.0.1"), ("PGUSER", "postgres")];
                let known = known.map(|(name, value)| (name, value.to_owned()));
                known.into_iter().chain([("PGPORT", port)])
            }))
            .current_dir(&home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(records.join("bash")).unwrap())
            .spawn()
            .unwrap();
        let (sender, said) = channel();
        let output = BufReader::new(bash.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            input: bash.stdin.take().unwrap(),
            bash,
            said,
            home,
            records,
            commands: 0,
        }
    }

    /// The folder in which it works, which is its home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It does not end, or ends the shell.
    pub fn run(&mut self, text: &str) -> Result<Printed, String> {
        let number = self.next();
        let (out, err) = self.files(number);
        let said = self.ask(&format!(
            "{{\n{text}\n}} >{out} 2>{err} </dev/null\necho $?\n"
        ))?;
        let code = said.parse().map_err(|_| format!("the shell says {said}"))?;
        Ok(Printed {
            code: Some(code),
            ..self.printed(number)
        })
    }

    /// Begins a command that goes on.
    ///
    /// # Errors
    /// The shell has ended.
    pub fn begin(&mut self, text: &str) -> Result<Running, String> {
        let number = self.next();
        let (out, err) = self.files(number);
        let redirected = format!(">{out} 2>{err} </dev/null &\necho $!\n");
        // A single command is what `$!` means; of several it is the shell that runs them.
        let said = if text.contains(['|', ';', '#', '&']) || text.contains("<<") {
            self.ask(&format!("{{\n{text}\n}} {redirected}"))?
        } else {
            self.ask(&format!("{text} {redirected}"))?
        };
        let pid = said.parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| format!("the shell says {said}"))?;
        Ok(Running { number, pid })
    }

    /// What a command that goes on has printed so far.
    pub fn so_far(&self, running: &Running) -> Printed {
        self.printed(running.number)
    }

    /// Waits until this becomes true.
    pub fn wait_until(&self, mut is_true: impl FnMut(&Self) -> bool) -> bool {
        let most = PATIENCE.as_millis() / PAUSE.as_millis();
        (0..most).any(|_| {
            let is_it = is_true(self);
            if !is_it {
                std::thread::sleep(PAUSE);
            }
            is_it
        })
    }

    /// Ends a command that goes on, and waits until it has ended.
    pub fn end(&mut self, running: &Running) {
        let pid = running.pid;
        let _ended_by_itself = kill_process(pid, Signal::TERM);
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let has_ended = |_: &Self| {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        if !self.wait_until(has_ended) {
            let _gone = kill_process(pid, Signal::KILL);
        }
    }

    fn next(&mut self) -> usize {
        self.commands += 1;
        self.commands
    }

    fn files(&self, number: usize) -> (String, String) {
        let file = |kind: &str| format!("'{}/{number}.{kind}'", self.records.display());
        (file("out"), file("err"))
    }

    fn printed(&self, number: usize) -> Printed {
        let read = |kind: &str| {
            let path = self.records.join(format!("{number}.{kind}"));
            let bytes = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Printed {
            code: None,
            out: read("out"),
            err: read("err"),
        }
    }

    fn ask(&mut self, script: &str) -> Result<String, String> {
        self.input
            .write_all(script.as_bytes())
            .and_then(|()| self.input.flush())
            .map_err(|error| format!("the shell has ended: {error}"))?;
        self.said
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => {
                    "does not end within 30 s; is a mark missing?".to_owned()
                }
                RecvTimeoutError::Disconnected => {
                    let said = std::fs::read_to_string(self.records.join("bash"));
                    format!("ended the shell: {}", said.unwrap_or_default())
                }
            })
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.bash);
        let _gone = kill_process_group(group, Signal::KILL);
        let _status = self.bash.wait();
        // What left the group, as `talaria start` does, still works in the page's folder.
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let works_here = std::fs::read_link(entry.path().join("cwd"))
                .is_ok_and(|folder| folder.starts_with(&self.home));
            let pid = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw).filter(|_| works_here) {
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
    }
}
