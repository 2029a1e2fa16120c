//! A log that no process reads, or that cannot be written, changes nothing else: requests, streams,
//! memory and the end of the process.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, PATIENCE, count, within};

/// The hub's own memory for updates is small, so that what is measured is the log's.
const DIRECTIVES: &str = "anonymous\ntransport memory {\nmax_bytes 256KiB\n}\ndrain_timeout 1s";

/// Resident memory of the hub, in bytes.
fn resident(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// The hub answers refused and accepted publishes, `/healthz` and streams, its memory stays flat, and
/// SIGTERM ends it in order. With 10,000 publishes of each kind and 1,000 streams under `./test --full`.
async fn serves(mut hub: Hub) {
    let publishes = count(10_000, 600);
    let mut streams = Vec::new();
    for _ in 0..count(1_000, 20) {
        streams.push(hub.client().subscribe(&[exact("a")]).await);
    }
    let mut watched = hub.client().subscribe(&[exact("counted")]).await;
    let mut stranger = hub.client().keep().await;
    let mut publisher = hub.publisher().keep().await;
    // Each line is long, so that few requests fill what holds them.
    let long = format!("{HUB_PATH}/subscriptions/{}", "x".repeat(30_000));
    let before = resident(&hub);
    for number in 0..publishes {
        let refused = stranger.try_publish(&[("topic", "a")]).await;
        assert_eq!(refused, None, "without a token");
        let data = number.to_string();
        publisher
            .publish(&[("topic", "counted"), ("data", &data)])
            .await;
        assert_eq!(watched.data().await, data);
        if number % 100 == 0 {
            assert_eq!(hub.client().get("/healthz").await.status, 200);
            assert_eq!(hub.client().get(&long).await.status, 404);
        }
    }
    let grown = resident(&hub).saturating_sub(before);
    println!("log: {publishes} publishes of each kind, resident memory grew by {grown} bytes");
    assert!(grown < 12 << 20, "the hub grew by {grown} bytes");
    publisher.publish(&[("topic", "a"), ("data", "last")]).await;
    hub.terminate();
    for stream in &mut streams {
        assert_eq!(stream.end().await, ["last"], "a stream ends in order");
    }
    assert_eq!(watched.end().await, [""; 0]);
    let status = hub.exit(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0));
}

fn start(stderr: impl Into<Stdio>) -> Hub {
    start_at("debug", stderr)
}

fn start_at(level: &str, stderr: impl Into<Stdio>) -> Hub {
    let home = Home::new();
    home.start_unread(DIRECTIVES, &[("RUST_LOG", level)], stderr.into())
}

/// A pipe into which nothing more fits.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'-'; 4096]).is_ok() {}
    while writer.write(b"-").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// Collects what comes out of a pipe in which lines were dropped, until the line that says how many.
fn read_until_dropped(mut reader: PipeReader) -> (String, u64) {
    let (mut text, mut some) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = reader.read(&mut some).unwrap();
        assert_ne!(read, 0, "the log ends without the count");
        text.extend_from_slice(&some[..read]);
        let said = String::from_utf8_lossy(&text).into_owned();
        let dropped = said
            .rsplit_once(" dropped=")
            .map(|(_, after)| after.to_owned());
        if let Some(number) = dropped.and_then(|after| after.strip_suffix('\n')?.parse().ok()) {
            return (said, number);
        }
    }
}

/// The yardstick: a log that is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    serves(start(writer)).await;
}

/// The reader has gone: EPIPE.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_is_gone() {
    let (_, writer) = std::io::pipe().unwrap();
    serves(start(writer)).await;
}

/// The reader reads nothing, from the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_a_reader() {
    let (_reader, writer) = full_pipe();
    serves(start(writer)).await;
}

/// The reader does not read, and the pipe does not block, as parents like Node.js make theirs:
/// EAGAIN.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_a_reader_that_does_not_block() {
    let (_reader, writer) = full_pipe();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    serves(start(writer)).await;
}

/// A socket instead of a pipe, as service managers and container runtimes use.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_socket_without_a_reader() {
    let (_reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    serves(start(std::os::fd::OwnedFd::from(writer))).await;
}

/// The reader takes one byte a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_slowly() {
    let (mut reader, writer) = full_pipe();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reading = std::thread::spawn(move || {
        let second = Duration::from_secs(1);
        while stopped.recv_timeout(second) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            reader.read_exact(&mut [0]).unwrap();
        }
    });
    serves(start(writer)).await;
    drop(stop);
    reading.join().unwrap();
}

/// A full disk: ENOSPC.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_full_disk() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    serves(start(full)).await;
}

/// A file that may not grow any more: EFBIG and SIGXFSZ.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_that_may_not_grow() {
    let home = Home::new();
    let path = home.path().join("log");
    let hub = start(File::create(&path).unwrap());
    bound(&hub, Some(8192));
    serves(hub).await;
    assert!(std::fs::metadata(&path).unwrap().len() <= 8192);
}

/// Bounds the size of the files that the hub writes; `None` takes the bound away.
fn bound(hub: &Hub, bytes: Option<u64>) {
    let pid = i32::try_from(hub.pid()).ok().and_then(Pid::from_raw);
    let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

/// Sends refused publishes of one connection.
async fn refused(hub: &Hub, number: usize) {
    let mut stranger = hub.client().keep().await;
    for _ in 0..number {
        assert_eq!(stranger.try_publish(&[("topic", "a")]).await, None);
    }
}

/// Once the pipe is read again: the lines that were kept, then the number of those that were not, once; every
/// refusal is one or the other. `RUST_LOG` does not hide it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_is_counted_once_there_is_room() {
    let (reader, writer) = full_pipe();
    // Where each refusal is logged, not only the first ones.
    let hub = start_at("debug", writer);
    // Each makes a line of some 150 bytes; 1 MiB of them is kept.
    let sent = 12_000;
    refused(&hub, sent).await;
    let reading = tokio::task::spawn_blocking(move || read_until_dropped(reader));
    let (said, dropped) = within("the count", reading).await.unwrap();
    let logged = said.matches("reason=\"no_token\"").count();
    assert!(
        dropped > 0 && said.contains(" WARN log lines were dropped"),
        "{dropped}"
    );
    assert_eq!(logged + usize::try_from(dropped).unwrap(), sent);
    assert_eq!(said.matches(" dropped=").count(), 1);
    assert!(
        said.len() < (2 << 20) + (1 << 17),
        "kept {} bytes",
        said.len()
    );
}

/// A disk that has room again: what waited is written, and later lines too.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_goes_on_once_there_is_room() {
    let home = Home::new();
    let path = home.path().join("log");
    let hub = start_at("debug", File::create(&path).unwrap());
    let read = || std::fs::read_to_string(&path).unwrap();
    bound(&hub, Some(std::fs::metadata(&path).unwrap().len() + 1000));
    refused(&hub, 100).await;
    bound(&hub, None);
    within("the log to go on", async {
        while read().matches("no_token").count() < 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    refused(&hub, 1).await;
    within("the next line", async {
        while read().matches("no_token").count() < 101 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(read().lines().all(|line| {
        [" INFO ", " WARN ", " DEBUG "]
            .iter()
            .any(|level| line.contains(level))
    }));
    hub.stop().await;
    assert!(
        read().ends_with(" INFO stopped\n"),
        "the last line is written"
    );
}

/// A hub that fails to start does not wait for the reader of its log, neither when its address is
/// in use nor when it gets a signal while it opens the history.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_does_not_wait_for_the_log() {
    let (_reader, writer) = full_pipe();
    let home = Home::new();
    let hub = home
        .hub("anonymous\n# transport: the default, which is a history")
        .unwrap();
    let mut second = Home::new()
        .program()
        .arg("run")
        .env("SERVER_NAME", format!("http://{}", hub.host))
        .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous")
        .stderr(writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    assert_eq!(wait(&mut second).await.code(), Some(1));

    // The history is another hub's, so this one waits for it.
    let mut third = home
        .program()
        .arg("run")
        .env("SERVER_NAME", "http://127.0.0.1:0")
        .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous")
        .stderr(writer)
        .spawn()
        .unwrap();
    let pid = i32::try_from(third.id())
        .ok()
        .and_then(Pid::from_raw)
        .unwrap();
    // It takes SIGTERM from when it logs; before that the signal ends it as it ends any program.
    let took_signals = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", third.id())).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t"))
            .unwrap();
        u64::from_str_radix(caught, 16).unwrap() & (1 << 14) != 0
    };
    within("SIGTERM to be taken", async {
        while !took_signals() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(wait(&mut third).await.code(), Some(0));
}

async fn wait(child: &mut std::process::Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program still runs");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A second signal ends a hub at once, even if its log is not read (B-050).
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_the_log() {
    let (_reader, writer) = full_pipe();
    let directives = "anonymous\ntransport memory\ndrain_timeout 600s";
    let mut hub = Home::new().start_unread(directives, &[], writer.into());
    let _stream = hub.client().subscribe(&[exact("a")]).await;
    hub.terminate();
    within("the listener to close", async {
        while tokio::net::TcpStream::connect(hub.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    hub.terminate();
    assert_eq!(hub.exit(PATIENCE).await.code(), Some(2));
}
