//! What the admin listener, signals and the watch over files ask of the running program.

mod reader;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_config::adapt::Adapted;
use talaria_config::{Error, File, Loaded};
use talaria_hub::Hub;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::reader::{Configuration, Reader, Source};

use crate::serve::changes::Changes;
use crate::serve::lock::lock;
use crate::serve::pidfile::Pidfile;
use crate::serve::revocations::RevocationFile;
use crate::serve::{autosave, clock};

/// Commands that may wait; each has a client that waits for its answer.
const WAITING: usize = 8;
/// How long a reload may take, such as one that opens another storage.
const RELOAD: Duration = Duration::from_secs(60);
/// How long the program may take to begin its end.
const STOP: Duration = Duration::from_secs(5);

/// What the running program is asked to do.
pub(crate) enum Command {
    /// Serve another configuration.
    Reload {
        /// The configuration, checked.
        loaded: Box<Loaded>,
        /// Gets the outcome, once the configuration is in force or refused.
        done: oneshot::Sender<Result<(), Error>>,
    },
    /// End in order.
    Stop {
        /// Told when the end has begun.
        done: oneshot::Sender<()>,
    },
}

/// The way to the running program.
pub(crate) type Commands = mpsc::Sender<Command>;

/// How the program was started.
pub(crate) struct Origin {
    /// What reads another configuration.
    pub reader: Arc<dyn Reader>,
    /// What the first one was read from.
    pub source: Source,
    /// The file that keeps what was loaded, for `run --resume`.
    pub autosave: Option<PathBuf>,
    /// The file to watch for changes, with those that it imports.
    pub watched: Option<PathBuf>,
    /// The file that holds the number of the process while it serves.
    pub pidfile: Option<PathBuf>,
}

/// How a reload ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reloaded {
    /// The new configuration is in force.
    InForce,
    /// It is the one that was in force already.
    Unchanged,
}

/// A hub that is served, and its name (B-1021).
#[derive(Clone)]
pub(crate) struct ServedHub {
    /// The name, `default` unless it has one.
    pub name: String,
    /// The hub.
    pub hub: Hub,
    /// Where its revocations are kept.
    pub revoked: RevocationFile,
    /// Where its updates are kept and for how long, as the report at the start says it.
    pub storage: Arc<str>,
}

/// The outcome of the last reload.
#[derive(Clone, Copy)]
pub(crate) struct LastReload {
    /// Whether the configuration came in force.
    pub succeeded: bool,
    /// When the last one did that came in force, in seconds since 1970.
    pub at: f64,
}

/// What is known about the running program, and the way to it. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Control(Arc<Shared>);

struct Shared {
    commands: Commands,
    reader: Option<Arc<dyn Reader>>,
    autosave: Option<PathBuf>,
    watched: Option<PathBuf>,
    pidfile: Option<Pidfile>,
    source: Mutex<Option<Arc<Source>>>,
    hubs: Mutex<Arc<[ServedHub]>>,
    /// Held while other hubs come in force, and while revocations do.
    exchange: Mutex<()>,
    changes: Changes,
    /// One reload at a time.
    turn: Arc<Semaphore>,
    /// The reload that has the turn; it ends when the program stops.
    reloads: TaskTracker,
    stopping: CancellationToken,
    started: f64,
    last: Mutex<LastReload>,
}

impl Control {
    /// The control of a program, and what it is asked. Without an origin it cannot be reloaded.
    pub(crate) fn new(origin: Option<Origin>) -> (Self, mpsc::Receiver<Command>) {
        let (commands, asked) = mpsc::channel(WAITING);
        let started = clock::unix_now();
        let (reader, source, [autosave, watched, pidfile]) = match origin {
            Some(origin) => (
                Some(origin.reader),
                Some(Arc::new(origin.source)),
                [origin.autosave, origin.watched, origin.pidfile],
            ),
            None => (None, None, [None, None, None]),
        };
        let shared = Shared {
            commands,
            reader,
            autosave,
            watched,
            pidfile: pidfile.map(Pidfile::new),
            source: Mutex::new(source),
            hubs: Mutex::new(Arc::from([])),
            exchange: Mutex::default(),
            changes: Changes::default(),
            turn: Arc::new(Semaphore::new(1)),
            reloads: TaskTracker::new(),
            stopping: CancellationToken::new(),
            started,
            last: Mutex::new(LastReload {
                succeeded: true,
                at: started,
            }),
        };
        (Self(Arc::new(shared)), asked)
    }

    /// Says which hubs are served from now on.
    pub(crate) fn serve(&self, hubs: Vec<ServedHub>) {
        *lock(&self.0.hubs) = hubs.into();
    }

    /// Has other hubs come in force. No revocation does meanwhile, which would be one of the old hubs alone.
    pub(crate) fn exchange<T>(&self, exchange: impl FnOnce() -> (Vec<ServedHub>, T)) -> T {
        let _held = lock(&self.0.exchange);
        let (hubs, result) = exchange();
        self.serve(hubs);
        result
    }

    /// Does something to the hubs that are served, which stay until it is done.
    pub(crate) fn with_hubs<T>(&self, act: impl FnOnce(&[ServedHub]) -> T) -> T {
        let _held = lock(&self.0.exchange);
        act(&self.hubs())
    }

    /// Where changes of revocations are stored.
    pub(crate) fn changes(&self) -> &Changes {
        &self.0.changes
    }

    /// Says that the program serves: writes the file with its number.
    pub(crate) fn ready(&self) {
        if let Some(pidfile) = &self.0.pidfile {
            pidfile.write();
        }
    }

    /// Says that the process ends: removes that file.
    pub(crate) fn leave(&self) {
        if let Some(pidfile) = &self.0.pidfile {
            pidfile.remove();
        }
    }

    /// The file to watch for changes.
    pub(crate) fn watched(&self) -> Option<PathBuf> {
        self.0.watched.clone()
    }

    /// The hubs that are served.
    pub(crate) fn hubs(&self) -> Arc<[ServedHub]> {
        Arc::clone(&lock(&self.0.hubs))
    }

    /// What the configuration in force was read from; `None` if nothing can be said of it.
    pub(crate) fn source(&self) -> Option<Arc<Source>> {
        lock(&self.0.source).clone()
    }

    /// Says that the program has been told to stop.
    pub(crate) fn begin_stop(&self) {
        self.0.stopping.cancel();
    }

    /// Whether the program has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// When the program started, in seconds since 1970.
    pub(crate) fn started(&self) -> f64 {
        self.0.started
    }

    /// The outcome of the last reload; at first, that of the start.
    pub(crate) fn last_reload(&self) -> LastReload {
        *lock(&self.0.last)
    }

    /// Asks the program to end, and waits until it has begun to.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn stop(&self) -> Result<(), Error> {
        if self.is_stopping() {
            return Ok(());
        }
        let (done, begun) = oneshot::channel();
        let asked = async {
            self.0.commands.send(Command::Stop { done }).await.ok()?;
            begun.await.ok()
        };
        match timeout(STOP, asked).await {
            Ok(Some(())) => Ok(()),
            _ if self.is_stopping() => Ok(()),
            _ => Err(Error::new("the program does not answer").remedy("send it SIGTERM")),
        }
    }

    /// Puts the text of a file in force, unless it is what is in force already and nothing `forces` it. The
    /// text is kept for `run --resume`. What was begun is done, even if the caller does not wait for it.
    ///
    /// # Errors
    /// The configuration is wrong, or the program cannot serve it; then the old one stays.
    pub(crate) async fn load(&self, file: File, forces: bool) -> Result<Reloaded, Error> {
        let kept = Some(file.clone());
        let reader = self.reader()?;
        self.reload(move || reader.read(file), forces, kept).await
    }

    /// Reads the file again that the program was started with. What was kept for `run --resume` is removed then,
    /// because the file is newer.
    ///
    /// # Errors
    /// As [`Self::load`], and there is no such file.
    pub(crate) async fn load_again(&self, forces: bool) -> Result<Reloaded, Error> {
        let reader = self.reader()?;
        self.reload(move || reader.again(), forces, None).await
    }

    /// The files that the file of the start imports now, even if one of them is wrong.
    pub(crate) async fn imports(&self) -> Vec<PathBuf> {
        let Some(reader) = self.0.reader.clone() else {
            return Vec::new();
        };
        let read = tokio::task::spawn_blocking(move || reader.imports()).await;
        read.unwrap_or_default()
    }

    /// The directives of a text.
    ///
    /// # Errors
    /// As [`Reader::adapt`], and this program reads no configuration.
    pub(crate) async fn adapt(&self, file: File) -> Result<Adapted, Error> {
        let reader = self.reader()?;
        let adapted = tokio::task::spawn_blocking(move || reader.adapt(file)).await;
        adapted.map_err(Error::from_cause)?
    }

    fn reader(&self) -> Result<Arc<dyn Reader>, Error> {
        self.0.reader.clone().ok_or_else(|| {
            Error::new("nothing configures this hub, so there is nothing to reload")
                .remedy("run `talaria run` with a configuration")
        })
    }

    /// Takes the turn, and has a task of the program do the rest: a client that hangs up must not leave a
    /// configuration in force of which nothing is known.
    async fn reload(
        &self,
        read: impl FnOnce() -> Result<Configuration, Error> + Send + 'static,
        forces: bool,
        kept: Option<File>,
    ) -> Result<Reloaded, Error> {
        let turn = timeout(RELOAD, Arc::clone(&self.0.turn).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Error::new("another reload is under way").remedy("try again later"));
        };
        let (tell, told) = oneshot::channel();
        let control = self.clone();
        self.0.reloads.spawn(async move {
            let reloaded = control.reload_in_turn(read, forces, kept).await;
            control.record(reloaded.is_ok());
            drop(turn);
            // The caller may be gone.
            _ = tell.send(reloaded);
        });
        match timeout(RELOAD, told).await {
            Ok(Ok(reloaded)) => reloaded,
            Ok(Err(_)) => Err(Error::new("the reload broke off")
                .remedy("restart the hub with the configuration that it shall serve")),
            Err(_) => Err(Error::new("the reload is still under way after a minute")
                .remedy("the log of the hub says how it ends")),
        }
    }

    fn record(&self, succeeded: bool) {
        let mut last = lock(&self.0.last);
        last.succeeded = succeeded;
        if succeeded {
            last.at = clock::unix_now();
        }
    }

    async fn reload_in_turn(
        &self,
        read: impl FnOnce() -> Result<Configuration, Error> + Send + 'static,
        forces: bool,
        kept: Option<File>,
    ) -> Result<Reloaded, Error> {
        let read = tokio::task::spawn_blocking(read).await;
        let Configuration { loaded, source } = read.map_err(Error::from_cause)??;
        let persists = loaded.settings.program.admin.persists;
        let current = self.source();
        let is_unchanged = !forces && current.is_some_and(|current| current.equals(&source));
        if !is_unchanged {
            self.put_in_force(loaded).await?;
            *lock(&self.0.source) = Some(Arc::new(source));
        } else if kept.is_none() {
            return Ok(Reloaded::Unchanged);
        }
        self.keep(kept.filter(|_| persists)).await;
        Ok(match is_unchanged {
            true => Reloaded::Unchanged,
            false => Reloaded::InForce,
        })
    }

    /// Has the program serve a configuration, which takes as long as it takes.
    async fn put_in_force(&self, loaded: Loaded) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        let command = Command::Reload {
            loaded: Box::new(loaded),
            done,
        };
        let answered = async {
            self.0.commands.send(command).await.ok()?;
            outcome.await.ok()
        };
        let answered = tokio::select! {
            biased;
            outcome = answered => outcome,
            () = self.0.stopping.cancelled() => None,
        };
        answered.ok_or_else(|| Error::new("the program is stopping"))?
    }

    /// Keeps a text for `run --resume`; without one, what was kept is removed, so that no older configuration comes
    /// back.
    async fn keep(&self, kept: Option<File>) {
        let Some(path) = self.0.autosave.clone() else {
            return;
        };
        let saved = tokio::task::spawn_blocking(move || match kept {
            Some(file) => autosave::write(&path, &file),
            None => autosave::remove(&path),
        });
        if let Err(error) = saved.await.map_err(Error::from_cause).flatten() {
            tracing::warn!(name: "config_not_kept", %error, "what `run --resume` starts with is not the configuration in force");
        }
    }
}

#[cfg(test)]
mod tests;
