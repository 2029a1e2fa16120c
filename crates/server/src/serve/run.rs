//! Runs a hub: wires settings, storage, hub and listeners, and ends them in order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use talaria_config::settings::TransportSettings;
use talaria_config::{Error, Level, Loaded, Settings};
use talaria_hub::{Hub, HubBuilder};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::serve::admin::Admin;
use crate::serve::admission::Admission;
use crate::serve::connection::Context;
use crate::serve::control::{Command, Control, Origin, ServedHub};
use crate::serve::listen::{Listeners, Serving};
use crate::serve::log::Log;
use crate::serve::proxies::Proxies;
use crate::serve::shutdown::Shutdown;
use crate::serve::signals::{self, Ignored, Reload, Signals, Stop};
use crate::serve::site::Site;
use crate::serve::storage::{self, Storage};
use crate::serve::systemd::Manager;
use crate::serve::tls::Tls;
use crate::serve::{key_sets, report, watch};

/// Streams that did not end within the drain window are cut this much later.
const LAST_WRITES: Duration = Duration::from_millis(500);
/// How long a service manager that does not listen delays a stop.
const LAST_WORD: Duration = Duration::from_millis(100);
/// The exit code of a second signal (B-021).
const FORCED: i32 = 2;

/// Serves what cannot be reloaded, until a signal ends it. `ready` is called once, when the first address is
/// listening, on a separate thread: it may print, and the reader of that may be slow.
pub(crate) fn serve(loaded: Loaded, ready: impl FnOnce(SocketAddr) + Send + 'static) -> ExitCode {
    serve_from(loaded, None, ready)
}

/// As [`serve`]; `origin` says what the configuration was read from and how another is read.
pub(crate) fn serve_from(
    loaded: Loaded,
    origin: Option<Origin>,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let started = runtime
        .map_err(|error| Error::new("the runtime cannot be started").caused_by(error))
        .and_then(|runtime| {
            // Before the log: a file that may not grow must not end the process at its first line.
            let signals = Signals::handle(&runtime)
                .map_err(|error| Error::new("signals cannot be handled").caused_by(error))?;
            let log = Log::start(loaded.settings.log.clone())?;
            Ok((runtime, signals, log))
        });
    let (runtime, signals, log) = match started {
        Ok(started) => started,
        Err(error) => {
            // There is nowhere else to say that standard error is gone.
            _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::FAILURE;
        }
    };
    for notice in &loaded.notices {
        match notice.level {
            Level::Info => tracing::info!("{}", notice.text),
            Level::Warning => tracing::warn!("{}", notice.text),
        }
    }
    raise_file_limit();
    use_small_pages();
    let (control, commands) = Control::new(origin);
    let Signals {
        stop,
        reload,
        mut quit,
        ignored,
    } = signals;
    let asked = Asked {
        stop,
        reload,
        ignored,
        commands,
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            () = quit.next() => force(&log, &control),
            outcome = serve_until_signal(loaded.settings, asked, ready, &log, &control) => outcome,
        }
    });
    control.leave();
    // What is left had its time, so nothing waits for it.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// What the program is asked from outside while it runs.
struct Asked {
    stop: Stop,
    reload: Reload,
    ignored: Ignored,
    commands: mpsc::Receiver<Command>,
}

async fn serve_until_signal(
    settings: Settings,
    mut asked: Asked,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
    log: &Log,
    control: &Control,
) -> Result<(), Error> {
    let manager = Manager::find(|name| std::env::var_os(name));
    report::write(&settings);
    let end = End::of(&settings);
    let admin = settings.admin.clone();
    let tls = Tls::new(&settings.addresses, &settings.certificate)?;
    let opened = open(&settings.transport, &manager, &mut asked.stop).await?;
    let Some(storage) = opened else {
        return Ok(());
    };
    let mut upkeep = JoinSet::new();
    upkeep.spawn(log.count_refusals());
    let (hub, serving) = start(settings, &storage, tls, &mut upkeep)?;
    for address in serving.addresses() {
        tracing::info!(%address, "listening");
    }
    control.serve(vec![ServedHub {
        name: "default".to_owned(),
        hub: hub.clone(),
    }]);
    let _admin = Admin::start(&admin, control.clone());
    if let Some(file) = control.watched() {
        upkeep.spawn(watch::watch(control.clone(), file));
    }
    if let Some(address) = serving.addresses().first() {
        let (address, control) = (*address, control.clone());
        upkeep.spawn_blocking(move || {
            control.ready();
            ready(address);
        });
    }
    serve_until_stop(&manager, &hub, &serving, &mut asked, control).await;
    control.begin_stop();
    if !end.delay.is_zero() {
        let delay = end.delay.as_secs_f64();
        tracing::info!(
            delay,
            "told to stop; serving goes on until shutdown_delay is over"
        );
        let at_most = end.delay.saturating_add(end.at_most);
        tokio::select! {
            never = manager.draining(at_most, &hub) => match never {},
            () = tokio::time::sleep(end.delay) => {}
            () = asked.stop.again() => force(log, control),
        }
    }
    tracing::info!(
        drain_timeout = end.window.as_secs_f64(),
        "stopping; a second signal exits at once"
    );
    tokio::select! {
        // First, so that the manager learns of the stop even if a second signal waits.
        biased;
        () = stop(&manager, hub, serving, &end) => {}
        () = asked.stop.again() => force(log, control),
    }
    tokio::select! {
        () = storage.close() => {}
        () = asked.stop.again() => force(log, control),
    }
    log.count_last_refusals();
    tracing::info!("stopped");
    Ok(())
}

/// Opens the storage; `None` if a signal stops the program before that is done.
async fn open(
    settings: &TransportSettings,
    manager: &Manager,
    stop: &mut Stop,
) -> Result<Option<Storage>, Error> {
    let settings = settings.clone();
    let opening = tokio::task::spawn_blocking(move || storage::open(&settings));
    tokio::select! {
        never = manager.starting() => match never {},
        opened = opening => opened.map_err(Error::from_cause)?.map(Some),
        () = stop.next() => {
            // A manager that is stuck is not waited for.
            _ = tokio::time::timeout(LAST_WORD, manager.stopping()).await;
            Ok(None)
        }
    }
}

/// Starts the hub and what it needs; `upkeep` gets the tasks that end with the program.
fn start(
    settings: Settings,
    storage: &Storage,
    tls: Option<Tls>,
    upkeep: &mut JoinSet<()>,
) -> Result<(Hub, Serving), Error> {
    let dispatch_timeout = settings.dispatch_timeout;
    let addresses = settings.addresses.clone();
    let redirects = settings.redirects;
    let skip_install_trust = settings.skip_install_trust;
    let proxies = Proxies::from(settings.proxies.clone());
    let connections = settings.connections.clone();
    let key_sets = settings.key_sets.clone();
    let (routes, access_log) = (settings.routes, settings.access_log);
    let transport = Arc::clone(&storage.transport);
    let hub = HubBuilder::from(settings.hub).transport(transport);
    let hub = hub.build().map_err(Error::from_cause)?;
    key_sets::follow(key_sets, upkeep)?;
    let listeners = Listeners::bind(&addresses, redirects)?;
    let descriptors = getrlimit(Resource::Nofile).current;
    let admission = Admission::new(&connections, descriptors, proxies.clone());
    let shutdown = Shutdown::default();
    let site = Site::new(hub.clone(), proxies, routes, access_log, &shutdown.stopping)?;
    let serving = Serving::start(
        listeners,
        tls.as_ref(),
        shutdown.clone(),
        |hosts, acceptor| Context {
            site: site.for_hosts(hosts),
            acceptor,
            dispatch_timeout,
            head: connections.head,
            max_streams: connections.streams,
            admission: admission.clone(),
            shutdown: shutdown.clone(),
        },
    );
    if let Some(tls) = tls {
        let tls = Arc::new(tls);
        if !skip_install_trust {
            let tls = Arc::clone(&tls);
            upkeep.spawn_blocking(move || tls.trust());
        }
        upkeep.spawn(async move { tls.renew().await });
    }
    Ok((hub, serving))
}

/// Keeps the service manager informed until a signal or the admin listener stops the program.
async fn serve_until_stop(
    manager: &Manager,
    hub: &Hub,
    serving: &Serving,
    asked: &mut Asked,
    control: &Control,
) {
    // The reload that a signal asked for; at most one.
    let mut reloading = JoinSet::new();
    let addresses = serving.addresses().iter().map(ToString::to_string);
    let addresses: Vec<_> = addresses.collect();
    let status = format!("Serving on {}", addresses.join(", "));
    let mut serves = std::pin::pin!(manager.serving(&status, hub));
    loop {
        tokio::select! {
            never = &mut serves => match never {},
            () = asked.stop.next() => return,
            name = asked.ignored.next() => tracing::warn!(
                signal = name,
                "ignored: SIGUSR1 reloads the configuration, SIGTERM stops the hub"
            ),
            () = asked.reload.next() => {
                manager.reloading().await;
                if reloading.is_empty() {
                    reloading.spawn(signals::reload(control.clone()));
                }
            }
            Some(_) = reloading.join_next() => manager.reloaded(&status).await,
            Some(command) = asked.commands.recv() => match command {
                Command::Stop { done } => {
                    asked.stop.told();
                    control.begin_stop();
                    // The client may be gone.
                    _ = done.send(());
                    return;
                }
                Command::Reload { loaded, text, done } => {
                    let addresses = loaded.settings.addresses.len();
                    tracing::debug!(bytes = text.len(), addresses, "a configuration was not loaded");
                    let error = Error::new("this version cannot reload its configuration yet")
                        .remedy("restart the hub; its clients come back and miss nothing");
                    _ = done.send(Err(error));
                }
            },
        }
    }
}

/// Closes the listeners, ends every stream within the window, and cuts the connections that are left.
async fn stop(manager: &Manager, hub: Hub, serving: Serving, end: &End) {
    let at_most = end.at_most;
    let stopped = async {
        let connections = serving.stop_listening().await;
        hub.drain(end.window);
        connections.finish(hub.drained(), at_most).await;
    };
    tokio::select! {
        // First, so that the manager is told even if there is nothing to wait for.
        biased;
        never = manager.draining(at_most, &hub) => match never {},
        () = stopped => {}
    }
}

/// How the program ends.
struct End {
    /// How long it goes on serving (`shutdown_delay`).
    delay: Duration,
    /// When streams end (`drain_timeout`).
    window: Duration,
    /// When what is left is cut (`grace_period`).
    at_most: Duration,
}

impl End {
    fn of(settings: &Settings) -> Self {
        let (window, grace) = (settings.drain_timeout, settings.grace_period);
        Self {
            delay: settings.shutdown_delay,
            window: grace.map_or(window, |grace| window.min(grace)),
            at_most: grace.unwrap_or_else(|| window.saturating_add(LAST_WRITES)),
        }
    }
}

/// Exits at once, because of a second signal or SIGQUIT.
fn force(log: &Log, control: &Control) -> ! {
    control.leave();
    log.finish();
    std::process::exit(FORCED)
}

/// Every stream is a file, and the soft limit of most systems allows only a thousand.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// An idle connection's buffers are mostly untouched, and a huge page makes all of it resident:
/// measured 21.9 instead of 13.2 KB an idle subscriber.
fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}
