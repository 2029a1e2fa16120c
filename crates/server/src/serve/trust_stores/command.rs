//! Runs the programs of stores, bounded in time and output.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// How much of the standard error is kept.
const MOST_BYTES: usize = 64 * 1024;

/// How a program ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// Whether it succeeded.
    pub success: bool,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// Runs a program with `input` as its standard input. After `limit`, or when the caller stops waiting, it and the
/// programs that it started are killed.
///
/// # Errors
/// The program is missing ([`io::ErrorKind::NotFound`]), or does not end in time.
pub(super) async fn run(
    program: &str,
    arguments: &[String],
    input: &str,
    limit: Duration,
) -> io::Result<Finished> {
    let mut child = Command::new(program)
        .args(arguments)
        // Its messages are compared and shown.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let ended = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input may do without it.
                _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let (stderr, ()) = tokio::join!(beginning(stderr), write);
        child.wait().await.map(|status| Finished {
            success: status.success(),
            stderr,
        })
    };
    match tokio::time::timeout(limit, ended).await {
        Ok(finished) => {
            // The number of a process that has ended may belong to another one soon.
            group.0 = None;
            finished
        }
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{program} did not end within {} s", limit.as_secs()),
        )),
    }
}

/// A group of processes, which ends with this value.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads an output to its end and keeps its beginning: a program whose output is not read would wait for ever.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    if let Some(mut output) = output {
        while let Ok(read) = output.read(&mut chunk).await {
            let Some(read) = chunk.get(..read).filter(|read| !read.is_empty()) else {
                break;
            };
            let room = MOST_BYTES.saturating_sub(kept.len());
            kept.extend(read.iter().take(room));
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, limit: Duration) -> io::Result<Finished> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        run("sh", &arguments, "input", limit).await
    }

    /// A program that writes for ever, or starts another one that does not end, is killed; a missing one is known
    /// as such.
    #[tokio::test]
    async fn programs_are_bounded() {
        const LONG: Duration = Duration::from_secs(60);
        let done = shell("cat >&2; echo much; exit 3", LONG).await.unwrap();
        assert_eq!((done.success, done.stderr.as_str()), (false, "input"));
        let much = shell("head -c 1000000 /dev/zero >&2", LONG).await.unwrap();
        assert!(much.success && much.stderr.len() == MOST_BYTES);

        let late = shell("sleep 1000", Duration::from_millis(300)).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let missing = run("no-such-program", &[], "", LONG).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);

        // The program and the one that it started hold a lock as long as either lives.
        let folder = tempfile::tempdir().unwrap();
        let (held, ready) = (folder.path().join("held"), folder.path().join("ready"));
        let script = format!(
            "exec 3>'{}'; flock 3; sleep 1000 & touch '{}'; sleep 1000",
            held.display(),
            ready.display()
        );
        let is_ready = async {
            while !ready.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = shell(&script, LONG) => panic!("{ended:?}"),
            () = is_ready => {}
        }
        let lock = std::fs::File::open(&held).unwrap();
        let free = tokio::task::spawn_blocking(move || lock.lock());
        let free = tokio::time::timeout(LONG, free).await;
        free.expect("both are killed").unwrap().unwrap();
    }
}
