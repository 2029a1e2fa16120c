//! What systemd is told (sd_notify(3), sd_watchdog_enabled(3)), over a socket that the test binds in its
//! place.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use talaria_conformance::hub::{Home, Hub, ORDINARY, PUBLISHER_KEY, program};
use talaria_conformance::token::exact;
use talaria_conformance::{PATIENCE, within};

/// A service manager: its socket, and what the environment of the hub calls it.
struct Manager {
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    fn at_path(path: &Path) -> Self {
        Self {
            socket: UnixDatagram::bind(path).unwrap(),
            name: path.to_str().unwrap().to_owned(),
        }
    }

    fn with_abstract_name() -> Self {
        let name = format!("talaria-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self {
            socket: UnixDatagram::bind_addr(&address).unwrap(),
            name: format!("@{name}"),
        }
    }

    /// The next message that contains the line `line`, and those before it.
    fn told(&self, line: &str) -> (String, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never told {line}, but {before:?}");
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut bytes = [0; 4096];
            let Ok(length) = self.socket.recv(&mut bytes) else {
                continue;
            };
            let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
            if text.lines().any(|one| one.starts_with(line)) {
                return (text, before);
            }
            before.push(text);
        }
    }
}

/// The microseconds by which a message extends the manager's time.
fn extension(message: &str) -> u64 {
    let field = message
        .lines()
        .find_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC="));
    field.expect("an extension").parse().unwrap()
}

fn start(home: &Home, directives: &str, variables: &[(&str, &str)]) -> Hub {
    home.start("http://127.0.0.1:0", directives, variables)
        .unwrap()
}

/// A hub whose end the test looks after, before it listens.
fn spawn(home: &Home, manager: &Manager) -> Child {
    home.program()
        .arg("run")
        .env("SERVER_NAME", "http://127.0.0.1:0")
        .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous")
        .env("NOTIFY_SOCKET", &manager.name)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// `READY=1` when the hub serves, and `STOPPING=1` when it drains, with what each means to a human; over
/// both kinds of address. The default window is within `TimeoutStopSec=5s`.
#[tokio::test]
async fn readiness_and_the_end_are_told() {
    let home = Home::new();
    let path = home.path().join("notify");
    for manager in [Manager::at_path(&path), Manager::with_abstract_name()] {
        let mut hub = start(&home, ORDINARY, &[("NOTIFY_SOCKET", &manager.name)]);
        let (ready, before) = manager.told("READY=1");
        let status = format!("\nSTATUS=Serving on [::]:{}", hub.address.port());
        assert!(ready.contains(&status), "{ready}");
        assert!(
            before.iter().all(|text| text.contains("STATUS=Opening")),
            "{before:?}"
        );
        let stream = hub.client().subscribe(&[exact("a")]).await;
        hub.terminate();
        let (stopping, before) = manager.told("STOPPING=1");
        assert_eq!(before, [""; 0], "no watchdog was asked for");
        assert!(extension(&stopping) < 5_000_000, "{stopping}");
        drop(stream);
        assert_eq!(hub.exit(PATIENCE).await.code(), Some(0));
    }
}

/// A hub with nothing to finish tells its end as well.
#[tokio::test]
async fn the_end_of_an_idle_hub_is_told() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    for _ in 0..5 {
        let hub = start(&home, ORDINARY, &[("NOTIFY_SOCKET", &manager.name)]);
        manager.told("READY=1");
        hub.stop().await;
        manager.told("STOPPING=1");
    }
}

/// A reload is told, with its time, and its end, although there is no file to read again.
#[tokio::test]
async fn a_reload_is_told() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let hub = start(&home, ORDINARY, &[("NOTIFY_SOCKET", &manager.name)]);
    manager.told("READY=1");
    let pid = Pid::from_raw(i32::try_from(hub.pid()).unwrap());
    kill_process(pid.unwrap(), Signal::USR1).unwrap();
    let (reloading, _) = manager.told("RELOADING=1");
    let time = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    let (ready, _) = manager.told("READY=1");
    assert!(ready.contains("\nSTATUS=Serving on "), "{ready}");
    hub.stop().await;
}

/// By default everything ends within five seconds, also a request that never does.
#[tokio::test]
async fn the_default_window_ends_within_five_seconds() {
    use tokio::io::AsyncWriteExt as _;
    let mut hub = Hub::start(ORDINARY);
    let mut socket = tokio::net::TcpStream::connect(hub.address).await.unwrap();
    let head = format!(
        "POST /.well-known/mercure HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\ntopic=",
        hub.host,
        hub.publisher_token(&[exact("*")])
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let start = Instant::now();
    hub.terminate();
    stream.end().await;
    assert_eq!(hub.exit(PATIENCE).await.code(), Some(0));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A longer window is asked for.
#[tokio::test]
async fn a_longer_window_is_asked_for() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let directives = format!("{ORDINARY}\ndrain_timeout 100s");
    let hub = start(&home, &directives, &[("NOTIFY_SOCKET", &manager.name)]);
    let _stream = hub.client().subscribe(&[exact("a")]).await;
    hub.terminate();
    let (stopping, _) = manager.told("STOPPING=1");
    assert!((100_500_000..110_000_000).contains(&extension(&stopping)));
}

/// A history that takes long to open, here because another hub has it: the time to start is extended again
/// and again, and `READY=1` comes when it is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_start_asks_for_time() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let first = start(&home, "", &[]);
    let mut second = spawn(&home, &manager);
    for _ in 0..2 {
        let (message, before) = manager.told("EXTEND_TIMEOUT_USEC=");
        assert!(
            message.contains("STATUS=Opening") && before.is_empty(),
            "{before:?}"
        );
        assert!(extension(&message) >= 10_000_000);
    }
    first.stop().await;
    manager.told("READY=1");
    end(&mut second, Some(0)).await;
}

/// A signal during such a start ends it, and the manager is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_stopped_says_so() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let _first = start(&home, "", &[]);
    let mut second = spawn(&home, &manager);
    manager.told("EXTEND_TIMEOUT_USEC=");
    end(&mut second, Some(0)).await;
    let (_, before) = manager.told("STOPPING=1");
    assert!(
        before.iter().all(|text| !text.contains("READY")),
        "{before:?}"
    );
}

async fn end(child: &mut Child, code: Option<i32>) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.unwrap(), Signal::TERM).unwrap();
    let status = within("the end of the program", async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(status.await.code(), code);
}

/// `WATCHDOG=1` comes again and again where `WATCHDOG_USEC` asks for it, also while streams end.
#[tokio::test]
async fn the_watchdog_is_fed() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let variables = [
        ("NOTIFY_SOCKET", manager.name.as_str()),
        ("WATCHDOG_USEC", "100000"),
    ];
    let hub = start(
        &home,
        &format!("{ORDINARY}\ndrain_timeout 100s"),
        &variables,
    );
    manager.told("READY=1");
    for _ in 0..3 {
        assert_eq!(manager.told("WATCHDOG=1").1, [""; 0]);
    }
    let _stream = hub.client().subscribe(&[exact("a")]).await;
    hub.terminate();
    manager.told("STOPPING=1");
    for _ in 0..3 {
        assert_eq!(manager.told("WATCHDOG=1").1, [""; 0]);
    }
}

/// `WATCHDOG_PID` names the process of which the manager wants to hear.
#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_of_another_process_is_not_fed() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let variables = [
        ("NOTIFY_SOCKET", manager.name.as_str()),
        ("WATCHDOG_USEC", "2000"),
        ("WATCHDOG_PID", "1"),
    ];
    let hub = start(&home, ORDINARY, &variables);
    hub.publisher().published(&[("topic", "a")]).await;
    hub.stop().await;
    let (_, before) = manager.told("STOPPING=1");
    assert!(
        before.iter().all(|text| !text.contains("WATCHDOG")),
        "{before:?}"
    );

    let mut ours = Command::new("sh")
        .args(["-c", "export WATCHDOG_PID=$$; exec \"$0\" run"])
        .arg(program())
        .current_dir(home.path())
        .env_clear()
        .env("XDG_DATA_HOME", home.path())
        .env("SERVER_NAME", "http://127.0.0.1:0")
        .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous")
        .env("NOTIFY_SOCKET", &manager.name)
        .env("WATCHDOG_USEC", "100000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    manager.told("WATCHDOG=1");
    end(&mut ours, Some(0)).await;
}

/// What is wrong with the manager is one warning that names the variable and its value, and the hub serves.
#[tokio::test]
async fn a_manager_that_is_not_there_is_one_warning() {
    let home = Home::new();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "").unwrap();
    drop(UnixDatagram::bind(path("dead")).unwrap());
    let _stream = UnixListener::bind(path("stream")).unwrap();
    let manager = Manager::at_path(Path::new(&path("notify")));
    let long = format!("/{}", "x".repeat(200));
    let mut cases: Vec<(String, &str, &str)> = ["missing", "file", "dead", "stream"]
        .iter()
        .map(|name| (path(name), "", "NOTIFY_SOCKET"))
        .collect();
    for name in ["relative", "vsock:2:1234", "@no-such-manager", &long] {
        cases.push((name.to_owned(), "", "NOTIFY_SOCKET"));
    }
    for microseconds in ["abc", "0", "-1", "1.5"] {
        cases.push((manager.name.clone(), microseconds, "WATCHDOG_USEC"));
    }
    for (socket, microseconds, variable) in cases {
        let mut variables = vec![("NOTIFY_SOCKET", socket.as_str())];
        if !microseconds.is_empty() {
            variables.push(("WATCHDOG_USEC", microseconds));
        }
        let hub = start(&home, ORDINARY, &variables);
        hub.publisher().published(&[("topic", "a")]).await;
        let said = hub.log_to_the_end().await;
        let warnings: Vec<_> = said
            .iter()
            .filter(|line| line.contains("systemd"))
            .collect();
        let value = if microseconds.is_empty() {
            &socket
        } else {
            microseconds
        };
        assert_eq!(warnings.len(), 1, "{socket}: {said:#?}");
        assert!(
            warnings[0].contains("WARN")
                && warnings[0].contains(variable)
                && warnings[0].contains(value),
            "{warnings:?}"
        );
    }
    let hub = start(&home, ORDINARY, &[("NOTIFY_SOCKET", "")]);
    assert!(!hub.log.since(0).iter().any(|line| line.contains("systemd")));
}

/// A manager that goes away later is one warning as well.
#[tokio::test]
async fn a_manager_that_goes_is_one_warning() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let variables = [
        ("NOTIFY_SOCKET", manager.name.as_str()),
        ("WATCHDOG_USEC", "2000"),
    ];
    let mut hub = start(&home, ORDINARY, &variables);
    manager.told("WATCHDOG=1");
    drop(manager);
    let warning = |line: &str| line.contains("systemd").then_some(());
    hub.log.find(0, PATIENCE, warning).unwrap();
    hub.publisher().published(&[("topic", "a")]).await;
    hub.terminate();
    assert_eq!(hub.exit(PATIENCE).await.code(), Some(0));
    let said = hub.log.since(0);
    assert_eq!(
        said.iter().filter_map(|line| warning(line)).count(),
        1,
        "{said:#?}"
    );
}

/// A manager that does not read delays neither the start nor requests nor the end, and hears that the hub
/// is ready once it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_does_not_read_delays_nothing() {
    let home = Home::new();
    let manager = Manager::at_path(&home.path().join("notify"));
    let flood = UnixDatagram::unbound().unwrap();
    flood.connect(&manager.name).unwrap();
    flood.set_nonblocking(true).unwrap();
    let fill = || while flood.send(b"STATUS=flood").is_ok() {};
    fill();
    let variables = [
        ("NOTIFY_SOCKET", manager.name.as_str()),
        ("WATCHDOG_USEC", "2000"),
    ];
    let mut hub = start(&home, ORDINARY, &variables);
    hub.publisher().published(&[("topic", "a")]).await;
    let told = tokio::task::spawn_blocking(move || {
        manager.told("READY=1");
        manager
    });
    let manager = within("READY=1", told).await.unwrap();
    fill();
    hub.publisher().published(&[("topic", "a")]).await;
    hub.terminate();
    assert_eq!(hub.exit(PATIENCE).await.code(), Some(0));
    drop(manager);
}
