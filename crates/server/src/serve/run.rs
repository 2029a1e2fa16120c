//! Runs a hub: wires settings, storage, hub and listeners, and ends them in order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use talaria_config::{Error, Level, Loaded, Notice, Settings};
use talaria_hub::Hub;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::serve::admin::Admin;
use crate::serve::control::{Command, Control, Origin};
use crate::serve::hubs::{self, Hubs, Store, Wanted, wanted};
use crate::serve::log::Log;
use crate::serve::metrics::Metrics;
use crate::serve::program::{Program, certified};
use crate::serve::signals::{self, Ignored, Reload, Signals, Stop};
use crate::serve::systemd::{LAST_WORD, Manager};
use crate::serve::tls::Tls;
use crate::serve::{report, watch as watching};

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
            let log = Log::start(&loaded.settings.program.log)?;
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
    tell(&loaded.notices);
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
    let admin = settings.program.admin.clone();
    let tls = Tls::new(&certified(&settings.sites), &settings.program.sni)?;
    let opened = open(
        wanted(&settings.hubs, &settings.stores),
        &manager,
        &mut asked.stop,
    )
    .await?;
    let Some(stores) = opened else {
        return Ok(());
    };
    let mut upkeep = JoinSet::new();
    upkeep.spawn(log.count_refusals());
    let tls = Arc::new(tls);
    let skip_install_trust = settings.program.skip_install_trust;
    let metrics = Metrics::new(control.clone());
    let mut program = Program::start(settings, stores, Arc::clone(&tls), metrics.clone())?;
    keep(tls, skip_install_trust, &mut upkeep);
    let addresses = program.addresses();
    for address in &addresses {
        tracing::info!(name: "listening", %address, "listening");
    }
    control.serve(program.named_hubs());
    let mut admin = Admin::start(&admin, control.clone(), metrics);
    if let Some(file) = control.watched() {
        upkeep.spawn(watching::watch(control.clone(), file));
    }
    if let Some(address) = addresses.first().copied() {
        let control = control.clone();
        upkeep.spawn_blocking(move || {
            control.ready();
            ready(address);
        });
    }
    serve_until_stop(&manager, &mut program, &mut asked, control, &mut admin, log).await;
    control.begin_stop();
    // Whatever is asked from now on is told so.
    asked.commands.close();
    while asked.commands.try_recv().is_ok() {}
    end(&manager, program, &mut asked.stop, control, log).await;
    log.count_last_refusals();
    tracing::info!(name: "stopped", "stopped");
    Ok(())
}

/// Ends what is served, in order; a second signal ends the process.
async fn end(manager: &Manager, program: Program, second: &mut Stop, control: &Control, log: &Log) {
    if !program.delay().is_zero() {
        let delay = program.delay().as_secs_f64();
        tracing::info!(
            name: "stop_delayed",
            delay,
            "told to stop; serving goes on until shutdown_delay is over"
        );
        let at_most = program.delay().saturating_add(program.stops_within());
        tokio::select! {
            never = manager.draining(at_most, program.hubs()) => match never {},
            () = tokio::time::sleep(program.delay()) => {}
            () = second.again() => force(log, control),
        }
    }
    tracing::info!(
        name: "stopping",
        drain_timeout = program.window().as_secs_f64(),
        "stopping; a second signal exits at once"
    );
    let hubs = tokio::select! {
        // First, so that the manager learns of the stop even if a second signal waits.
        biased;
        hubs = stop(manager, program) => hubs,
        () = second.again() => force(log, control),
    };
    // What is asked about health must not hold the hubs.
    control.serve(Vec::new());
    let closed = async {
        control.changes().finish().await;
        hubs.close().await;
    };
    tokio::select! {
        () = closed => {}
        () = second.again() => force(log, control),
    }
}

/// Opens the stores; `None` if a signal stops the program before that is done.
async fn open(
    stores: Vec<Wanted>,
    manager: &Manager,
    stop: &mut Stop,
) -> Result<Option<Vec<Store>>, Error> {
    tokio::select! {
        never = manager.starting() => match never {},
        opened = hubs::open(stores, None) => opened.map(Some),
        () = stop.next() => {
            // A manager that is stuck is not waited for.
            _ = tokio::time::timeout(LAST_WORD, manager.stopping()).await;
            Ok(None)
        }
    }
}

/// Keeps the certificates valid; `upkeep` gets the tasks that end with the program.
fn keep(tls: Arc<Tls>, skip_install_trust: bool, upkeep: &mut JoinSet<()>) {
    if !skip_install_trust {
        let tls = Arc::clone(&tls);
        upkeep.spawn(async move { tls.trust().await });
    }
    upkeep.spawn(async move { tls.renew().await });
}

/// Keeps the service manager informed, and serves other configurations, until a signal or the admin listener stops
/// the program.
async fn serve_until_stop(
    manager: &Manager,
    program: &mut Program,
    asked: &mut Asked,
    control: &Control,
    admin: &mut Admin,
    log: &Log,
) {
    // The reload that a signal asked for; at most one, and at most one more after it.
    let mut reloading = JoinSet::new();
    let mut is_asked_again = false;
    let lost_keys = program.lost_keys();
    let (served, hubs) = watch::channel(Arc::clone(program.hubs()));
    let mut pings = std::pin::pin!(manager.ping(hubs));
    manager.serving(&status(program)).await;
    loop {
        let command = tokio::select! {
            never = &mut pings => match never {},
            () = asked.stop.next() => return,
            name = asked.ignored.next() => {
                tracing::warn!(
                    name: "signal_ignored",
                    signal = name,
                    "ignored: SIGUSR1 reloads the configuration, SIGTERM stops the hub"
                );
                continue;
            }
            () = lost_keys.notified() => {
                program.hubs().iter().for_each(Hub::end_streams_of_lost_keys);
                continue;
            }
            () = asked.reload.next() => {
                manager.reloading().await;
                match reloading.is_empty() {
                    true => _ = reloading.spawn(signals::reload(control.clone())),
                    // The file may have changed since it was read.
                    false => is_asked_again = true,
                }
                continue;
            }
            Some(_) = reloading.join_next() => {
                manager.serving(&status(program)).await;
                if std::mem::take(&mut is_asked_again) {
                    manager.reloading().await;
                    reloading.spawn(signals::reload(control.clone()));
                }
                continue;
            }
            Some(command) = asked.commands.recv() => command,
        };
        match command {
            Command::Stop { done } => return stopping(asked, control, done),
            Command::Reload { loaded, done, .. } => {
                let outcome = tokio::select! {
                    never = &mut pings => match never {},
                    outcome = reload(program, *loaded, control, admin, log) => outcome,
                    () = asked.stop.next() => return,
                    done = next_stop(&mut asked.commands) => return stopping(asked, control, done),
                };
                served.send_replace(Arc::clone(program.hubs()));
                _ = done.send(outcome);
            }
        }
    }
}

/// The next time that the program is asked to stop; nothing else is asked during a reload, of which there is one at a
/// time.
async fn next_stop(commands: &mut mpsc::Receiver<Command>) -> oneshot::Sender<()> {
    loop {
        match commands.recv().await {
            Some(Command::Stop { done }) => return done,
            Some(Command::Reload { done, .. }) => {
                _ = done.send(Err(Error::new("another reload is under way")));
            }
            None => std::future::pending().await,
        }
    }
}

fn stopping(asked: &mut Asked, control: &Control, done: oneshot::Sender<()>) {
    asked.stop.told();
    control.begin_stop();
    // The client may be gone.
    _ = done.send(());
}

fn status(program: &Program) -> String {
    let addresses: Vec<_> = program
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    format!("Serving on {}", addresses.join(", "))
}

/// Serves another configuration.
async fn reload(
    program: &mut Program,
    loaded: Loaded,
    control: &Control,
    admin: &mut Admin,
    log: &Log,
) -> Result<(), Error> {
    let Loaded {
        settings, notices, ..
    } = loaded;
    let logs = Log::prepare(&settings.program.log)?;
    let admin_settings = settings.program.admin.clone();
    program.reload(settings, control).await?;
    log.install(logs);
    tell(&notices);
    admin.follow(&admin_settings).await;
    tracing::info!(name: "config_in_force", "a new configuration is in force");
    Ok(())
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

/// Logs what a configuration has to tell.
fn tell(notices: &[Notice]) {
    for notice in notices {
        match notice.level {
            Level::Info => tracing::info!(name: "config_notice", "{}", notice.text),
            Level::Warning => tracing::warn!(name: "config_warning", "{}", notice.text),
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
        tracing::warn!(name: "file_limit_not_raised", %error, "the limit of open files could not be raised");
    }
}

/// An idle connection's buffers are mostly untouched, and a huge page makes all of it resident:
/// measured 21.9 instead of 13.2 KB an idle subscriber.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}
