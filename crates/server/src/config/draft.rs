//! Settings while they are collected: what nobody set stays `None` until the end.

use std::time::Duration;

use talaria_protocol::Limits;

use super::settings::{
    IssuerSettings, ListenAddress, Notice, OriginSetting, Settings, TransportSettings,
    UnknownCursor,
};
use crate::options::DEFAULT_MAX_BYTES;

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
    /// Fills in the defaults. The notices stay behind.
    pub fn finish(self) -> Settings {
        let timer = |value: Option<Duration>, default: u64| {
            Some(value.unwrap_or(Duration::from_secs(default))).filter(|value| !value.is_zero())
        };
        Settings {
            addresses: self.addresses,
            issuers: self.issuers,
            anonymous: self.anonymous.unwrap_or(false),
            cookie_name: self
                .cookie_name
                .unwrap_or_else(|| "__Secure-mercure_access_token".to_owned()),
            resource_identifier: self.resource_identifier,
            heartbeat: timer(self.heartbeat, 40),
            write_timeout: timer(self.write_timeout, 600),
            dispatch_timeout: timer(self.dispatch_timeout, 5),
            drain_timeout: self.drain_timeout.unwrap_or(Duration::from_secs(5)),
            max_request_body_size: self.max_request_body_size.unwrap_or(1024 * 1024),
            transport: self.transport.unwrap_or(TransportSettings::Memory {
                size: None,
                max_bytes: DEFAULT_MAX_BYTES,
                unknown_cursor: UnknownCursor::Replay,
            }),
            cors_origins: self.cors_origins.unwrap_or_default(),
            publish_origins: self.publish_origins.unwrap_or_default(),
            limits: self.limits,
        }
    }
}
