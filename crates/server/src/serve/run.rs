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
use tokio::task::JoinSet;

use crate::serve::admission::Admission;
use crate::serve::connection::Context;
use crate::serve::listen::{Listeners, Serving};
use crate::serve::log::Log;
use crate::serve::proxies::Proxies;
use crate::serve::shutdown::Shutdown;
use crate::serve::signals::{Signals, Stop};
use crate::serve::site::Site;
use crate::serve::storage::{self, Storage};
use crate::serve::systemd::Manager;
use crate::serve::tls::Tls;
use crate::serve::{key_sets, report};

/// Streams that did not end within the drain window are cut this much later.
const LAST_WRITES: Duration = Duration::from_millis(500);
/// How long a service manager that does not listen delays a stop.
const LAST_WORD: Duration = Duration::from_millis(100);
/// The exit code of a second signal (B-021).
const FORCED: i32 = 2;

/// Serves until a signal ends it. `ready` is called once, when the first address is listening, on a
/// separate thread: it may print, and the reader of that may be slow.
pub(crate) fn serve(loaded: Loaded, ready: impl FnOnce(SocketAddr) + Send + 'static) -> ExitCode {
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
    let outcome = runtime.block_on(serve_until_signal(loaded.settings, signals, ready, &log));
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

async fn serve_until_signal(
    settings: Settings,
    mut signals: Signals,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
    log: &Log,
) -> Result<(), Error> {
    let manager = Manager::find(|name| std::env::var_os(name));
    report::write(&settings);
    let drain_timeout = settings.drain_timeout;
    let tls = Tls::new(&settings.addresses, &settings.certificate)?;
    let opened = open(&settings.transport, &manager, &mut signals.stop).await?;
    let Some(storage) = opened else {
        return Ok(());
    };
    let mut upkeep = JoinSet::new();
    upkeep.spawn(log.count_refusals());
    let (hub, serving) = start(settings, &storage, tls, &mut upkeep)?;
    for address in serving.addresses() {
        tracing::info!(%address, "listening");
    }
    if let Some(address) = serving.addresses().first() {
        let address = *address;
        upkeep.spawn_blocking(move || ready(address));
    }
    serve_until_stop(&manager, &hub, &serving, &mut signals).await;
    tracing::info!(
        drain_timeout = drain_timeout.as_secs_f64(),
        "stopping; a second signal exits at once"
    );
    tokio::select! {
        // First, so that the manager learns of the stop even if a second signal waits.
        biased;
        () = stop(&manager, hub, serving, drain_timeout) => {}
        () = signals.stop.next() => force(log),
    }
    tokio::select! {
        () = storage.close() => {}
        () = signals.stop.next() => force(log),
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
    let protocols = settings.protocols;
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
            protocols,
            alt_svc: None,
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

/// Keeps the service manager informed until a signal stops the program.
async fn serve_until_stop(manager: &Manager, hub: &Hub, serving: &Serving, signals: &mut Signals) {
    let addresses = serving.addresses().iter().map(ToString::to_string);
    let addresses: Vec<_> = addresses.collect();
    let status = format!("Serving on {}", addresses.join(", "));
    let mut serves = std::pin::pin!(manager.serving(&status, hub));
    loop {
        tokio::select! {
            never = &mut serves => match never {},
            () = signals.stop.next() => return,
            name = signals.ignored.next() => tracing::warn!(
                signal = name,
                "ignored: reload is not supported yet; restart the hub"
            ),
        }
    }
}

/// Closes the listeners, ends every stream within the window, and cuts the connections that are left.
async fn stop(manager: &Manager, hub: Hub, serving: Serving, window: Duration) {
    let at_most = window.saturating_add(LAST_WRITES);
    let stopped = async {
        let connections = serving.stop_listening().await;
        hub.drain(window);
        connections.finish(hub.drained(), at_most).await;
    };
    tokio::select! {
        // First, so that the manager is told even if there is nothing to wait for.
        biased;
        never = manager.draining(at_most, &hub) => match never {},
        () = stopped => {}
    }
}

/// Exits at once, because of a second signal.
fn force(log: &Log) -> ! {
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
