//! A log that cannot be written stops nothing else, and neither does standard output without a reader. What
//! `RUST_LOG` asks for is done or refused.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot run its program fails"
)]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The directory of one test, removed at its end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// The program in this directory, with nothing of ours in its environment.
    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("XDG_DATA_HOME", self.0.path())
            .env("TALARIA_LOG_FORMAT", "console");
        command
    }

    fn talaria(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_talaria"), arguments)
    }
}

/// The address in the first line that has one.
fn address(lines: impl std::io::Read, before: &str, after: char) -> String {
    let mut lines = BufReader::new(lines).lines();
    let address = lines.find_map(|line| {
        let line = line.expect("a line");
        let (_, address) = line.split_once(before)?;
        // A hub that listens on every interface says so, and no request names that.
        Some(address.split(after).next()?.replace("[::]", "127.0.0.1"))
    });
    address.expect("a line names the address")
}

fn refuses_and_stops(address: &str, mut hub: Child) {
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).expect("the hub listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a timeout");
        let request = format!(
            "POST /.well-known/mercure HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
    }
    let stopped = Command::new("kill")
        .arg(hub.id().to_string())
        .status()
        .expect("kill runs");
    assert!(stopped.success());
    assert_eq!(end(&mut hub), Some(0), "SIGTERM ends it in order");
}

/// The exit code of a program that ends within ten seconds, else `None`.
fn end(program: &mut Child) -> Option<i32> {
    for _ in 0..1000 {
        if let Some(status) = program.try_wait().expect("it is our child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    _ = program.kill();
    _ = program.wait();
    None
}

/// The reader of standard error is gone, so every line of the log fails; refusals, which are
/// logged, are answered all the same, and the hub ends in order.
#[test]
fn a_dead_log_pipe_takes_no_request_down() {
    let folder = Folder::new();
    let mut hub = folder
        .talaria(&["dev", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the hub starts");
    drop(hub.stderr.take());
    let address = address(hub.stdout.take().expect("a pipe"), "http://", '/');
    refuses_and_stops(&address, hub);
}

/// Standard error was closed by what started the program.
#[test]
fn a_closed_log_takes_no_request_down() {
    let folder = Folder::new();
    let closed = "exec \"$0\" dev --port 0 <&- 2>&-";
    let mut hub = folder
        .program("/bin/sh", &["-c", closed, env!("CARGO_BIN_EXE_talaria")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the hub starts");
    let address = address(hub.stdout.take().expect("a pipe"), "http://", '/');
    refuses_and_stops(&address, hub);
}

/// A pipe into which nothing more fits.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a pipe that does not block");
    while writer.write(&[b'-'; 4096]).is_ok() {}
    while writer.write(b"-").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a pipe that blocks");
    (reader, writer.into())
}

/// No process reads what `dev` prints: the hub serves, and a signal ends it.
#[test]
fn a_greeting_without_a_reader_stops_nothing() {
    let folder = Folder::new();
    let (_reader, full) = full_pipe();
    for stdout in [
        full,
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("a file")
            .into(),
    ] {
        let mut hub = folder
            .talaria(&["dev", "--port", "0"])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the hub starts");
        let mut log = BufReader::new(hub.stderr.take().expect("a pipe"));
        let address = address(&mut log, "listening address=", '\n');
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        refuses_and_stops(&address, hub);
    }
}

/// No file may grow from the start, the log among them: SIGXFSZ would end the program at its first line.
#[test]
fn a_log_file_that_may_not_grow_at_all_takes_no_request_down() {
    let folder = Folder::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| Ok(listener.local_addr()?.port()))
        .expect("a free port");
    let bounded = "ulimit -f 0; exec \"$0\" run 2>log";
    let mut hub = folder
        .program("/bin/sh", &["-c", bounded, env!("CARGO_BIN_EXE_talaria")])
        .envs(ENVIRONMENT)
        .env("SERVER_NAME", format!("http://127.0.0.1:{port}"))
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous\ntransport memory")
        .spawn()
        .expect("the hub starts");
    let address = format!("127.0.0.1:{port}");
    while TcpStream::connect(&address).is_err() {
        assert_eq!(hub.try_wait().expect("it is ours"), None, "the hub runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    refuses_and_stops(&address, hub);
}

const ENVIRONMENT: [(&str, &str); 3] = [
    ("MERCURE_EXTRA_DIRECTIVES", "anonymous"),
    ("SERVER_NAME", "http://127.0.0.1:0"),
    (
        "MERCURE_PUBLISHER_JWT_KEY",
        "a secret of more than thirty-two bytes",
    ),
];

fn refuses(command: &mut Command, named: &str) {
    let mut program = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let code = end(&mut program);
    let mut said = String::new();
    let error = program
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said);
    assert!(
        error.is_ok() && said.starts_with("error: ") && said.contains(named),
        "{said}"
    );
    assert_eq!(code, Some(1));
}

/// A level that is not one is refused with the right form, by every verb that loads what `run` loads, and
/// wherever the value comes from.
#[test]
fn a_word_that_is_not_a_level_refuses_the_start() {
    let folder = Folder::new();
    for verb in ["run", "validate", "dev"] {
        let wrong = "RUST_LOG: `debgu` is not a level\n  write a level (error, ";
        let mut command = folder.talaria(&[verb]);
        refuses(command.envs(ENVIRONMENT).env("RUST_LOG", "debgu"), wrong);
        let mut command = folder.talaria(&[verb]);
        let value = OsStr::from_bytes(b"debug\xff");
        refuses(
            command.envs(ENVIRONMENT).env("RUST_LOG", value),
            "RUST_LOG is not UTF-8",
        );
    }
    std::fs::write(folder.0.path().join("variables"), "RUST_LOG=info;h2=off\n").expect("a file");
    for verb in ["run", "validate"] {
        let mut command = folder.talaria(&[verb, "--envfile", "variables"]);
        let wrong = "`info;h2` is not a target";
        refuses(command.envs(ENVIRONMENT), wrong);
    }
}

/// `RUST_LOG` of a file of variables counts as that of the environment does.
#[test]
fn a_level_of_a_file_of_variables_is_used() {
    let folder = Folder::new();
    std::fs::write(folder.0.path().join("variables"), "RUST_LOG=debug\n").expect("a file");
    let mut hub = folder
        .talaria(&["run", "--envfile", "variables"])
        .envs(ENVIRONMENT)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the hub starts");
    let mut log = BufReader::new(hub.stderr.take().expect("a pipe"));
    let address = address(&mut log, "listening address=", '\n');
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).map(|_| text)
    });
    // Without a topic.
    let port = address.rsplit(':').next().expect("a port");
    let address = format!("127.0.0.1:{port}");
    let mut stream = TcpStream::connect(&address).expect("the hub listens");
    let request = format!("GET /.well-known/mercure HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    stream.read_exact(&mut [0; 12]).expect("an answer");
    refuses_and_stops(&address, hub);
    let text = reading.join().expect("no panic").expect("the log is text");
    assert!(text.contains(" DEBUG "), "{text}");
}

/// An error that cannot be written is an exit code all the same: 1, not a panic's.
#[test]
fn a_mistake_without_standard_error_has_its_exit_code() {
    let folder = Folder::new();
    for verb in ["run", "validate"] {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("a file");
        let status = folder
            .talaria(&[verb])
            .stderr(full)
            .status()
            .expect("it runs");
        assert_eq!(status.code(), Some(1), "{verb}");
    }
}

/// The program waits for the reader of an error, but not for ever.
#[test]
fn a_mistake_that_is_not_read_has_its_exit_code() {
    let folder = Folder::new();
    for arguments in [&["run"][..], &["validate"], &["run", "--no-option"]] {
        let (_reader, full) = full_pipe();
        let mut program = folder
            .talaria(arguments)
            .stderr(full)
            .spawn()
            .expect("it starts");
        assert_eq!(end(&mut program), Some(1), "{arguments:?}");
    }
}

/// `doctor … | head -1`: a closed pipe ends the verb without a word, with the code of a program that SIGPIPE ends.
#[test]
fn a_closed_standard_output_ends_a_verb() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = folder
        .talaria(&["doctor", "http://127.0.0.1:1"])
        .stdout(writer)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Targets of other programs are named, once, and do not stop the hub.
#[test]
fn levels_of_other_programs_are_named() {
    let folder = Folder::new();
    let output = folder
        .talaria(&["validate"])
        .envs(ENVIRONMENT)
        .env(
            "RUST_LOG",
            "info,talaria_hub::subscribe=debug,my_app=debug,rustls=warn,",
        )
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let named = "warning: RUST_LOG: `my_app=debug`, `rustls=warn` has no effect here";
    assert!(
        said.contains(named) && said.matches("RUST_LOG").count() == 1,
        "{said}"
    );
}
