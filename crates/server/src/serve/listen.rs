//! Listeners: what is accepted on them, how they are exchanged, and the end of all connections.

mod accepting;
mod beside;
mod bind;
mod plan;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use talaria_config::Error;
use talaria_hub::Hub;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::accepting::accept;
use self::beside::Beside;
use self::bind::{bind_on, not_bound};
use self::plan::Key;
use crate::serve::connection::Context;
use crate::serve::privileged_port;
use crate::serve::shutdown::Shutdown;
use crate::serve::sites::Sites;

pub(crate) use self::plan::Plan;

/// A socket that is listening already, and what it shall serve.
struct Bound {
    /// The socket; `None` if the listener exists.
    socket: Option<(TcpListener, SocketAddr)>,
    sites: Sites,
}

/// The listeners to come.
pub(crate) struct Prepared(BTreeMap<Key, Bound>);

/// A listener at work.
struct Listener {
    address: SocketAddr,
    /// Its sites, which its open connections ask too.
    sites: Arc<ArcSwap<Sites>>,
    /// What new connections are served with.
    context: Arc<ArcSwap<Context>>,
    /// Ends the listener and, once they are idle, its connections.
    closing: CancellationToken,
    /// HTTP/3 beside it.
    http3: Beside,
}

/// Listeners at work; owns their tasks.
pub(crate) struct Serving {
    listeners: BTreeMap<Key, Listener>,
    /// Each task ends with its open connections.
    accepting: JoinSet<JoinSet<()>>,
    shutdown: Shutdown,
}

impl Serving {
    /// No listener yet; all of them end with `shutdown`.
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self {
            listeners: BTreeMap::new(),
            accepting: JoinSet::new(),
            shutdown,
        }
    }

    /// Binds the sockets of a plan that are not listening yet. Nothing changes until they are
    /// [installed](Self::install).
    ///
    /// # Errors
    /// An address cannot be bound.
    pub(crate) fn prepare(&self, plan: Plan) -> Result<Prepared, Error> {
        let mut bound = BTreeMap::new();
        let planned: Vec<Key> = plan
            .own
            .keys()
            .chain(plan.redirecting.keys())
            .copied()
            .collect();
        if let Some((_, port)) = planned.iter().find(|key| self.overlaps(**key)) {
            return Err(Error::new(format!(
                "the interfaces of port {port}, which is in use here, would change"
            ))
            .remedy("restart the hub to change `bind` or `default_bind` of this port"));
        }
        for (key, sites) in plan.own {
            let (interface, port) = key;
            let socket = match self.listeners.contains_key(&key) {
                true => None,
                false => Some(bind(key).map_err(|error| not_bound(interface, port, error))?),
            };
            bound.insert(key, Bound { socket, sites });
        }
        for (key, sites) in plan.redirecting {
            if self.listeners.contains_key(&key) {
                let socket = None;
                bound.insert(key, Bound { socket, sites });
                continue;
            }
            match bind(key) {
                Ok(socket) => {
                    let socket = Some(socket);
                    bound.insert(key, Bound { socket, sites });
                }
                Err(error) => tracing::warn!(
                    name: "redirect_unavailable",
                    "port {} does not redirect to HTTPS: {error}; {}, or write `auto_https disable_redirects` in the global options",
                    key.1,
                    privileged_port::remedy(key.1, &error).unwrap_or_else(|| "free it".to_owned())
                ),
            }
        }
        Ok(Prepared(bound))
    }

    /// Whether a socket would share its port with another one that is open.
    fn overlaps(&self, (interface, port): Key) -> bool {
        let mut open = self.listeners.keys();
        let is_known = self.listeners.contains_key(&(interface, port));
        !is_known
            && port != 0
            && open.any(|(other, open)| *open == port && (other.is_none() || interface.is_none()))
    }

    /// Serves what was prepared, and nothing else; `hubs` are those that the sites ask. A listener that stays never closes, and its connections ask the new
    /// sites. One that is gone closes, and its connections do once they are idle.
    ///
    /// `context` says what the connections of a listener are served with, given its sites, whether it speaks HTTPS, and
    /// what ends it.
    pub(crate) fn install(
        &mut self,
        prepared: Prepared,
        hubs: &Arc<[Hub]>,
        context: impl Fn(Arc<ArcSwap<Sites>>, bool, CancellationToken) -> Context,
    ) {
        let kept = |key: &Key, listener: &Listener| {
            let is_kept = prepared.0.contains_key(key);
            if !is_kept {
                listener.closing.cancel();
            }
            is_kept
        };
        self.listeners.retain(|key, listener| kept(key, listener));
        // Listeners that closed earlier, once their last connection has ended.
        while self.accepting.try_join_next().is_some() {}
        for (key, Bound { socket, mut sites }) in prepared.0 {
            let tls = sites.tls();
            sites.ask(Arc::clone(hubs));
            let (mut listener, socket) = match (socket, self.listeners.remove(&key)) {
                (None, Some(listener)) => (listener, None),
                (Some((socket, address)), _) => {
                    let closing = self.shutdown.stopping.child_token();
                    let shared = Arc::new(ArcSwap::from_pointee(sites.clone()));
                    let first = context(Arc::clone(&shared), tls, closing.clone());
                    let listener = Listener {
                        address,
                        sites: shared,
                        context: Arc::new(ArcSwap::from_pointee(first)),
                        closing,
                        http3: Beside::default(),
                    };
                    (listener, Some(socket))
                }
                (None, None) => continue,
            };
            sites.listen_on(listener.address.port());
            listener.sites.store(Arc::new(sites));
            let shared = Arc::clone(&listener.sites);
            let mut context = context(shared, tls, listener.closing.clone());
            context.restrict_protocols();
            let tasks = &mut self.accepting;
            let (address, shared) = (listener.address, &listener.context);
            listener.http3.follow(address, shared, &mut context, tasks);
            listener.context.store(Arc::new(context));
            if let Some(socket) = socket {
                let (context, closing) = (Arc::clone(&listener.context), listener.closing.clone());
                self.accepting.spawn(accept(socket, context, closing));
            }
            self.listeners.insert(key, listener);
        }
    }

    /// Where the hub can be reached, in the order of the ports.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let serving = self.listeners.values();
        let serving = serving.filter(|listener| !listener.sites.load().is_empty());
        serving.map(|listener| listener.address).collect()
    }

    /// Closes the listeners and every idle connection; the others close after their response.
    pub(crate) async fn stop_listening(mut self) -> Connections {
        self.shutdown.stopping.cancel();
        let mut open = Vec::new();
        while let Some(connections) = self.accepting.join_next().await {
            open.extend(connections.ok());
        }
        Connections {
            open,
            shutdown: self.shutdown,
        }
    }
}

fn bind((interface, port): Key) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = bind_on(interface, port)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Connections that are still open after their listener closed.
pub(crate) struct Connections {
    open: Vec<JoinSet<()>>,
    shutdown: Shutdown,
}

impl Connections {
    /// Waits for them to end, and for the hub to be `drained`, at most this long, then cuts the connections.
    /// It does not wait for connections on which nothing is under way, because their peers may be silent; but
    /// it does for what the hub still stores, such as the ends of subscriptions.
    pub(crate) async fn finish(mut self, drained: impl Future<Output = ()>, at_most: Duration) {
        let finished = async {
            for connections in &mut self.open {
                while connections.join_next().await.is_some() {}
            }
            pending::<()>().await;
        };
        let idle = async {
            tokio::join!(self.shutdown.idle(), drained);
        };
        tokio::select! {
            // Joined, so that what has ended is not counted.
            () = finished => {}
            () = idle => {}
            () = sleep(at_most) => {}
        }
        let left: usize = self.open.iter().map(JoinSet::len).sum();
        tracing::info!(name: "connections_cut", connections = left, "connections that did not end are cut");
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    fn connections() -> Connections {
        Connections {
            open: Vec::new(),
            shutdown: Shutdown::default(),
        }
    }

    /// All connections have ended, and the hub still stores the ends of their subscriptions.
    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_what_the_hub_stores() {
        let (stored, drained) = oneshot::channel::<()>();
        let drained = async { drop(drained.await) };
        let finishing = connections().finish(drained, Duration::from_secs(60));
        let mut finishing = pin!(finishing);
        tokio::select! {
            biased;
            () = finishing.as_mut() => panic!("it did not wait"),
            () = sleep(Duration::from_secs(30)) => {}
        }
        drop(stored);
        let before = Instant::now();
        finishing.await;
        assert!(before.elapsed() < Duration::from_secs(1));
    }

    /// A history that does not answer does not keep the program.
    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_a_limited_time() {
        let before = Instant::now();
        let limit = Duration::from_secs(3);
        connections().finish(pending(), limit).await;
        assert_eq!(before.elapsed().as_secs(), 3);
    }
}
