//! The log of `transport redis`, as the engine takes it.

use std::sync::Arc;

use talaria_config::Error;
use talaria_config::settings::{
    RedisAddress, RedisCredentials, RedisPlace, RedisSettings, RedisTlsSettings,
};
use talaria_redis::{Place, Redis, RedisOptions, RedisTls, Survey};
use talaria_transport::measures::Survives;
use talaria_transport::shared::SharedOptions;
use talaria_transport::shared::backend::BackendError;

use super::durability::redis as durability;
use super::shared::{Log, Server, content, failed};

impl Server for Redis {
    type Survey = Survey;

    async fn ask(&self) -> Result<Survey, BackendError> {
        self.survey().await
    }
}

impl Log for RedisSettings {
    type Server = Redis;

    const TRANSPORT: &'static str = "redis";

    fn place(&self) -> String {
        self.place.to_string()
    }

    fn name(&self) -> &str {
        &self.stream
    }

    fn options(&self) -> SharedOptions {
        let mut options = SharedOptions::default();
        options.ring_bytes = self.ring_bytes;
        options.publish_timeout = self.publish_timeout;
        options.lease = self.lease;
        options
    }

    async fn server(&self) -> Result<Redis, Error> {
        Redis::new(options(self).await?).map_err(|error| failed(&self.place.to_string(), &error))
    }

    fn durability(&self, survey: &Survey, members: u64) -> (Vec<String>, Vec<String>) {
        (
            durability::lines(self, survey, members),
            durability::warnings(self, survey),
        )
    }

    fn survives(&self, survey: &Survey) -> Survives {
        durability::survives(self, survey)
    }
}

/// The options of the log, with the files that they name read.
async fn options(settings: &RedisSettings) -> Result<RedisOptions, Error> {
    let mut options = RedisOptions::new(place(&settings.place), settings.stream.clone());
    (options.username, options.password) = credentials(&settings.credentials);
    (options.sentinel_username, options.sentinel_password) =
        credentials(&settings.sentinel_credentials);
    options.database = settings.database;
    options.max_length = settings.max_length.unwrap_or(0);
    options.max_age = settings.max_age;
    options.replicas = settings.replicas;
    if let Some(tls) = settings.tls.clone() {
        let again = tls.clone();
        let first = tokio::task::spawn_blocking(move || files(&tls));
        options.tls = Some(first.await.map_err(Error::from_cause)??);
        options.tls_again = Some(Arc::new(move || {
            files(&again).map_err(|error| error.to_string())
        }));
    }
    Ok(options)
}

fn place(place: &RedisPlace) -> Place {
    let list = |addresses: &[RedisAddress]| {
        let pairs = addresses
            .iter()
            .map(|address| (address.host.clone(), address.port));
        pairs.collect()
    };
    match place {
        RedisPlace::Address(RedisAddress { host, port }) => Place::Address {
            host: host.clone(),
            port: *port,
        },
        RedisPlace::Unix(path) => Place::Unix(path.clone()),
        RedisPlace::Sentinel { name, sentinels } => Place::Sentinel {
            name: name.clone(),
            sentinels: list(sentinels),
        },
        RedisPlace::Cluster(addresses) => Place::Cluster(list(addresses)),
    }
}

fn credentials(credentials: &RedisCredentials) -> (Option<String>, Option<String>) {
    let password = credentials.password.as_ref();
    (
        credentials.username.clone(),
        password.map(|password| password.expose().to_owned()),
    )
}

fn files(settings: &RedisTlsSettings) -> Result<RedisTls, Error> {
    let identity = settings.identity.as_ref();
    Ok(RedisTls {
        ca: settings.ca.as_deref().map(content).transpose()?,
        certificate: identity
            .map(|(certificate, key)| Ok::<_, Error>((content(certificate)?, content(key)?)))
            .transpose()?,
    })
}
