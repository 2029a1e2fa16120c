//! What the program serves: its hubs, its sites and its listeners, and how they are exchanged for those of another
//! configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit};
use talaria_config::Error;
use talaria_config::key_set::KeySetSource;
use talaria_config::settings::{
    Certified, HubSettings, ProgramSettings, Routes, Settings, SiteSettings,
};
use talaria_hub::Hub;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::serve::admission::Admission;
use crate::serve::clock;
use crate::serve::connection::Context;
use crate::serve::control::{Control, ServedHub};
use crate::serve::followers::Followers;
use crate::serve::hubs::{self, Hubs, Store};
use crate::serve::listen::{Plan, Prepared, Serving};
use crate::serve::metrics::Metrics;
use crate::serve::proxies::Proxies;
use crate::serve::report::storage;
use crate::serve::shutdown::Shutdown;
use crate::serve::site::{Means, Site};
use crate::serve::sites::Sites;
use crate::serve::tls::Tls;
use crate::serve::traces::{Tracer, Traces};

/// Streams that did not end within the drain window are cut this much later.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// How long a reload waits for the server of a log.
const BACKEND: Duration = Duration::from_secs(5);

/// What is served.
pub(crate) struct Program {
    hubs: Hubs,
    serving: Serving,
    tls: Arc<Tls>,
    followers: Followers,
    admission: Admission,
    shutdown: Shutdown,
    metrics: Metrics,
    settings: ProgramSettings,
    /// The limit of open files.
    descriptors: Option<u64>,
    /// Hubs that a reload has removed, until their streams have ended.
    leaving: JoinSet<()>,
    traces: Traces,
}

impl Program {
    /// Starts to serve. `stores` are those of the settings, open.
    ///
    /// # Errors
    /// A hub cannot be built, or an address cannot be bound.
    pub(crate) fn start(
        settings: Settings,
        stores: Vec<Store>,
        tls: Arc<Tls>,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let descriptors = getrlimit(Resource::Nofile).current;
        let proxies = Proxies::from(settings.program.proxies.clone());
        let shutdown = Shutdown::default();
        let mut program = Self {
            hubs: Hubs::none(),
            serving: Serving::new(shutdown.clone()),
            tls,
            followers: Followers::default(),
            admission: Admission::new(&settings.program.connections, descriptors, proxies),
            shutdown,
            metrics,
            settings: settings.program.clone(),
            descriptors,
            leaving: JoinSet::new(),
            traces: Traces::default(),
        };
        let traces = program.traces.prepare(settings.program.traces.as_ref())?;
        let (admission, tls) = (program.admission.clone(), Arc::clone(&program.tls));
        program.metrics.read_from(admission, tls);
        program.metrics.follow(&settings.program);
        let mut hubs = settings.hubs;
        let wanted = hubs::wanted(&hubs, &settings.stores);
        program.followers.lend(&mut hubs)?;
        let followers = program.followers.begin(&hubs)?;
        program.followers.keep(&key_sets(&hubs), followers);
        let plan = program.plan(settings.sites, &settings.program, traces.tracer())?;
        let listeners = program.serving.prepare(plan)?;
        let hubs = program.hubs.prepare(hubs, &wanted, stores)?;
        program.hubs.install(hubs);
        program.traces.install(traces);
        program.install(listeners);
        Ok(program)
    }

    /// Serves another configuration. Whatever can fail is done beside the old one, which stays if something does;
    /// dropping the future before it is ready leaves the old one too.
    ///
    /// # Errors
    /// A store cannot be opened, an address cannot be bound, or a file of a certificate cannot be read.
    pub(crate) async fn reload(
        &mut self,
        settings: Settings,
        control: &Control,
    ) -> Result<(), Error> {
        while self.leaving.try_join_next().is_some() {}
        let Settings {
            sites,
            mut hubs,
            stores,
            program,
            ..
        } = settings;
        self.followers.lend(&mut hubs)?;
        let stores = hubs::wanted(&hubs, &stores);
        let missing = self.hubs.missing(&stores)?;
        let certified = certified(&sites);
        let (tls, sni) = (Arc::clone(&self.tls), program.sni.clone());
        let certificates = spawn_blocking(move || tls.prepare(&certified, &sni));
        let certificates = certificates.await.map_err(Error::from_cause)??;
        let traces = self.traces.prepare(program.traces.as_ref())?;
        let plan = self.plan(sites, &program, traces.tracer())?;
        let listeners = self.serving.prepare(plan)?;
        let followers = self.followers.begin(&hubs)?;
        followers.fetched().await;
        let key_sets = key_sets(&hubs);
        let room = control.changes().room().await?;
        // Last of what may fail, so that a store is opened only for a configuration that comes in force.
        let opened = hubs::open(missing, Some(BACKEND)).await?;
        let prepared = self.hubs.prepare(hubs, &stores, opened)?;
        // From here on nothing fails and nothing waits.
        self.followers.keep(&key_sets, followers);
        let gone = control.exchange(|| {
            let mut gone = self.hubs.install(prepared);
            let carried = gone.take_carried();
            if !carried.is_empty() {
                // What cannot be stored is in the log.
                drop(control.changes().store(room, carried));
            }
            (self.named_hubs(), gone)
        });
        self.tls.replace(certificates);
        self.traces.install(traces);
        if self.settings.connections != program.connections {
            self.admission
                .follow(&program.connections, self.descriptors);
        }
        self.admission.trust(program.proxies.clone().into());
        self.metrics.follow(&program);
        self.settings = program;
        self.install(listeners);
        if !gone.is_empty() {
            let ending = gone.end(self.window(), self.stops_within());
            self.leaving.spawn(ending);
        }
        Ok(())
    }

    /// Which sockets serve which sites.
    ///
    /// # Errors
    /// A site cannot be made, or two addresses contradict each other.
    fn plan(
        &self,
        sites: Vec<SiteSettings>,
        program: &ProgramSettings,
        tracer: Option<&Arc<Tracer>>,
    ) -> Result<Plan, Error> {
        let proxies = Proxies::from(program.proxies.clone());
        let mut served = Vec::new();
        for mut settings in sites {
            let routes = std::mem::replace(&mut settings.routes, Routes(Vec::new()));
            let log = settings.access_log.clone();
            let means = Means {
                stopping: &self.shutdown.stopping,
                metrics: &self.metrics,
                tracer,
                shows_credentials: program.log.shows_credentials,
            };
            let site = Site::new(proxies.clone(), routes, &log, means)?;
            served.push((site, settings));
        }
        let challenges = self.tls.challenges();
        let web = self.metrics.web();
        let empty = |tls| Sites::new(proxies.clone(), challenges.clone(), web.clone(), tls);
        Plan::new(&served, program.redirects, empty)
    }

    /// Serves on these listeners what the settings say.
    fn install(&mut self, listeners: Prepared) {
        let Self {
            settings,
            tls,
            admission,
            shutdown,
            ..
        } = self;
        let context =
            |sites: Arc<ArcSwap<Sites>>, is_encrypted: bool, closing: CancellationToken| Context {
                sites,
                acceptor: is_encrypted.then(|| tls.acceptor()),
                dispatch_timeout: settings.dispatch_timeout,
                head: settings.connections.head,
                max_streams: settings.connections.streams,
                protocols: settings.protocols,
                alt_svc: None,
                admission: admission.clone(),
                shutdown: shutdown.clone(),
                closing,
            };
        self.serving.install(listeners, self.hubs.all(), context);
    }

    /// Told when a key set has lost a key.
    pub(crate) fn lost_keys(&self) -> Arc<Notify> {
        Arc::clone(self.followers.lost())
    }

    /// Its hubs.
    pub(crate) fn hubs(&self) -> &Arc<[Hub]> {
        self.hubs.all()
    }

    /// Its hubs with their names.
    pub(crate) fn named_hubs(&self) -> Vec<ServedHub> {
        let named = self.hubs.names().zip(self.hubs.all().iter());
        let kept = self.hubs.revocation_files().zip(self.hubs.storages());
        let served = named.zip(kept);
        let served = served.map(|((name, hub), (revoked, settings))| ServedHub {
            name: name.to_owned(),
            hub: hub.clone(),
            revoked: revoked.cloned().unwrap_or_default(),
            storage: settings.map(storage).unwrap_or_default().into(),
        });
        served.collect()
    }

    /// Where it can be reached, in the order of the ports.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.serving.addresses()
    }

    /// How long it goes on serving after it was told to stop (`shutdown_delay`).
    pub(crate) fn delay(&self) -> Duration {
        self.settings.shutdown_delay
    }

    /// The window in which streams end (`drain_timeout`).
    pub(crate) fn window(&self) -> Duration {
        let (window, grace) = (self.settings.drain_timeout, self.settings.grace_period);
        grace.map_or(window, |grace| window.min(grace))
    }

    /// How long [`stop`](Self::stop) takes at most (`grace_period`).
    pub(crate) fn stops_within(&self) -> Duration {
        let usual = self.settings.drain_timeout.saturating_add(LAST_WRITES);
        self.settings.grace_period.unwrap_or(usual)
    }

    /// Closes the listeners, ends every stream within the window, and cuts the connections that are left. Its hubs are
    /// left to be closed.
    pub(crate) async fn stop(self) -> Hubs {
        let (window, at_most) = (self.window(), self.stops_within());
        let began = clock::monotonic();
        self.traces.hurry();
        let connections = self.serving.stop_listening().await;
        let hubs = Arc::clone(self.hubs.all());
        for hub in hubs.iter() {
            hub.drain(window);
        }
        let mut leaving = self.leaving;
        let drained = async {
            for hub in hubs.iter() {
                hub.drained().await;
            }
            while leaving.join_next().await.is_some() {}
        };
        connections.finish(drained, at_most).await;
        // Within the same time: nothing else waits for a collector.
        let left = at_most.saturating_sub(began.elapsed());
        self.traces.finish(left).await;
        self.hubs
    }
}

fn key_sets(hubs: &[HubSettings]) -> Vec<KeySetSource> {
    hubs.iter().flat_map(|hub| hub.key_sets.clone()).collect()
}

/// What the HTTPS addresses of all sites show.
pub(crate) fn certified(sites: &[SiteSettings]) -> Vec<Certified> {
    let each = sites.iter().flat_map(|site| &site.certificates);
    each.cloned().collect()
}
