//! What systemd is told on `NOTIFY_SOCKET`: sd_notify(3), sd_watchdog_enabled(3).
//!
//! Ours, because the hub must not wait for the manager: the crate `sd-notify` sends on a blocking socket.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::future::pending;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use talaria_hub::Hub;
use tokio::net::UnixDatagram;

/// What a start that lasts asks for at a time …
const EXTENSION: Duration = Duration::from_secs(20);
/// … and how often.
const EXTEND_EVERY: Duration = Duration::from_secs(2);
/// What a stop may take beyond its window.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// The service manager, if one wants to be told. Whatever is wrong with it is one warning.
pub struct Manager {
    /// The socket, and what it is called in the environment.
    socket: Option<(UnixDatagram, OsString)>,
    /// How often it wants to hear that the hub is alive.
    ping_every: Option<Duration>,
    warned: AtomicBool,
}

impl Manager {
    /// The manager that `variable` gives by `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. Needs
    /// the runtime.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut manager = Self {
            socket: None,
            ping_every: None,
            warned: AtomicBool::new(false),
        };
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return manager;
        };
        match connect(&name) {
            Ok(socket) => manager.socket = Some((socket, name)),
            Err(error) => {
                manager.warn("NOTIFY_SOCKET", &name, &error.to_string());
                return manager;
            }
        }
        let ours = |pid: &OsString| pid.to_str() == Some(&std::process::id().to_string());
        if variable("WATCHDOG_PID").is_none_or(|pid| ours(&pid))
            && let Some(text) = variable("WATCHDOG_USEC")
        {
            match text.to_str().and_then(|text| text.parse().ok()) {
                Some(microseconds @ 1..) => {
                    let every = Duration::from_micros(microseconds) / 2;
                    manager.ping_every = Some(every.max(Duration::from_millis(1)));
                }
                _ => manager.warn(
                    "WATCHDOG_USEC",
                    &text,
                    "this is not a number of microseconds",
                ),
            }
        }
        manager
    }

    /// Says that the hub is starting, and goes on to, since opening a long history may take longer
    /// than the manager waits.
    pub async fn starting(&self) -> Infallible {
        let text = format!(
            "STATUS=Opening the storage\nEXTEND_TIMEOUT_USEC={}",
            EXTENSION.as_micros()
        );
        loop {
            self.tell(&text).await;
            tokio::time::sleep(EXTEND_EVERY).await;
        }
    }

    /// Says that the hub serves, and then that it is alive.
    pub async fn serving(&self, status: &str, hub: &Hub) -> Infallible {
        self.tell(&format!("READY=1\nSTATUS={status}")).await;
        self.ping(hub).await
    }

    /// Says that the hub stops within `at_most`, and that it is alive meanwhile.
    pub async fn draining(&self, at_most: Duration, hub: &Hub) -> Infallible {
        let text = format!(
            "STOPPING=1\nSTATUS=Ending the streams\nEXTEND_TIMEOUT_USEC={}",
            at_most.saturating_add(STOP_MARGIN).as_micros()
        );
        self.tell(&text).await;
        self.ping(hub).await
    }

    /// Says that the hub stops before it has served.
    pub async fn stopping(&self) {
        self.tell("STOPPING=1").await;
    }

    /// Says again and again that the hub is alive: a worker of the runtime takes a task, and that the
    /// lock through which every update and every subscriber goes.
    async fn ping(&self, hub: &Hub) -> Infallible {
        let Some(every) = self.ping_every else {
            return pending().await;
        };
        loop {
            tokio::time::sleep(every).await;
            let hub = hub.clone();
            if tokio::spawn(async move { hub.probe() }).await.is_ok() {
                self.tell("WATCHDOG=1").await;
            }
        }
    }

    async fn tell(&self, text: &str) {
        if let Some((socket, name)) = &self.socket
            && let Err(error) = socket.send(text.as_bytes()).await
        {
            self.warn("NOTIFY_SOCKET", name, &error.to_string());
        }
    }

    fn warn(&self, variable: &str, value: &OsStr, error: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                variable,
                ?value,
                error,
                "systemd cannot be told about the hub"
            );
        }
    }
}

/// A datagram socket that sends to `name`: a path, or with a leading `@` an abstract name.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => {
            let form = "neither an absolute path nor @ and an abstract name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, form));
        }
    };
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}
