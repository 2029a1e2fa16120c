//! Notifies systemd on `NOTIFY_SOCKET`: sd_notify(3), sd_watchdog_enabled(3).
//!
//! The crate `sd-notify` sends on a blocking socket, and the hub must not wait for the manager.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::future::pending;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use talaria_hub::Hub;
use tokio::net::UnixDatagram;
use tokio::sync::watch;

/// How much more time a long start asks for at once.
const EXTENSION: Duration = Duration::from_secs(20);
/// How often a long start asks for more time.
const EXTEND_EVERY: Duration = Duration::from_secs(2);
/// How long a manager that does not read delays the program.
pub(crate) const LAST_WORD: Duration = Duration::from_millis(100);
/// How much longer than its window a stop may take.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// The service manager, if one asks for notifications. Only the first failure to notify it is logged.
pub(crate) struct Manager {
    /// The socket, and its name in the environment.
    socket: Option<(UnixDatagram, OsString)>,
    /// How often it expects a sign of life.
    ping_every: Option<Duration>,
    warned: AtomicBool,
}

impl Manager {
    /// Finds the manager by the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. Needs the
    /// runtime.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
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

    /// Reports again and again that the hub is starting, because opening a long history may take longer than
    /// the manager waits.
    pub(crate) async fn starting(&self) -> Infallible {
        let text = format!(
            "STATUS=Opening the storage\nEXTEND_TIMEOUT_USEC={}",
            EXTENSION.as_micros()
        );
        loop {
            self.tell(&text).await;
            tokio::time::sleep(EXTEND_EVERY).await;
        }
    }

    /// Reports that the hub serves.
    pub(crate) async fn serving(&self, status: &str) {
        self.tell_soon(&format!("READY=1\nSTATUS={status}")).await;
    }

    /// Reports that the configuration is being read again; [`Self::serving`] must follow, whatever comes of it.
    pub(crate) async fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        let text = format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros());
        self.tell_soon(&text).await;
    }

    /// Reports that the hub stops within `at_most`, and then that it is alive.
    pub(crate) async fn draining(&self, at_most: Duration, hubs: &[Hub]) -> Infallible {
        let text = format!(
            "STOPPING=1\nSTATUS=Ending the streams\nEXTEND_TIMEOUT_USEC={}",
            at_most.saturating_add(STOP_MARGIN).as_micros()
        );
        self.tell(&text).await;
        let (_sender, hubs) = watch::channel(hubs.into());
        self.ping(hubs).await
    }

    /// Reports that the hub stops before it has served.
    pub(crate) async fn stopping(&self) {
        self.tell("STOPPING=1").await;
    }

    /// Reports again and again that the hub is alive: that a worker of the runtime runs a task, and the task
    /// gets the lock that every update and every subscriber needs.
    pub(crate) async fn ping(&self, hubs: watch::Receiver<Arc<[Hub]>>) -> Infallible {
        let Some(every) = self.ping_every else {
            return pending().await;
        };
        loop {
            tokio::time::sleep(every).await;
            let hubs = Arc::clone(&hubs.borrow());
            let probe = async move { hubs.iter().for_each(Hub::probe) };
            if tokio::spawn(probe).await.is_ok() {
                self.tell("WATCHDOG=1").await;
            }
        }
    }

    /// Tells the manager something, unless it does not read for long.
    async fn tell_soon(&self, text: &str) {
        _ = tokio::time::timeout(LAST_WORD, self.tell(text)).await;
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
            tracing::warn!(name: "systemd_unreachable", variable, ?value, error, "systemd cannot be notified");
        }
    }
}

/// Connects a datagram socket to `name`: a path, or with a leading `@` an abstract name.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        #[cfg(target_os = "linux")]
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
