//! Runs a hub: wires settings, transport, hub and listeners, and ends them in order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use talaria_hub::{HubBuilder, HubOptions, UnknownCursor};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::admission::Admission;
use crate::config::settings::{HistorySettings, TransportSettings};
use crate::config::{Level, Loaded, Settings};
use crate::connection::Serve;
use crate::key_sets;
use crate::listen::{Listeners, Serving};
use crate::log::Log;
use crate::report;
use crate::site::Site;
use crate::systemd::Manager;
use crate::tls::Tls;
use crate::transport;

const XFSZ: rustix::process::Signal = rustix::process::Signal::XFSZ;
/// Streams that could not be ended within the drain window are cut this much later.
const LAST_WRITES: Duration = Duration::from_millis(500);
/// How long a manager that does not listen delays a stop.
const LAST_WORD: Duration = Duration::from_millis(100);
/// The exit code of a second signal (B-021).
const FORCED: i32 = 2;

/// Serves until a signal ends it. `ready` is called once, when the first address is listening, on a
/// thread of its own: it may print, and the reader of that may be slow.
pub fn serve(loaded: Loaded, ready: impl FnOnce(SocketAddr) + Send + 'static) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let started = runtime
        .map_err(|error| format!("no runtime: {error}"))
        .and_then(|runtime| {
            // Before the log: a file that may not grow must not end the process at its first line.
            let signals = Signals::take(&runtime)?;
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
    // Whatever is left was given its time; nothing of it is waited for.
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
    signals: Signals,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
    log: &Log,
) -> Result<(), String> {
    let Signals {
        mut stop,
        mut ignored,
    } = signals;
    let manager = Manager::find(|name| std::env::var_os(name));
    report::write(&settings);
    let drain_timeout = settings.drain_timeout;
    let dispatch_timeout = settings.dispatch_timeout;
    let addresses = settings.addresses.clone();
    let redirects = settings.redirects;
    let skip_install_trust = settings.skip_install_trust;
    let proxies = settings.proxies.clone();
    let connections = settings.connections.clone();
    let key_sets = settings.key_sets.clone();
    let tls = Tls::new(&addresses, &settings.certificate)?;
    let place = settings.transport.clone();
    let opening = tokio::task::spawn_blocking(move || transport::open(&place));
    let transport = tokio::select! {
        never = manager.starting() => match never {},
        opened = opening => opened.map_err(|error| error.to_string())??,
        () = stop.next() => {
            // A manager that is stuck is not waited for.
            _ = tokio::time::timeout(LAST_WORD, manager.stopping()).await;
            return Ok(());
        }
    };
    let hub = HubBuilder::from(options(settings)).transport(Arc::clone(&transport));
    let hub = hub.build().map_err(|error| error.to_string())?;
    let mut upkeep = JoinSet::new();
    key_sets::follow(key_sets, &mut upkeep)?;
    upkeep.spawn(log.count_refusals());
    let listeners = Listeners::bind(&addresses, redirects)?;
    let descriptors = getrlimit(Resource::Nofile).current;
    let admission = Admission::new(&connections, descriptors, proxies.clone());
    let site = Site::new(hub.clone(), proxies);
    let serving = Serving::start(listeners, tls.as_ref(), |hosts, acceptor, stopped| Serve {
        site: site.for_hosts(hosts),
        acceptor,
        dispatch_timeout,
        head: connections.head,
        max_streams: connections.streams,
        admission: admission.clone(),
        stopped,
    });
    if let Some(tls) = tls {
        let tls = Arc::new(tls);
        if !skip_install_trust {
            let tls = Arc::clone(&tls);
            upkeep.spawn_blocking(move || tls.trust());
        }
        upkeep.spawn(async move { tls.renew().await });
    }
    for address in serving.addresses() {
        tracing::info!(%address, "listening");
    }
    if let Some(address) = serving.addresses().first() {
        let address = *address;
        upkeep.spawn_blocking(move || ready(address));
    }
    let status = format!("Serving on {}", addresses_of(&serving));
    {
        let mut serves = std::pin::pin!(manager.serving(&status, &hub));
        loop {
            tokio::select! {
                never = &mut serves => match never {},
                () = stop.next() => break,
                name = ignored.next() => tracing::warn!(
                    signal = name,
                    "ignored: reload is not supported yet; restart the hub"
                ),
            }
        }
    }
    tracing::info!(
        drain_timeout = drain_timeout.as_secs_f64(),
        "stopping; a second signal exits at once"
    );
    let at_most = drain_timeout.saturating_add(LAST_WRITES);
    let stopped = async {
        let connections = serving.stop_listening().await;
        hub.drain(drain_timeout);
        connections.finish(at_most, || hub.is_idle()).await;
    };
    tokio::select! {
        // First, so that the manager is told even if there is nothing to wait for.
        biased;
        never = manager.draining(at_most, &hub) => match never {},
        () = stop.next() => {
            log.finish();
            std::process::exit(FORCED)
        }
        () = stopped => {}
    }
    drop((hub, site));
    tokio::select! {
        () = transport::close(transport) => {}
        () = stop.next() => {
            log.finish();
            std::process::exit(FORCED)
        }
    }
    log.count_last_refusals();
    tracing::info!("stopped");
    Ok(())
}

/// Every signal that is not left to the system.
struct Signals {
    stop: Stop,
    ignored: Ignored,
}

impl Signals {
    fn take(runtime: &Runtime) -> Result<Self, String> {
        let _inside = runtime.enter();
        let take = |kind| signal(kind).map_err(|error| error.to_string());
        Ok(Self {
            stop: Stop {
                interrupt: take(SignalKind::interrupt())?,
                terminate: take(SignalKind::terminate())?,
            },
            ignored: Ignored {
                hangup: take(SignalKind::hangup())?,
                user_1: take(SignalKind::user_defined1())?,
                user_2: take(SignalKind::user_defined2())?,
                _file_size: take(SignalKind::from_raw(XFSZ.as_raw()))?,
            },
        })
    }
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Signals that would end the process if nobody took them (B-050).
struct Ignored {
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
    /// Only taken: a file that may not grow is an error of that write, not the end of the hub.
    _file_size: Signal,
}

impl Ignored {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.user_1.recv() => "SIGUSR1",
            _ = self.user_2.recv() => "SIGUSR2",
        }
    }
}

fn addresses_of(serving: &Serving) -> String {
    let addresses = serving.addresses().iter().map(ToString::to_string);
    addresses.collect::<Vec<_>>().join(", ")
}

fn options(settings: Settings) -> HubOptions {
    let mut options = HubOptions::new(settings.issuers);
    options.rule = settings.rule;
    options.publish_ungranted = settings.publish_ungranted;
    options.subscriptions = settings.subscriptions;
    options.presence = settings.presence;
    options.repeat_window = settings.repeat_window;
    options.public_origins = settings.public_origins;
    options.accepted_audiences = settings.accepted_audiences;
    options.max_token_lifetime = settings.max_token_lifetime;
    options.anonymous = settings.anonymous;
    options.cookie_name = settings.cookie_name;
    options.resource_identifier = settings.resource_identifier;
    options.base = settings.base;
    options.heartbeat = settings.heartbeat;
    options.write_timeout = settings.write_timeout;
    options.max_request_body_size =
        usize::try_from(settings.max_request_body_size).unwrap_or(usize::MAX);
    options.max_anonymous_body_size =
        usize::try_from(settings.max_anonymous_body_size).unwrap_or(usize::MAX);
    options.cors_origins = Some(settings.cors_origins).filter(|origins| !origins.is_empty());
    options.publish_origins = settings.publish_origins;
    options.limits = settings.limits;
    options.budgets = settings.budgets;
    options.unknown_cursor = match settings.transport {
        TransportSettings::History(HistorySettings { unknown_cursor, .. })
        | TransportSettings::Memory { unknown_cursor, .. } => unknown_cursor,
        TransportSettings::Local { .. } => UnknownCursor::Live,
    };
    options
}

/// Every stream is a file; the soft limit of most systems is for programs of another kind.
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
