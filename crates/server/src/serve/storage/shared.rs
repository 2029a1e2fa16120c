//! Opens a log that several nodes share: waits for its server, and reports what that server keeps.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::folders::{KEY_BYTES, read};
use talaria_config::settings::{
    RedisAddress, RedisCredentials, RedisPlace, RedisSettings, RedisTlsSettings,
};
use talaria_redis::{Place, Redis, RedisOptions, RedisTls, Survey};
use talaria_transport::shared::backend::BackendError;
use talaria_transport::shared::{Shared, SharedOptions};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::durability;

/// The shortest and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How often to log that the hub waits, and for what.
const TOLD: Duration = Duration::from_secs(10);
/// How long to wait for a server without end: longer than any program runs.
const EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Enters the log. Waits as long as the server is away or refuses, at most for `patience` if it is given.
///
/// # Errors
/// A reason that waiting does not mend; the last reason, once the patience is over.
pub(super) async fn open(
    settings: RedisSettings,
    patience: Option<Duration>,
) -> Result<Shared<Redis>, Error> {
    let place = settings.place.to_string();
    let options = options(&settings).await?;
    let redis = Redis::new(options).map_err(|error| failed(&place, &error))?;
    let redis = Arc::new(redis);
    let deadline = Instant::now() + patience.unwrap_or(EVER);
    let mut waiting = Waiting::new(&place);
    loop {
        let attempt = timeout_at(deadline, enter(&redis, &settings)).await;
        let error = match attempt {
            Ok(Ok((survey, shared))) => {
                report(&settings, &survey, shared.members());
                return Ok(shared);
            }
            Ok(Err(error @ BackendError::Fatal { .. })) => return Err(failed(&place, &error)),
            Ok(Err(error)) => error,
            Err(_) => BackendError::Away("the server does not answer".to_owned()),
        };
        if Instant::now() + waiting.pause >= deadline {
            return Err(Error::new(format!("the server {place} cannot be used: {error}")).remedy(
                "check the address in `transport redis`, and that the server runs; then load the configuration again",
            ));
        }
        waiting.pause(&error).await;
    }
}

/// Leaves the log, within this time. The other nodes find out by themselves otherwise.
pub(super) async fn leave(shared: &Shared<Redis>, within: Duration) {
    let reason = match timeout(within, shared.leave()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the server does not answer".to_owned(),
    };
    tracing::warn!(
        name: "log_not_left",
        reason,
        "the server of the log was not told that this node leaves; the other nodes notice it after a lease"
    );
}

/// The server of a log, which can keep one.
///
/// # Errors
/// It does not answer, or the log cannot be kept there.
pub(crate) async fn backend(settings: &RedisSettings) -> Result<Redis, Error> {
    let place = settings.place.to_string();
    let redis = Redis::new(options(settings).await?).map_err(|error| failed(&place, &error))?;
    match redis.survey().await {
        Ok(_) => Ok(redis),
        Err(error @ BackendError::Fatal { .. }) => Err(failed(&place, &error)),
        Err(error) => {
            Err(failed(&place, &error).remedy("check the address, and that the server runs"))
        }
    }
}

/// Logs what the hub waits for, and spaces the attempts.
struct Waiting<'a> {
    place: &'a str,
    pause: Duration,
    told: Option<Instant>,
}

impl<'a> Waiting<'a> {
    fn new(place: &'a str) -> Self {
        Self {
            place,
            pause: PAUSES.0,
            told: None,
        }
    }

    async fn pause(&mut self, error: &BackendError) {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TOLD);
        if is_due {
            self.told = Some(Instant::now());
            tracing::warn!(
                name: "backend_awaited",
                server = self.place,
                reason = %error,
                "the server of the log cannot be used yet; the hub serves once it can"
            );
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

async fn enter(
    redis: &Arc<Redis>,
    settings: &RedisSettings,
) -> Result<(Survey, Shared<Redis>), BackendError> {
    let survey = redis.survey().await?;
    let mut options = SharedOptions::default();
    options.ring_bytes = settings.ring_bytes;
    options.publish_timeout = settings.publish_timeout;
    options.lease = settings.lease;
    let shared = Shared::open(Arc::clone(redis), options).await?;
    Ok((survey, shared))
}

fn failed(place: &str, error: &BackendError) -> Error {
    let said = Error::new(format!("the server {place} cannot keep the log: {error}"));
    match error {
        BackendError::Fatal { remedy, .. } => said.remedy(remedy.as_str()),
        _ => said,
    }
}

/// The report of the server and of the `members` of the log, and what should be changed there.
fn report(settings: &RedisSettings, survey: &Survey, members: u64) {
    let stream = &settings.stream;
    for line in durability::lines(settings, survey, members) {
        tracing::info!(name: "report", "shared log {stream}: {line}");
    }
    for line in durability::warnings(settings, survey) {
        tracing::warn!(name: "report_warning", "shared log {stream}: {line}");
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
    let content = |path: &Path| {
        read(path, KEY_BYTES).map_err(|error: io::Error| {
            Error::new(format!("the file {} cannot be read", path.display()))
                .caused_by(error)
                .remedy("check the path and its permissions")
        })
    };
    let identity = settings.identity.as_ref();
    Ok(RedisTls {
        ca: settings.ca.as_deref().map(content).transpose()?,
        certificate: identity
            .map(|(certificate, key)| Ok::<_, Error>((content(certificate)?, content(key)?)))
            .transpose()?,
    })
}
