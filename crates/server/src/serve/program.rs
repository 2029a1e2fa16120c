//! What the program serves: its hubs, its sites and its listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit};
use talaria_config::Error;
use talaria_config::settings::{HubSettings, ProgramSettings, Routes, Settings, SiteSettings};
use talaria_hub::Hub;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::serve::admission::Admission;
use crate::serve::connection::Context;
use crate::serve::hubs::{Hubs, Store};
use crate::serve::key_sets;
use crate::serve::listen::{Plan, Serving};
use crate::serve::proxies::Proxies;
use crate::serve::shutdown::Shutdown;
use crate::serve::site::Site;
use crate::serve::sites::Sites;
use crate::serve::tls::Tls;

/// Streams that did not end within the drain window are cut this much later.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// What is served.
pub(crate) struct Program {
    hubs: Hubs,
    serving: Serving,
    /// Keep the key sets of the issuers up to date.
    _keys: JoinSet<()>,
    drain_timeout: Duration,
}

impl Program {
    /// Starts to serve.
    ///
    /// # Errors
    /// A hub cannot be built, or an address cannot be bound.
    pub(crate) fn start(settings: Settings, stores: Vec<Store>, tls: &Tls) -> Result<Self, Error> {
        let Settings {
            sites,
            hubs,
            program,
            ..
        } = settings;
        let mut keys = JoinSet::new();
        key_sets::follow(key_sets_of(&hubs), &mut keys)?;
        let hubs = Hubs::build(hubs, stores)?;
        let shutdown = Shutdown::default();
        let plan = plan(sites, &program, tls, &shutdown.stopping)?;
        let mut serving = Serving::new(shutdown.clone());
        let prepared = serving.prepare(plan)?;
        let descriptors = getrlimit(Resource::Nofile).current;
        let proxies = Proxies::from(program.proxies.clone());
        let admission = Admission::new(&program.connections, descriptors, proxies);
        serving.install(
            prepared,
            hubs.all(),
            context(&program, tls, &admission, &shutdown),
        );
        Ok(Self {
            hubs,
            serving,
            _keys: keys,
            drain_timeout: program.drain_timeout,
        })
    }

    /// Its hubs.
    pub(crate) fn hubs(&self) -> &Arc<[Hub]> {
        self.hubs.all()
    }

    /// Where it can be reached, in the order of the ports.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.serving.addresses()
    }

    /// The window in which streams end.
    pub(crate) fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    /// How long [`stop`](Self::stop) takes at most.
    pub(crate) fn stops_within(&self) -> Duration {
        self.drain_timeout.saturating_add(LAST_WRITES)
    }

    /// Closes the listeners, ends every stream within the window, and cuts the connections that are left. Its hubs are
    /// left to be closed.
    pub(crate) async fn stop(self) -> Hubs {
        let at_most = self.stops_within();
        let connections = self.serving.stop_listening().await;
        let hubs = Arc::clone(self.hubs.all());
        for hub in hubs.iter() {
            hub.drain(self.drain_timeout);
        }
        let drained = async {
            for hub in hubs.iter() {
                hub.drained().await;
            }
        };
        connections.finish(drained, at_most).await;
        self.hubs
    }
}

fn key_sets_of(hubs: &[HubSettings]) -> Vec<talaria_config::key_set::KeySetSource> {
    hubs.iter().flat_map(|hub| hub.key_sets.clone()).collect()
}

/// Which sockets serve which sites.
///
/// # Errors
/// A site cannot be made, or two addresses contradict each other.
fn plan(
    sites: Vec<SiteSettings>,
    program: &ProgramSettings,
    tls: &Tls,
    stopping: &CancellationToken,
) -> Result<Plan, Error> {
    let proxies = Proxies::from(program.proxies.clone());
    let mut served = Vec::new();
    for mut settings in sites {
        let routes = std::mem::replace(&mut settings.routes, Routes(Vec::new()));
        let logs = settings.access_log;
        let site = Site::new(proxies.clone(), routes, logs, stopping)?;
        served.push((site, settings));
    }
    let empty = |is_encrypted| Sites::new(proxies.clone(), tls.challenges(), is_encrypted);
    Plan::new(&served, program.redirects, empty)
}

/// What the connections of a listener are served with.
fn context<'a>(
    program: &'a ProgramSettings,
    tls: &'a Tls,
    admission: &'a Admission,
    shutdown: &'a Shutdown,
) -> impl Fn(Arc<ArcSwap<Sites>>, bool, CancellationToken) -> Context + 'a {
    move |sites, is_encrypted, closing| Context {
        sites,
        acceptor: is_encrypted.then(|| tls.acceptor()),
        dispatch_timeout: program.dispatch_timeout,
        head: program.connections.head,
        max_streams: program.connections.streams,
        admission: admission.clone(),
        shutdown: shutdown.clone(),
        closing,
    }
}
