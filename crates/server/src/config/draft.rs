//! Settings while they are collected: what nobody set stays `None` until the end.

use std::time::Duration;

use talaria_hub::Rule;
use talaria_hub::origin::Origins;
use talaria_protocol::{Base, HUB_PATH, Limits};

use super::address;
use super::error::ConfigError;
use super::issuer;
use super::settings::{
    CertificateSettings, IssuerSettings, KeySettings, ListenAddress, Loaded, Notice, OriginSetting,
    Settings, TransportSettings,
};
use super::source::Place;

/// The issuer of modern tokens where none is named (design §6).
pub const UNNAMED_ISSUER: &str = "https://localhost";

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// Addresses to listen on.
    pub addresses: Vec<ListenAddress>,
    /// What the `tls` directive says.
    pub certificate: Option<CertificateSettings>,
    /// `auto_https disable_redirects` (B-062).
    pub no_redirects: bool,
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
    /// [`Settings::subscriptions`].
    pub subscriptions: bool,
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
    /// [`Settings::transport`].
    pub transport: Option<TransportSettings>,
    /// [`Settings::cors_origins`].
    pub cors_origins: Option<Vec<OriginSetting>>,
    /// [`Settings::publish_origins`].
    pub publish_origins: Option<Vec<OriginSetting>>,
    /// [`Settings::limits`].
    pub limits: Limits,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
}

/// Keys that belong to no named issuer.
#[derive(Debug, Default)]
pub struct OlderKeys {
    /// Key of publishers' tokens.
    pub publisher: Option<KeySettings>,
    /// Key of subscribers' tokens.
    pub subscriber: Option<KeySettings>,
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

    /// Checks what needs the whole and fills in the defaults.
    ///
    /// # Errors
    ///
    /// A key that cannot verify anything, the rules of [`issuer::check`], a wrong origin.
    pub fn finish(mut self) -> Result<Loaded, ConfigError> {
        self.adopt_older_keys()?;
        address::check_certificates(&self.addresses, self.certificate.as_ref())?;
        let rule = self.rule();
        let default_body = match rule {
            Rule::Classic => 10 * 1024 * 1024,
            Rule::Modern | Rule::Compatible => 1024 * 1024,
        };
        let issuers = issuer::check(
            &self.issuers,
            self.anonymous == Some(true),
            &mut self.notices,
        )?;
        let cors = self.cors_origins.unwrap_or_default();
        let publish = self.publish_origins.unwrap_or_default();
        let timer = |value: Option<Duration>, default: u64| {
            Some(value.unwrap_or(Duration::from_secs(default))).filter(|value| !value.is_zero())
        };
        let transport = self
            .transport
            .ok_or_else(|| ConfigError::general("there is no transport"))?;
        let settings = Settings {
            issuers,
            rule,
            publish_ungranted: self.compatibility == Some(Compatibility::Seven),
            anonymous: self.anonymous.unwrap_or(false),
            subscriptions: self.subscriptions,
            cookie_name: self
                .cookie_name
                .unwrap_or_else(|| "__Secure-mercure_access_token".to_owned()),
            base: base(self.resource_identifier.as_deref(), &self.addresses),
            certificate: self.certificate.unwrap_or_default(),
            redirects: !self.no_redirects,
            addresses: self.addresses,
            resource_identifier: self.resource_identifier,
            heartbeat: timer(self.heartbeat, 40),
            write_timeout: timer(self.write_timeout, 600),
            dispatch_timeout: timer(self.dispatch_timeout, 5),
            drain_timeout: self.drain_timeout.unwrap_or(Duration::from_secs(5)),
            max_request_body_size: self.max_request_body_size.unwrap_or(default_body),
            transport,
            cors_origins: check_origins(&cors, |values| Origins::parse(values))?,
            publish_origins: check_origins(&publish, |values| Origins::for_publish(values))?,
            limits: self.limits,
        };
        Ok(Loaded {
            settings,
            notices: self.notices,
        })
    }
}

/// Checks a list of origins (B-226, B-1027).
fn check_origins(
    list: &[OriginSetting],
    parse: impl Fn(&[&str]) -> Result<Origins, String>,
) -> Result<Origins, ConfigError> {
    // One by one, because only then the place of a wrong one is known.
    for origin in list {
        parse(&[&origin.text]).map_err(|problem| ConfigError::at(&origin.place, problem))?;
    }
    let texts: Vec<&str> = list.iter().map(|origin| origin.text.as_str()).collect();
    parse(&texts).map_err(ConfigError::general)
}

fn base(pinned: Option<&str>, addresses: &[ListenAddress]) -> Base {
    let url = match (pinned, addresses) {
        (Some(pinned), _) => pinned.ends_with(HUB_PATH).then(|| pinned.to_owned()),
        (
            None,
            [
                ListenAddress {
                    host: Some(host),
                    port,
                    tls,
                    ..
                },
            ],
        ) if *port != 0 => {
            let scheme = if *tls { "https" } else { "http" };
            Some(format!("{scheme}://{host}:{port}{HUB_PATH}"))
        }
        _ => None,
    };
    url.and_then(|url| Base::new(&url).ok())
        .unwrap_or_else(Base::synthetic)
}
