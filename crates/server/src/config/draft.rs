//! Settings while they are collected: what is not set stays `None` until the end.

mod warnings;

use std::net::IpAddr;
use std::time::Duration;

use talaria_hub::access::Role;
use talaria_hub::limits::BudgetOptions;
use talaria_hub::origin::Origins;
use talaria_hub::{PresenceOptions, Rule};
use talaria_protocol::{Base, HUB_PATH, Limits};

use super::address::{self, Ports};
use super::budgets::budgets;
use super::error::ConfigError;
use super::issuer;
use super::origins::{check_origins, without_credentials};
use super::settings::{
    CertificateSettings, ConnectionSettings, IssuerSettings, KeySource, ListenAddress, Loaded,
    Notice, OriginSetting, Settings, TransportSettings,
};
use super::source::Place;
use crate::log::Levels;
use crate::proxies::Proxies;

/// The issuer of modern tokens where none is named (design §6).
pub const UNNAMED_ISSUER: &str = "https://localhost";

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// Addresses to listen on.
    pub addresses: Vec<ListenAddress>,
    /// The interfaces that `bind` names, else `default_bind`; empty for all.
    pub bind: Vec<IpAddr>,
    /// What the `tls` directive says.
    pub certificate: Option<CertificateSettings>,
    /// `auto_https disable_redirects` (B-062).
    pub no_redirects: bool,
    /// `http_port` and `https_port` (B-292).
    pub ports: Ports,
    /// [`Settings::skip_install_trust`].
    pub skip_install_trust: bool,
    /// [`Settings::proxies`].
    pub proxies: Proxies,
    /// Issuers in the order of the configuration.
    pub issuers: Vec<IssuerSettings>,
    /// The keys of the 0.x directives (B-221b).
    pub older_keys: OlderKeys,
    /// `protocol_version_compatibility` (B-209).
    pub compatibility: Option<Compatibility>,
    /// Whether an issuer was named, be it by a variable.
    pub issuer_named: bool,
    /// [`Settings::anonymous`].
    pub anonymous: Option<bool>,
    /// Whether the hub is one to play with (B-090).
    pub playground: bool,
    /// [`Settings::repeat_window`]; zero for none.
    pub repeat_window: Option<Duration>,
    /// [`Settings::public_origins`].
    pub public_origins: Vec<String>,
    /// [`Settings::accepted_audiences`].
    pub accepted_audiences: Vec<String>,
    /// [`Settings::max_token_lifetime`]; zero for any time.
    pub max_token_lifetime: Option<Duration>,
    /// [`Settings::subscriptions`].
    pub subscriptions: bool,
    /// [`Settings::presence`].
    pub presence: PresenceOptions,
    /// [`Settings::cookie_name`].
    pub cookie_name: Option<String>,
    /// [`Settings::resource_identifier`].
    pub resource_identifier: Option<String>,
    /// [`Settings::heartbeat`]; zero for never.
    pub heartbeat: Option<Duration>,
    /// [`Settings::write_timeout`]; zero for never.
    pub write_timeout: Option<Duration>,
    /// [`Settings::dispatch_timeout`]; zero for never.
    pub dispatch_timeout: Option<Duration>,
    /// [`Settings::drain_timeout`].
    pub drain_timeout: Option<Duration>,
    /// [`Settings::max_request_body_size`].
    pub max_request_body_size: Option<u64>,
    /// [`Settings::max_anonymous_body_size`].
    pub max_anonymous_body_size: Option<u64>,
    /// [`Settings::connections`].
    pub connections: ConnectionSettings,
    /// [`Settings::transport`].
    pub transport: Option<TransportSettings>,
    /// [`Settings::cors_origins`].
    pub cors_origins: Option<Vec<OriginSetting>>,
    /// [`Settings::publish_origins`].
    pub publish_origins: Option<Vec<OriginSetting>>,
    /// [`Settings::limits`].
    pub limits: Limits,
    /// [`Settings::budgets`].
    pub budgets: BudgetOptions,
    /// [`Settings::log`].
    pub log: Levels,
    /// Variables that a key names and that are not set.
    pub missing: Vec<String>,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
}

/// Keys that belong to no named issuer.
#[derive(Debug, Default)]
pub struct OlderKeys {
    /// Key of publishers' tokens.
    pub publisher: Option<KeySource>,
    /// Key of subscribers' tokens.
    pub subscriber: Option<KeySource>,
    /// Where the first directive stands.
    pub place: Option<Place>,
}

/// The older protocol that is spoken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// That of 0.x before version 8, with its permissions (B-622, B-623).
    Seven,
    /// That of 0.x.
    Eight,
}

impl Draft {
    /// Which rule applies: the first whose configuration this is (design §6).
    fn rule(&self) -> Rule {
        let older_keys = self.older_keys.place.is_some();
        match self.compatibility {
            Some(Compatibility::Eight) => Rule::Compatible,
            Some(Compatibility::Seven) if self.issuer_named => Rule::Compatible,
            _ if older_keys || !self.issuer_named => Rule::Classic,
            Some(Compatibility::Seven) | None => Rule::Modern,
        }
    }

    /// Makes the keys of the 0.x directives an issuer: of 0.x tokens, and of the modern ones that
    /// name `https://localhost` (design §6).
    ///
    /// # Errors
    ///
    /// The directives stand beside `issuer` blocks, and nothing says that both generations are
    /// meant.
    fn adopt_older_keys(&mut self) -> Result<(), ConfigError> {
        let keys = std::mem::take(&mut self.older_keys);
        let Some(place) = keys.place.clone() else {
            return Ok(());
        };
        self.older_keys.place = keys.place;
        if self.issuer_named && self.compatibility.is_none() {
            return Err(ConfigError::at(
                &place,
                "the key directives of Mercure 0.x stand beside `issuer` blocks or MERCURE_TRUSTED_ISSUERS",
            )
            .remedy(
                "write `protocol_version_compatibility 8` to accept both generations, or replace them by: \
                 issuer https://localhost { publisher { jwt <key> } subscriber { jwt <key> } }, each brace at its line's end",
            )
            .hide_line());
        }
        // A directive stands above the variable of the same role.
        let unnamed = |issuer: &&mut IssuerSettings| issuer.identifier == UNNAMED_ISSUER;
        if let Some(issuer) = self.issuers.iter_mut().find(unnamed) {
            issuer.judges_unnamed = true;
            issuer.publisher = keys.publisher.or(issuer.publisher.take());
            issuer.subscriber = keys.subscriber.or(issuer.subscriber.take());
            return Ok(());
        }
        self.issuers.push(IssuerSettings {
            identifier: UNNAMED_ISSUER.to_owned(),
            authorization_server: false,
            judges_unnamed: true,
            publisher: keys.publisher,
            subscriber: keys.subscriber,
            place,
        });
        Ok(())
    }

    /// What `playground` sets and nothing else did (B-090).
    fn open_playground(&mut self) {
        let place = Place::variable("playground");
        let any = || OriginSetting {
            text: "*".to_owned(),
            place: place.clone(),
        };
        self.anonymous = Some(true);
        self.subscriptions = true;
        self.cookie_name
            .get_or_insert_with(|| "mercure_access_token".to_owned());
        self.cors_origins.get_or_insert_with(|| vec![any()]);
        self.publish_origins.get_or_insert_with(|| vec![any()]);
        self.notices.push(Notice::warning(
            "`playground` lets anyone subscribe and every page publish by cookie; do not use it on a public hub",
        ));
    }

    fn bind_addresses(&mut self) {
        for address in &mut self.addresses {
            if address.bind.is_empty() {
                address.bind.clone_from(&self.bind);
            }
        }
        let is_port = |host: &&str| host.bytes().all(|b| b.is_ascii_digit());
        for host in self
            .addresses
            .iter()
            .filter_map(|address| address.host.as_deref())
        {
            if is_port(&host) {
                self.notices.push(Notice::warning(format!(
                    "the site address {host} is a host name: requests must name it; write :{host} for the port"
                )));
            }
        }
        let loopback = |host: &str| host.starts_with("127.") || host == "[::1]";
        let mut open = self.addresses.iter().filter(|address| {
            address.bind.is_empty() && address.host.as_deref().is_some_and(loopback)
        });
        if let Some(host) = open.next().and_then(|address| address.host.as_deref()) {
            self.notices.push(Notice::info(format!(
                "the site address {host} restricts the Host of requests, not the interface: the hub listens on all; write `bind 127.0.0.1` in the site, or `default_bind 127.0.0.1` in the global options, to be reached from this machine only"
            )));
        }
    }

    /// Checks what needs the whole and fills in the defaults.
    ///
    /// # Errors
    ///
    /// A key that cannot verify anything, the rules of [`issuer::check`], a wrong origin.
    pub fn finish(mut self) -> Result<Loaded, ConfigError> {
        if self.playground && self.anonymous == Some(false) {
            return Err(ConfigError::general(
                "`playground` lets anyone subscribe, and `anonymous` is off",
            )
            .remedy("remove one of them"));
        }
        if self.playground {
            self.open_playground();
        }
        if self.certificate.is_some() && !self.addresses.iter().any(|address| address.tls) {
            self.notices.push(Notice::warning(
                "`tls` has no effect, because no address speaks HTTPS: write https:// before one, or remove the line",
            ));
        }
        self.adopt_older_keys()?;
        self.warn_of_public_origins();
        self.bind_addresses();
        address::check_certificates(&self.addresses, self.certificate.as_ref())?;
        self.warn_of_permissions();
        let rule = self.rule();
        let default_body = match rule {
            Rule::Classic => 10 * 1024 * 1024,
            Rule::Modern | Rule::Compatible => 1024 * 1024,
        };
        let mut key_sets = Vec::new();
        let issuers = issuer::check(
            &self.issuers,
            self.anonymous == Some(true),
            &mut self.notices,
            &mut key_sets,
        )?;
        if self.presence.token_holders_only && !issuers.serves(Role::Subscriber) {
            self.notices.push(Notice::warning(
                "`subscriptions token_holders` announces no subscriber, because no key verifies the tokens of subscribers: name one, or write `subscriptions`",
            ));
        }
        let cors = self.cors_origins.unwrap_or_default();
        let publish = self.publish_origins.unwrap_or_default();
        let timer = |value: Option<Duration>, default: u64| {
            Some(value.unwrap_or(Duration::from_secs(default))).filter(|value| !value.is_zero())
        };
        let mut accepted_audiences = self.accepted_audiences;
        if self.resource_identifier.is_none() {
            // A publisher inside the network names the public address, and the reverse; but no URL that
            // requests may not come by.
            let public = &self.public_origins;
            let is_own = |url: &String| {
                let origin = url.strip_suffix(HUB_PATH).unwrap_or(url);
                public.is_empty() || public.iter().any(|listed| listed == origin)
            };
            let urls = self.addresses.iter().filter_map(ListenAddress::url);
            accepted_audiences.extend(urls.filter(is_own));
        }
        let cors_origins = check_origins(&cors, |values| {
            Origins::parse(values).map_err(|error| error.to_string())
        })?;
        self.notices.extend(without_credentials(&cors_origins));
        let transport = self
            .transport
            .ok_or_else(|| ConfigError::general("there is no transport"))?;
        let max_request_body_size = self.max_request_body_size.unwrap_or(default_body);
        let budgets = budgets(self.budgets, max_request_body_size, &mut self.notices);
        let settings = Settings {
            issuers,
            key_sets,
            rule,
            publish_ungranted: self.compatibility == Some(Compatibility::Seven),
            anonymous: self.anonymous.unwrap_or(false),
            subscriptions: self.subscriptions,
            presence: self.presence,
            repeat_window: self.repeat_window.filter(|window| !window.is_zero()),
            public_origins: self.public_origins,
            accepted_audiences,
            max_token_lifetime: self.max_token_lifetime.filter(|most| !most.is_zero()),
            cookie_name: self
                .cookie_name
                .unwrap_or_else(|| "__Secure-mercure_access_token".to_owned()),
            base: base(self.resource_identifier.as_deref(), &self.addresses),
            certificate: self.certificate.unwrap_or_default(),
            redirects: Some(self.ports.http).filter(|_| !self.no_redirects),
            skip_install_trust: self.skip_install_trust,
            proxies: self.proxies,
            addresses: self.addresses,
            resource_identifier: self.resource_identifier,
            heartbeat: timer(self.heartbeat, 40),
            write_timeout: timer(self.write_timeout, 600),
            dispatch_timeout: timer(self.dispatch_timeout, 5),
            drain_timeout: self.drain_timeout.unwrap_or(Duration::from_secs(3)),
            max_request_body_size,
            max_anonymous_body_size: self.max_anonymous_body_size.unwrap_or(256 * 1024),
            connections: self.connections,
            transport,
            cors_origins,
            publish_origins: check_origins(&publish, |values| {
                Origins::for_publish(values).map_err(|error| error.to_string())
            })?,
            limits: self.limits,
            budgets,
            log: self.log,
        };
        Ok(Loaded {
            settings,
            notices: self.notices,
        })
    }
}

fn base(pinned: Option<&str>, addresses: &[ListenAddress]) -> Base {
    let url = match (pinned, addresses) {
        (Some(pinned), _) => pinned.ends_with(HUB_PATH).then(|| pinned.to_owned()),
        (None, [address]) => address.url(),
        _ => None,
    };
    url.and_then(|url| Base::new(&url).ok())
        .unwrap_or_else(Base::synthetic)
}
