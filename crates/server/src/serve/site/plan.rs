//! The routes of a site with what they need: folders, connections to other servers.

use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderName, StatusCode};
use talaria_config::Error;
use talaria_config::settings::{
    Action, Coding, Condition, FieldChange, FileSettings, ProxySettings, Route, Simple,
    StatusPattern, Template, TryFilesSettings, UpstreamSettings,
};
use tokio_util::sync::CancellationToken;

use crate::serve::handlers::files::FileServer;
use crate::serve::handlers::proxy::{Options, Policy, Upstream, Upstreams};
use crate::serve::handlers::users::Users;
use crate::serve::metrics::Metrics;
use crate::serve::traces::{Tracer, TracingStep};

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
    /// The target becomes the first of these that is a file.
    TryFiles {
        /// The folder.
        files: FileServer,
        /// The targets.
        targets: Vec<Template>,
        /// The status of the error if none is there.
        otherwise: Option<u16>,
    },
    /// Only these users go on.
    Users(Users),
    /// The request is traced from here on.
    Tracing(TracingStep),
    /// Another server answers.
    Proxy {
        /// One of these.
        upstreams: Box<Upstreams>,
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
    /// The answer to an error.
    Errors {
        /// For which errors; all of them if it is empty.
        statuses: Vec<StatusPattern>,
        /// The steps that are asked.
        steps: Vec<Step>,
    },
    /// The metrics of the program answer.
    Metrics {
        metrics: Metrics,
        /// Whether they may be in the format OpenMetrics.
        may_be_open: bool,
    },
    /// What needs nothing but the request.
    Simple(Simple),
}

impl Act {
    /// The name that the existing server gives to what answers this way; `None` if that is a step within.
    pub(super) fn handler(&self) -> Option<&'static str> {
        Some(match self {
            Self::Hub(_) => "mercure",
            Self::Files(_) => "file_server",
            Self::TryFiles { .. } => "rewrite",
            Self::Users(_) => "authentication",
            Self::Proxy { .. } => "reverse_proxy",
            Self::Encode(_) => "encode",
            Self::Metrics { .. } => "metrics",
            Self::Tracing(_) => "tracing",
            Self::Simple(_) => "static_response",
            Self::Group { .. } | Self::Errors { .. } => return None,
        })
    }
}

/// What the directives of all sites have in common.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    /// Ends the tunnels of proxies.
    pub stopping: &'a CancellationToken,
    /// What is shown by `metrics`.
    pub metrics: &'a Metrics,
    /// What gets the spans; without it the directive `tracing` has no step.
    pub tracer: Option<&'a Arc<Tracer>>,
    /// Whether logs of requests show header fields with secrets.
    pub shows_credentials: bool,
}

/// Prepares routes.
///
/// # Errors
/// An upstream is malformed, or the system's certificates cannot be read and one speaks HTTPS.
pub(crate) fn plan(routes: Vec<Route>, means: Means<'_>) -> Result<Vec<Step>, Error> {
    let step = |Route { condition, action }| {
        let act = match action {
            Action::Hub(hub) => Act::Hub(hub),
            Action::Files(files) => Act::Files(file_server(files)),
            Action::Proxy(mut proxy) => Act::Proxy {
                up: std::mem::take(&mut proxy.up),
                upstreams: Box::new(upstreams(proxy, means.stopping)?),
            },
            Action::Encode(codings) => Act::Encode(codings),
            Action::Group {
                routes,
                is_exclusive,
            } => Act::Group {
                steps: plan(routes, means)?,
                is_exclusive,
            },
            Action::TryFiles(settings) => try_files(settings),
            Action::Users(users) => Act::Users(Users::new(users)?),
            Action::Errors { statuses, routes } => Act::Errors {
                statuses,
                steps: plan(routes, means)?,
            },
            Action::Metrics { may_be_open } => Act::Metrics {
                metrics: means.metrics.clone(),
                may_be_open,
            },
            Action::Tracing(settings) => match means.tracer {
                Some(tracer) => Act::Tracing(TracingStep::new(tracer, settings)),
                None => return Ok(None),
            },
            Action::Simple(simple) => Act::Simple(simple),
        };
        Ok(Some(Step { condition, act }))
    };
    routes
        .into_iter()
        .filter_map(|route| step(route).transpose())
        .collect()
}

/// The steps that answer an error of this status.
pub(super) fn pages_for(steps: &[Step], status: StatusCode) -> Option<&[Step]> {
    steps.iter().find_map(|step| match &step.act {
        Act::Errors { statuses, steps } => {
            let mut fitting = statuses.iter().filter(|one| one.fits(status.as_u16()));
            let is_for = statuses.is_empty() || fitting.next().is_some();
            is_for.then_some(steps.as_slice())
        }
        _ => None,
    })
}

fn try_files(settings: TryFilesSettings) -> Act {
    Act::TryFiles {
        files: FileServer::new(settings.root, Vec::new(), settings.hidden),
        targets: settings.targets,
        otherwise: settings.otherwise,
    }
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
    let names = proxy.naming_upstream.iter();
    let naming_upstream = names.filter_map(|name| HeaderName::try_from(name).ok());
    let upstreams = proxy.upstreams.into_iter().map(one).collect();
    let options = Options {
        policy,
        naming_upstream: naming_upstream.collect(),
        stopping: stopping.clone(),
        ..Options::default()
    };
    Upstreams::new(upstreams, options)
}
