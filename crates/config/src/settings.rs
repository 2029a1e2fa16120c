//! The configuration as the program uses it: typed and checked, without secrets in `Debug`.

mod admin;
mod certificates;
mod conditions;
mod configured;
mod issuers;
mod log;
mod log_filter;
mod log_form;
mod postgres;
mod redis;
mod routes;
mod storage;
mod template;
mod traces;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use talaria_hub::HubOptions;
use talaria_hub::limits::Rate;
use talaria_protocol::HUB_PATH;

use crate::key_set::KeySetSource;
use crate::proxies::TrustedProxies;

pub use crate::notice::{Level, Notice};
pub use admin::{AdminAddress, AdminSettings};
pub use certificates::{
    AcmeSettings, AuthoritySettings, Binding, CertificateSettings, Certified, KeyKind,
    LETS_ENCRYPT, SniSettings, ZERO_SSL,
};
pub use conditions::{Comparison, Condition, PathPattern, RegexPattern, ValuePattern};
pub use configured::ConfiguredBy;
pub use issuers::{IssuerSettings, KeySetSettings, KeySettings, KeySource, Secret};
pub use log::{
    ACCESS_LOGGER, AccessLogSettings, AccessLogger, LogFileSettings, LogNetSettings, LogNetwork,
    LogOutput, LogSampling, LogSettings, LogsSettings, RollSettings,
};
pub use log_filter::{AddressMask, FieldFilter, ParameterChange, Substitution};
pub use log_form::{
    DurationNotation, LevelNotation, LogForm, LogNotation, LogStep, LogStyle, TimeNotation,
    TimePart,
};
pub use postgres::{
    PostgresHost, PostgresServer, PostgresSettings, PostgresTlsMode, PostgresTlsSettings,
};
pub use redis::{RedisAddress, RedisCredentials, RedisPlace, RedisSettings, RedisTlsSettings};
pub use routes::{
    Action, Change, Coding, FieldChange, FileSettings, ProxySettings, Rewrite, Route, Routes,
    Simple, StatusPattern, TryFilesSettings, UpstreamSettings, UserSettings,
};
pub use storage::{HistorySettings, TransportSettings, directory_of, unix_milliseconds};
pub use template::{Placeholder, Template};
pub use traces::{
    BatchSettings, ExporterSettings, Propagator, SamplerSettings, TraceProtocol, TraceSettings,
    TracingSettings,
};

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// The only host name or address, in lower case and without a port, that requests may name; a first label `*`
    /// stands for any;
    /// `None` takes every host. It says nothing about interfaces: behind NAT and in containers the
    /// public address is not one of this machine (B-061).
    pub host: Option<String>,
    /// The interfaces to listen on, by address; empty for all of them, IPv6 and IPv4.
    pub bind: Vec<IpAddr>,
    /// TCP port; 0 lets the system choose one.
    pub port: u16,
    /// Whether it speaks HTTPS.
    pub tls: bool,
}

impl ListenAddress {
    /// The hub's URL there, if host and port are known.
    pub fn url(&self) -> Option<String> {
        let host = self.host.as_deref().filter(|_| self.port != 0)?;
        if host.starts_with('*') {
            return None;
        }
        Some(self.url_on(host))
    }

    /// The hub's URL there for clients that call it `host`.
    pub fn url_on(&self, host: &str) -> String {
        let (scheme, default) = if self.tls {
            ("https", 443)
        } else {
            ("http", 80)
        };
        match self.port {
            port if port == default => format!("{scheme}://{host}{HUB_PATH}"),
            port => format!("{scheme}://{host}:{port}{HUB_PATH}"),
        }
    }
}

/// The least bound of a request's head, in bytes: what hyper reads at once.
pub const LEAST_HEAD_BYTES: u64 = 8 * 1024;

/// The bounds of a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSettings {
    /// The maximum number of bytes, the target included. A larger head is answered with 431.
    pub bytes: usize,
    /// The maximum number of header fields. A head with more is answered with 431.
    pub fields: usize,
    /// How long a head may take once it has begun. A slower one is answered with 408.
    pub timeout: Duration,
}

impl Default for HeadSettings {
    fn default() -> Self {
        Self {
            bytes: 128 * 1024,
            fields: 100,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The versions of HTTP that listeners speak besides HTTP/1.1 (B-296).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/2 over TLS.
    pub h2: bool,
    /// HTTP/2 without TLS, by clients that know that the hub speaks it.
    pub h2c: bool,
    /// HTTP/3, over UDP on the port of each HTTPS listener.
    pub h3: bool,
}

impl Default for Protocols {
    fn default() -> Self {
        Self {
            h2: true,
            h2c: true,
            h3: true,
        }
    }
}

/// What connections may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Open connections at most; `None` for what the limit of open files leaves.
    pub most: Option<u64>,
    /// Those of one address.
    pub most_of_address: Option<u64>,
    /// How fast connections may come.
    pub rate: Option<Rate>,
    /// How fast those of one address may.
    pub rate_of_address: Option<Rate>,
    /// TLS handshakes under way; `None` for a quarter of the connections.
    pub handshakes: Option<u64>,
    /// Streams of one connection over HTTP/2 or HTTP/3.
    pub streams: u32,
    /// The bounds of each head.
    pub head: HeadSettings,
    /// Bytes of memory of all heads that are incomplete or large.
    pub head_memory: u64,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            most: None,
            most_of_address: None,
            rate: Some(Rate::per_second(20_000, 200_000)),
            rate_of_address: None,
            handshakes: None,
            streams: 250,
            head: HeadSettings::default(),
            head_memory: 64 * 1024 * 1024,
        }
    }
}

/// What is counted of the requests of sites (B-297).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestMetrics {
    /// Whether hosts are told apart.
    pub per_host: bool,
}

/// Everything that the program needs to know to serve.
#[derive(Debug)]
pub struct Settings {
    /// What configured the program.
    pub configured_by: ConfiguredBy,
    /// The sites, in the order of the configuration; at least one.
    pub sites: Vec<SiteSettings>,
    /// The hubs that the sites ask; at least one. [`Action::Hub`] names one by its place here.
    pub hubs: Vec<HubSettings>,
    /// Where the updates of the hubs are kept. [`HubSettings::store`] names one by its place here.
    pub stores: Vec<TransportSettings>,
    /// What all of them share.
    pub program: ProgramSettings,
}

/// A site: where it is reached, and what it does with requests.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteSettings {
    /// Where to listen; at least one.
    pub addresses: Vec<ListenAddress>,
    /// What its HTTPS addresses show, by name.
    pub certificates: Vec<Certified>,
    /// What it does with requests.
    pub routes: Routes,
    /// Which loggers its requests have (`log`).
    pub access_log: AccessLogSettings,
}

/// One `mercure` block.
#[derive(Debug)]
pub struct HubSettings {
    /// Its name, which tells it from other hubs of the program (B-1021).
    pub name: Option<String>,
    /// By which addresses it is reached: those of the site that asks it.
    pub addresses: Vec<ListenAddress>,
    /// How it behaves.
    pub options: HubOptions,
    /// The place of its store among those of the program; hubs may share one.
    pub store: usize,
    /// The key sets among the keys of its issuers, to be kept up to date.
    pub key_sets: Vec<KeySetSource>,
}

/// What all sites and hubs share.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramSettings {
    /// What clients are shown that name no host that is served.
    pub sni: SniSettings,
    /// The HTTP port whose requests are redirected to HTTPS (B-062).
    pub redirects: Option<u16>,
    /// Whether the root of the local authority is kept out of this machine's store (B-293).
    pub skip_install_trust: bool,
    /// The proxies whose `X-Forwarded-…` fields are believed.
    pub proxies: TrustedProxies,
    /// Time without an accepted byte after which a stalled reader is dropped; `None` never (B-213).
    pub dispatch_timeout: Option<Duration>,
    /// Window in which streams end at shutdown; zero ends all at once (B-1022).
    pub drain_timeout: Duration,
    /// How long requests under way may take at shutdown; `None` for half a second more than the window (B-295).
    pub grace_period: Option<Duration>,
    /// How long the program goes on serving after it was told to stop (B-295).
    pub shutdown_delay: Duration,
    /// The admin listener.
    pub admin: AdminSettings,
    /// What connections may hold.
    pub connections: ConnectionSettings,
    /// The versions of HTTP that listeners speak.
    pub protocols: Protocols,
    /// What is counted of requests; `None` for nothing.
    pub request_metrics: Option<RequestMetrics>,
    /// The logs.
    pub log: LogsSettings,
    /// How spans are made, if a site has the directive `tracing`.
    pub traces: Option<TraceSettings>,
}

impl Default for ProgramSettings {
    fn default() -> Self {
        Self {
            sni: SniSettings::default(),
            redirects: None,
            skip_install_trust: false,
            proxies: TrustedProxies::default(),
            dispatch_timeout: Some(Duration::from_secs(5)),
            drain_timeout: Duration::from_secs(3),
            grace_period: None,
            shutdown_delay: Duration::ZERO,
            admin: AdminSettings::default(),
            connections: ConnectionSettings::default(),
            protocols: Protocols::default(),
            request_metrics: None,
            log: LogsSettings::default(),
            traces: None,
        }
    }
}

/// What loading a configuration gives.
#[derive(Debug)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
    /// The files that were imported, beside the configuration file itself.
    pub imported: Vec<PathBuf>,
}
