//! What a site does with its requests besides asking the hub (B-284).

use std::path::PathBuf;

use crate::settings::conditions::Condition;
use crate::settings::issuers::Secret;
use crate::settings::template::Template;
use crate::settings::traces::TracingSettings;

/// The routes of a site, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// Only the hub at this place among those of the program.
    pub fn of_hub(hub: usize) -> Self {
        Self(vec![Route {
            condition: Condition::Any,
            action: Action::Hub(hub),
        }])
    }

    /// The places of the hubs that are asked.
    pub fn hubs(&self) -> Vec<usize> {
        let mut hubs = Vec::new();
        collect_hubs(&self.0, &mut hubs);
        hubs
    }

    /// Whether a directive traces requests.
    pub(crate) fn trace(&self) -> bool {
        any_traces(&self.0)
    }

    /// Hides files from each directive that shows files.
    pub(crate) fn hide(&mut self, files: &[String]) {
        hide(&mut self.0, files);
    }
}

fn any_traces(routes: &[Route]) -> bool {
    routes.iter().any(|route| match &route.action {
        Action::Tracing(_) => true,
        Action::Group { routes, .. } | Action::Errors { routes, .. } => any_traces(routes),
        _ => false,
    })
}

fn collect_hubs(routes: &[Route], hubs: &mut Vec<usize>) {
    for route in routes {
        match &route.action {
            Action::Hub(hub) => hubs.push(*hub),
            Action::Group { routes, .. } | Action::Errors { routes, .. } => {
                collect_hubs(routes, hubs);
            }
            _ => {}
        }
    }
}

fn hide(routes: &mut [Route], files: &[String]) {
    for route in routes {
        match &mut route.action {
            Action::Files(FileSettings { hidden, .. })
            | Action::TryFiles(TryFilesSettings { hidden, .. }) => {
                hidden.extend_from_slice(files);
            }
            Action::Group { routes, .. } | Action::Errors { routes, .. } => hide(routes, files),
            _ => {}
        }
    }
}

/// One directive: what it does, and for which requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// For which requests.
    pub condition: Condition,
    /// What it does.
    pub action: Action,
}

/// What a directive does. Those that give no answer let the request go on to the next one.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The hub at this place among those of the program answers what belongs to it (B-084).
    Hub(usize),
    /// A file of a folder, if the path names one.
    Files(FileSettings),
    /// Another target, if a file is there.
    TryFiles(TryFilesSettings),
    /// The answer of another server.
    Proxy(ProxySettings),
    /// The answers of the directives that follow are compressed, by the first of these that the client accepts.
    Encode(Vec<Coding>),
    /// Only these users go on.
    Users(UserSettings),
    /// The metrics of the program (B-724).
    Metrics {
        /// Whether they may be in the format OpenMetrics.
        may_be_open: bool,
    },
    /// The request is traced from here on.
    Tracing(TracingSettings),
    /// All of these, in this order; `handle` and `route`.
    Group {
        /// The routes within.
        routes: Vec<Route>,
        /// Whether no other exclusive group beside it is asked (`handle`).
        is_exclusive: bool,
    },
    /// The answer to an error, in place of a text; stands only at the top of a site.
    Errors {
        /// For which errors; all of them if it is empty.
        statuses: Vec<StatusPattern>,
        /// The routes that are asked.
        routes: Vec<Route>,
    },
    /// What needs nothing but the request.
    Simple(Simple),
}

/// What a directive does that needs nothing but the request.
#[derive(Debug, Clone, PartialEq)]
pub enum Simple {
    /// A fixed answer.
    Respond {
        /// The status code; `None` for 200, or that of the error that is answered.
        status: Option<u16>,
        /// The body.
        body: Template,
        /// Whether the connection closes.
        closes: bool,
    },
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`.
        to: Template,
    },
    /// An error, which `handle_errors` may answer.
    Fail {
        /// The status code.
        status: u16,
        /// What the error says.
        message: Template,
    },
    /// The connection ends without an answer.
    Abort,
    /// Changes to the fields of the answer.
    Header(Vec<FieldChange>),
    /// Changes to the fields of the request.
    RequestHeader(Vec<FieldChange>),
    /// Another target for the directives that follow.
    Rewrite(Rewrite),
    /// Another method for the directives that follow.
    Method(String),
    /// Values that placeholders may name.
    Variables(Vec<(String, Template)>),
    /// The most bytes of the request's body.
    BodyLimit(u64),
    /// The request is left out of the access log.
    SkipLog,
    /// A field of the request's line in the access log.
    AppendLog {
        /// Its name.
        name: String,
        /// Its value.
        value: Template,
    },
    /// The request has these loggers, and no others: the names behind `http.log.access.`.
    NameLog(Vec<Template>),
}

/// Status codes: one, or all of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// This one.
    One(u16),
    /// All that begin with this digit.
    Class(u16),
}

impl StatusPattern {
    /// Whether a status is one of them.
    pub fn fits(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(digit) => status / 100 == digit,
        }
    }
}

/// The files that `file_server` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// The folder.
    pub root: PathBuf,
    /// The names of files that stand for their folder.
    pub index: Vec<String>,
    /// Names, in which `*` and `?` stand for other characters, and paths that are not shown.
    pub hidden: Vec<String>,
}

/// The files that `try_files` looks for.
#[derive(Debug, Clone, PartialEq)]
pub struct TryFilesSettings {
    /// The folder.
    pub root: PathBuf,
    /// The targets, of which the first that is a file counts; one that ends with a slash is a folder.
    pub targets: Vec<Template>,
    /// The status of the error if none is there; `None` lets the request go on.
    pub otherwise: Option<u16>,
    /// Names and paths that are not shown.
    pub hidden: Vec<String>,
}

/// The users that `basic_auth` lets in.
#[derive(Debug, Clone, PartialEq)]
pub struct UserSettings {
    /// What a browser tells the user the password is for.
    pub realm: String,
    /// The names and the hashes of their passwords, by bcrypt.
    pub users: Vec<(String, Secret)>,
}

/// The servers that `reverse_proxy` asks.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxySettings {
    /// At least one.
    pub upstreams: Vec<UpstreamSettings>,
    /// Whether they are asked in turn, and not by chance.
    pub is_in_turn: bool,
    /// Changes to the fields of the request that they get, made last (`header_up`).
    pub up: Vec<FieldChange>,
    /// The fields that name the server that is asked, with its port, in lower case.
    pub naming_upstream: Vec<String>,
}

/// A server behind this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Whether it speaks HTTPS.
    pub tls: bool,
    /// Its name or address, an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `zstd`.
    Zstd,
    /// `br`.
    Brotli,
    /// `gzip`.
    Gzip,
}

/// Another target of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Rewrite {
    /// The path, and the query if there is one in it; else the query stays.
    To(Template),
    /// The path without this prefix, if it has it, however it is spelt.
    WithoutPrefix(String),
    /// The path without this suffix, if it has it.
    WithoutSuffix(String),
}

/// A change to one field of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The name of the field, in lower case.
    pub name: String,
    /// What happens to it.
    pub change: Change,
}

/// What happens to a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It has this value, unless what answers sets it.
    Set(Template),
    /// It has this value, whatever what answers has set.
    Override(Template),
    /// It has this value if it is missing.
    Default(Template),
    /// It has this value besides others.
    Add(Template),
    /// It is removed.
    Remove,
}
