//! A log that cannot be written takes nothing else down.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The reader of standard error is gone, so every line of the log fails; refusals, which are
/// logged, are answered all the same, and the hub ends in order.
#[test]
fn a_dead_log_pipe_takes_no_request_down() {
    let folder = std::env::temp_dir().join(format!("talaria-log-{}", std::process::id()));
    let mut hub = Command::new(env!("CARGO_BIN_EXE_talaria"))
        .args(["dev", "--port", "0"])
        .env("XDG_DATA_HOME", &folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the hub starts");
    drop(hub.stderr.take());
    let greeting = BufReader::new(hub.stdout.take().expect("a pipe"));
    let address = greeting.lines().find_map(|line| {
        let line = line.expect("a line");
        let (_, address) = line.split_once("http://")?;
        Some(address.split_once('/')?.0.to_owned())
    });
    let address = address.expect("the greeting names the address");
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).expect("the hub listens");
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
    assert_eq!(hub.wait().expect("the hub ends").code(), Some(0));
    _ = std::fs::remove_dir_all(folder);
}
