//! Settings while they are collected: what nobody set stays `None` until the end.

use std::time::Duration;

use talaria_hub::origin::Origins;
use talaria_protocol::{Base, HUB_PATH, Limits};

use super::error::ConfigError;
use super::issuer;
use super::settings::{
    IssuerSettings, ListenAddress, Loaded, Notice, OriginSetting, Settings, TransportSettings,
};

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// Addresses to listen on.
    pub addresses: Vec<ListenAddress>,
    /// Issuers in the order of the configuration.
    pub issuers: Vec<IssuerSettings>,
    /// [`Settings::anonymous`].
    pub anonymous: Option<bool>,
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

impl Draft {
    /// Checks what needs the whole and fills in the defaults.
    ///
    /// # Errors
    ///
    /// A key that cannot verify anything, the rules of [`issuer::check`], a wrong origin.
    pub fn finish(mut self) -> Result<Loaded, ConfigError> {
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
            anonymous: self.anonymous.unwrap_or(false),
            cookie_name: self
                .cookie_name
                .unwrap_or_else(|| "__Secure-mercure_access_token".to_owned()),
            base: base(self.resource_identifier.as_deref(), &self.addresses),
            addresses: self.addresses,
            resource_identifier: self.resource_identifier,
            heartbeat: timer(self.heartbeat, 40),
            write_timeout: timer(self.write_timeout, 600),
            dispatch_timeout: timer(self.dispatch_timeout, 5),
            drain_timeout: self.drain_timeout.unwrap_or(Duration::from_secs(5)),
            max_request_body_size: self.max_request_body_size.unwrap_or(1024 * 1024),
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
                    ..
                },
            ],
        ) if *port != 0 => Some(format!("http://{host}:{port}{HUB_PATH}")),
        _ => None,
    };
    url.and_then(|url| Base::new(&url).ok())
        .unwrap_or_else(Base::synthetic)
}
