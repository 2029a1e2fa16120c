//! Runs a hub: wires settings, storage, hub and listeners, and ends them in order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use talaria_config::settings::TransportSettings;
use talaria_config::{Error, Level, Loaded, Settings};
use tokio::task::JoinSet;

use crate::serve::hubs::{self, Hubs, Store};
use crate::serve::log::Log;
use crate::serve::program::Program;
use crate::serve::report;
use crate::serve::signals::{Signals, Stop};
use crate::serve::systemd::Manager;
use crate::serve::tls::Tls;

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
            let log = Log::start(loaded.settings.program.log.clone())?;
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
    let sites = settings.sites.iter();
    let certified: Vec<_> = sites.flat_map(|site| site.certificates.clone()).collect();
    let tls = Tls::new(&certified, &settings.program.sni)?;
    let opened = open(settings.stores.clone(), &manager, &mut signals.stop).await?;
    let Some(stores) = opened else {
        return Ok(());
    };
    let mut upkeep = JoinSet::new();
    upkeep.spawn(log.count_refusals());
    let skip_install_trust = settings.program.skip_install_trust;
    let program = Program::start(settings, stores, &tls)?;
    keep(tls, skip_install_trust, &mut upkeep);
    let addresses = program.addresses();
    for address in &addresses {
        tracing::info!(%address, "listening");
    }
    if let Some(address) = addresses.first().copied() {
        upkeep.spawn_blocking(move || ready(address));
    }
    serve_until_stop(&manager, &program, &addresses, &mut signals).await;
    tracing::info!(
        drain_timeout = program.drain_timeout().as_secs_f64(),
        "stopping; a second signal exits at once"
    );
    let hubs = tokio::select! {
        // First, so that the manager learns of the stop even if a second signal waits.
        biased;
        hubs = stop(&manager, program) => hubs,
        () = signals.stop.next() => force(log),
    };
    tokio::select! {
        () = hubs.close() => {}
        () = signals.stop.next() => force(log),
    }
    log.count_last_refusals();
    tracing::info!("stopped");
    Ok(())
}

/// Opens the stores; `None` if a signal stops the program before that is done.
async fn open(
    stores: Vec<TransportSettings>,
    manager: &Manager,
    stop: &mut Stop,
) -> Result<Option<Vec<Store>>, Error> {
    let opening = tokio::task::spawn_blocking(move || hubs::open(stores));
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

/// Keeps the certificates valid; `upkeep` gets the tasks that end with the program.
fn keep(tls: Tls, skip_install_trust: bool, upkeep: &mut JoinSet<()>) {
    let tls = Arc::new(tls);
    if !skip_install_trust {
        let tls = Arc::clone(&tls);
        upkeep.spawn(async move { tls.trust().await });
    }
    upkeep.spawn(async move { tls.renew().await });
}

/// Keeps the service manager informed until a signal stops the program.
async fn serve_until_stop(
    manager: &Manager,
    program: &Program,
    addresses: &[SocketAddr],
    signals: &mut Signals,
) {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let status = format!("Serving on {}", addresses.join(", "));
    let mut serves = std::pin::pin!(manager.serving(&status, program.hubs()));
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

/// Stops the program, and tells the manager meanwhile.
async fn stop(manager: &Manager, program: Program) -> Hubs {
    let hubs = Arc::clone(program.hubs());
    let at_most = program.stops_within();
    tokio::select! {
        // First, so that the manager is told even if there is nothing to wait for.
        biased;
        never = manager.draining(at_most, &hubs) => match never {},
        hubs = program.stop() => hubs,
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
