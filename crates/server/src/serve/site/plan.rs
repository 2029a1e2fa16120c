//! The routes of a site with what they need: folders, connections to other servers.

use http::uri::Scheme;
use talaria_config::Error;
use talaria_config::settings::{
    Action, Coding, Condition, FieldChange, FileSettings, ProxySettings, Route, UpstreamSettings,
};
use tokio_util::sync::CancellationToken;

use crate::serve::handlers::files::FileServer;
use crate::serve::handlers::proxy::{Options, Policy, Upstream, Upstreams};

/// One route.
pub(crate) struct Step {
    /// For which requests.
    pub condition: Condition,
    /// What it does.
    pub act: Act,
}

/// What a route does.
pub(crate) enum Act {
    /// The hub at this place among those of the program answers what belongs to it.
    Hub(usize),
    /// A file answers, if the path names one.
    Files(FileServer),
    /// Another server answers.
    Proxy {
        /// One of these.
        upstreams: Upstreams,
        /// Changes to the fields of the request that it gets.
        up: Vec<FieldChange>,
    },
    /// The answers of the routes that follow are compressed.
    Encode(Vec<Coding>),
    /// All of these, in this order.
    Group {
        /// The steps within.
        steps: Vec<Step>,
        /// Whether no other exclusive group beside it is asked.
        is_exclusive: bool,
    },
    /// What needs only the request.
    Own(Action),
}

/// Prepares routes. Tunnels of a proxy end with `stopping`.
///
/// # Errors
/// An upstream is malformed, or the system's certificates cannot be read and one speaks HTTPS.
pub(crate) fn plan(routes: Vec<Route>, stopping: &CancellationToken) -> Result<Vec<Step>, Error> {
    let step = |Route { condition, action }| {
        let act = match action {
            Action::Hub(hub) => Act::Hub(hub),
            Action::Files(files) => Act::Files(file_server(files)),
            Action::Proxy(mut proxy) => Act::Proxy {
                up: std::mem::take(&mut proxy.up),
                upstreams: upstreams(proxy, stopping)?,
            },
            Action::Encode(codings) => Act::Encode(codings),
            Action::Group {
                routes,
                is_exclusive,
            } => Act::Group {
                steps: plan(routes, stopping)?,
                is_exclusive,
            },
            action => Act::Own(action),
        };
        Ok(Step { condition, act })
    };
    routes.into_iter().map(step).collect()
}

fn file_server(files: FileSettings) -> FileServer {
    FileServer::new(files.root, files.index, files.hidden)
}

fn upstreams(proxy: ProxySettings, stopping: &CancellationToken) -> Result<Upstreams, Error> {
    let one = |upstream: UpstreamSettings| Upstream {
        scheme: if upstream.tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        },
        host: upstream.host,
        port: upstream.port,
    };
    let policy = if proxy.is_in_turn {
        Policy::RoundRobin
    } else {
        Policy::Random
    };
    let upstreams = proxy.upstreams.into_iter().map(one).collect();
    let options = Options {
        policy,
        stopping: stopping.clone(),
        ..Options::default()
    };
    Upstreams::new(upstreams, options)
}
