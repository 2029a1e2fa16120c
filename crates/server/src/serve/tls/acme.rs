//! Certificates that an authority issues by ACME (RFC 8555; B-064): ordered when they are missing, renewed in time,
//! kept on the disk, and shared with other hubs that have the same data folder.

mod authority;
mod client;
mod failures;
mod order;
mod refusal;
mod schedule;
mod store;
mod stored;

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use talaria_config::Error;
use talaria_config::settings::{AcmeSettings, AuthoritySettings};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use self::authority::Authority;
use self::failures::Failures;
use self::order::{Wanted, order};
use self::schedule::due;
pub(super) use self::store::Store;
use self::store::{Issued, latest};
use self::stored::Stored;
use super::certificate::Certificate;
use super::challenges::Challenges;
use crate::serve::clock;
use crate::serve::log::in_one_line;

/// How long an attempt at one authority may take, with both challenges.
const ATTEMPT: Duration = Duration::from_secs(300);
/// How long to sleep at most before the clock is read again, which may be set.
const LOOK: Duration = Duration::from_secs(3600);
/// How often to check whether another hub has finished its order for the same name.
const PAUSE: Duration = Duration::from_secs(1);
/// The least time between a certificate and the order of the next.
const SETTLED: Duration = Duration::from_secs(5);
/// How many certificates in a row may be due at once when they come, before the orders wait as after failures.
const HASTY: u32 = 2;
/// How long a suggestion of an authority holds at least, and at most.
const LEAST: Duration = Duration::from_secs(3600);
const MOST: Duration = Duration::from_secs(24 * 3600);

/// The certificate of one name.
pub(super) struct Managed {
    name: String,
    settings: AcmeSettings,
    store: Store,
    challenges: Challenges,
    turns: Turns,
    certificate: Arc<Certificate>,
}

/// Lets a few orders be under way at a time, however many names there are.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        const ORDERS: usize = 4;
        Self(Arc::new(Semaphore::new(ORDERS)))
    }
}

/// A certificate that is to be renewed.
struct Due {
    stored: Stored,
    /// Whether its authority said when.
    is_suggested: bool,
    /// Whether it was due when it came.
    at_once: bool,
}

/// Why there is no new certificate.
struct Failed {
    error: Error,
    /// How long the authority asks to wait.
    asked: Option<Duration>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, asked: None }
    }
}

impl Managed {
    /// Shows the stored certificate, if there is one. Nothing is ordered before [`Self::keep`].
    pub(super) fn new(
        name: &str,
        settings: &AcmeSettings,
        store: &Store,
        challenges: &Challenges,
        turns: &Turns,
    ) -> Self {
        let managed = Self {
            name: name.to_owned(),
            settings: settings.clone(),
            store: store.clone(),
            challenges: challenges.clone(),
            turns: turns.clone(),
            certificate: Arc::new(Certificate::missing("it is being ordered")),
        };
        if let Some(stored) = managed.read() {
            if stored.left(clock::now()).is_zero() {
                tracing::warn!(name: "certificate_expired",
                    name,
                    "the stored certificate has expired; it is shown until there is a new one"
                );
            }
            managed.certificate.replace(stored.key);
        }
        managed
    }

    /// The certificate that handshakes get.
    pub(super) fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.certificate)
    }

    /// Orders the certificate when it is missing, and renews it, as long as this is polled.
    pub(super) async fn keep(&self) {
        let failures = Failures::new(&self.name, &self.settings, &self.store);
        let (mut backoff, mut earlier, why) = failures.resume(clock::now()).await;
        let mut current = self.load().await;
        let mut hasty = 0;
        loop {
            let mut follows_suggestion = false;
            if let Some(stored) = current.take() {
                self.certificate.replace(Arc::clone(&stored.key));
                let due = self.wait_until_due(stored).await;
                if due.at_once && hasty >= HASTY {
                    // An authority whose certificates are due when they come is not asked without end.
                    let wait = backoff.next(None, rand::random_range(0.0..1.0));
                    self.report_hasty(wait);
                    sleep(wait).await;
                } else if !due.at_once {
                    hasty = 0;
                    backoff.reset();
                    earlier = Duration::ZERO;
                }
                follows_suggestion = due.is_suggested;
                current = Some(due.stored);
            }
            // A restart does not ask again sooner.
            if !earlier.is_zero() {
                tracing::warn!(name: "certificate_refused", name = self.name.as_str(), "{why}");
                self.certificate.explain(&why);
                sleep(std::mem::take(&mut earlier)).await;
            }
            let attempt = backoff.failures();
            match self
                .renew(current.as_ref(), follows_suggestion, attempt)
                .await
            {
                Ok(stored) => {
                    hasty += 1;
                    if hasty < HASTY {
                        backoff.reset();
                    }
                    failures.note(0).await;
                    self.certificate.replace(Arc::clone(&stored.key));
                    current = Some(stored);
                    // Whatever validity it has, its authority is not asked again at once.
                    sleep(SETTLED).await;
                }
                Err(failed) => {
                    let wait = backoff.next(failed.asked, rand::random_range(0.0..1.0));
                    failures.note(backoff.failures()).await;
                    self.report(&failed.error, current.as_ref(), wait);
                    sleep(wait).await;
                    // Another hub may have got one meanwhile.
                    current = self.load().await.or(current);
                }
            }
        }
    }

    fn report_hasty(&self, wait: Duration) {
        tracing::warn!(name: "certificate_short_lived",
            name = self.name.as_str(),
            "each new certificate is to be renewed at once, by its dates or because its authority says so; the next order follows in {} s: check the clock of this machine",
            wait.as_secs()
        );
    }

    fn report(&self, error: &Error, current: Option<&Stored>, wait: Duration) {
        let why = in_one_line(error);
        self.certificate.explain(&why);
        let name = &self.name;
        let next = wait.as_secs();
        match current {
            None => tracing::warn!(name: "certificate_not_issued",
                name,
                "no certificate: {why}; the next attempt follows in {next} s"
            ),
            Some(stored) => tracing::warn!(name: "certificate_not_renewed",
                name,
                valid_hours = stored.left(clock::now()).as_secs() / 3600,
                "the certificate could not be renewed, the old one stays: {why}; the next attempt follows in {next} s"
            ),
        }
    }

    /// Waits until a certificate is to be renewed. Gives the one to renew, which another hub may have replaced
    /// meanwhile.
    async fn wait_until_due(&self, mut stored: Stored) -> Due {
        let mut at_once = true;
        let chance = rand::random_range(0.0..1.0);
        let mut window = None;
        let mut ask_at = clock::now();
        loop {
            let now = clock::now();
            let moment = due(&(stored.from..stored.until), window.as_ref(), chance);
            if now >= moment {
                return Due {
                    is_suggested: window.is_some(),
                    stored,
                    at_once,
                };
            }
            if now >= ask_at {
                let suggested = self.suggestion(&stored).await;
                let holds = suggested.as_ref().map_or(MOST, |(_, holds)| *holds);
                ask_at = now + holds.clamp(LEAST, MOST);
                window = suggested.map(|(window, _)| window).or(window);
                continue;
            }
            let wait = moment.duration_since(now).unwrap_or_default();
            at_once = false;
            sleep(wait.min(LOOK)).await;
            if let Some(newer) = self.newer(Some(&stored)).await {
                self.certificate.replace(Arc::clone(&newer.key));
                (stored, window, ask_at) = (newer, None, clock::now());
            }
        }
    }

    async fn suggestion(&self, stored: &Stored) -> Option<(Range<SystemTime>, Duration)> {
        let mut authorities = self.settings.authorities.iter();
        let settings = authorities.find(|each| each.directory == stored.directory)?;
        let authority = Authority::new(settings, &self.store).ok()?;
        let asked = timeout(ATTEMPT, authority.suggestion(stored));
        asked.await.ok().flatten()
    }

    /// Gets a new certificate: one that another hub got meanwhile, else one from the first authority that issues it.
    async fn renew(
        &self,
        current: Option<&Stored>,
        suggested: bool,
        attempt: u32,
    ) -> Result<Stored, Failed> {
        let _lock = match self.lock(current).await? {
            ControlFlow::Continue(lock) => lock,
            ControlFlow::Break(stored) => return Ok(stored),
        };
        let _turn = self.turns.0.acquire().await.map_err(Error::from_cause)?;
        let mut failures = Vec::new();
        let mut asked = None;
        for settings in &self.settings.authorities {
            let replaced =
                current.filter(|stored| suggested && stored.directory == settings.directory);
            match self.issue(settings, replaced, attempt, &mut asked).await {
                Ok(stored) => return Ok(stored),
                Err(error) => failures.push(error),
            }
        }
        let mut failures = failures.into_iter();
        let first = failures
            .next()
            .unwrap_or_else(|| Error::new("no authority is configured"));
        let error = failures.fold(first, |all, next| {
            Error::new(format!("{}; {}", in_one_line(&all), in_one_line(&next)))
        });
        Err(Failed { error, asked })
    }

    /// Waits until no other hub orders this certificate; breaks with the one that it got.
    async fn lock(&self, current: Option<&Stored>) -> Result<ControlFlow<Stored, File>, Error> {
        loop {
            let (store, name) = (self.store.clone(), self.name.clone());
            let locked = spawn_blocking(move || store.lock(&name)).await;
            let locked = locked.map_err(Error::from_cause)??;
            if let Some(newer) = self.newer(current).await {
                return Ok(ControlFlow::Break(newer));
            }
            match locked {
                Some(lock) => return Ok(ControlFlow::Continue(lock)),
                None => sleep(PAUSE).await,
            }
        }
    }

    /// Orders a certificate from one authority and keeps it.
    async fn issue(
        &self,
        settings: &AuthoritySettings,
        replaced: Option<&Stored>,
        attempt: u32,
        asked: &mut Option<Duration>,
    ) -> Result<Stored, Error> {
        let name = self.name.as_str();
        let directory = &settings.directory;
        let at = |error: Error| Error::new(directory.as_str()).caused_by(in_one_line(&error));
        tracing::info!(name: "certificate_ordered", name, authority = %directory, "ordering a certificate");
        let authority = Authority::new(settings, &self.store).map_err(at)?;
        let wanted = Wanted {
            name,
            key: self.settings.key,
            http: self.settings.http,
            challenges: &self.challenges,
            replaced,
            attempt,
        };
        let issued = timeout(ATTEMPT, order(&authority, &wanted)).await;
        *asked = authority.asked_to_wait().max(*asked);
        let issued = issued.unwrap_or_else(|_| {
            let seconds = ATTEMPT.as_secs();
            Err(Error::new(format!(
                "the order was not done within {seconds} s"
            )))
        });
        let stored = self.take(settings, issued.map_err(at)?).await.map_err(at)?;
        tracing::info!(name: "certificate_issued",
            name,
            authority = %directory,
            valid_hours = stored.left(clock::now()).as_secs() / 3600,
            "got a certificate"
        );
        Ok(stored)
    }

    /// Checks what an authority issued, and keeps it. If the disk refuses it, it is shown all the same, because
    /// authorities limit how many a name gets.
    async fn take(&self, settings: &AuthoritySettings, issued: Issued) -> Result<Stored, Error> {
        let directory = settings.directory.clone();
        let stored = Stored::parse(issued.chain.as_bytes(), issued.key.as_bytes(), &directory);
        let stored = stored.map_err(|error| {
            Error::new("what it issued is not a certificate for our key").caused_by(error)
        })?;
        if !stored.is_for(&self.name) || stored.left(clock::now()).is_zero() {
            return Err(Error::new("what it issued is not valid for the name"));
        }
        let (store, name) = (self.store.clone(), self.name.clone());
        let saved = spawn_blocking(move || store.save(&directory, &name, &issued)).await;
        if let Err(error) = saved.map_err(Error::from_cause).flatten() {
            tracing::error!(name: "certificate_not_kept",
                name = self.name,
                "the certificate is not kept for the next start: {}",
                in_one_line(&error)
            );
        }
        Ok(stored)
    }

    /// The stored certificate, if it is another than `current` and need not be renewed yet.
    async fn newer(&self, current: Option<&Stored>) -> Option<Stored> {
        let stored = self.load().await?;
        let is_new = current.is_none_or(|current| !current.is_same(&stored));
        let moment = due(&(stored.from..stored.until), None, 0.0);
        if !is_new || clock::now() >= moment {
            return None;
        }
        tracing::info!(name: "certificate_shared",
            name = self.name,
            "another hub with this data folder got the certificate"
        );
        Some(stored)
    }

    async fn load(&self) -> Option<Stored> {
        let (store, name) = (self.store.clone(), self.name.clone());
        let authorities = self.settings.authorities.clone();
        let loading = spawn_blocking(move || {
            latest(
                &store,
                authorities.iter().map(|each| &each.directory),
                &name,
            )
        });
        loading.await.ok().flatten()
    }

    fn read(&self) -> Option<Stored> {
        let authorities = self.settings.authorities.iter();
        latest(
            &self.store,
            authorities.map(|each| &each.directory),
            &self.name,
        )
    }
}
