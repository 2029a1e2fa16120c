//! HTTPS: which certificate a listener shows for which name, and how it stays valid (B-060 to B-065).

mod acme;
mod authority;
mod certificate;
mod challenges;
mod files;
mod local;
mod refusals;
mod resolver;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use talaria_config::Error;
use talaria_config::folders::{NO_DATA_HOME, data_home};
use talaria_config::settings::{CertificateSettings, Certified, SniSettings};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio_rustls::TlsAcceptor;

pub(crate) use authority::directory;
pub(crate) use challenges::{ACME_TLS, Challenges};
pub(crate) use session::Session;

use self::acme::{Managed, Turns};
use self::certificate::{Certificate, Validity};
use self::local::Local;
use self::resolver::{Entry, Resolver, Table};
use crate::serve::clock;
use crate::serve::log::in_one_line;
use crate::serve::trust_stores;

/// The wait after a renewal that failed.
const AGAIN: Duration = Duration::from_secs(60);
/// How long to sleep at most before the clock is read again, which may be set, and goes on while the machine sleeps.
const LOOK: Duration = Duration::from_secs(600);

/// What encrypts the connections of the HTTPS listeners. The certificates can be exchanged while they listen.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    resolver: Arc<Resolver>,
    kept: Mutex<Vec<Arc<Kept>>>,
    turns: Turns,
    changed: Notify,
}

/// A certificate and what keeps it valid.
struct Kept {
    names: Vec<String>,
    source: CertificateSettings,
    certificate: Arc<Certificate>,
    keeper: Keeper,
}

enum Keeper {
    /// A file is read again with the configuration only.
    Files,
    Local(Local),
    Acme(Managed),
}

/// Certificates that are ready to be shown instead of those in use.
pub(crate) struct Prepared {
    kept: Vec<Arc<Kept>>,
    table: Table,
}

impl Tls {
    /// Reads or makes the certificates. Those that an authority issues are ordered by [`Self::renew`], so nothing
    /// waits for them.
    ///
    /// # Errors
    /// A file cannot be read or written, or no certificate can be made.
    pub(crate) fn new(certified: &[Certified], sni: &SniSettings) -> Result<Self, Error> {
        let resolver = Arc::new(Resolver::default());
        let mut config = server_config(Arc::clone(&resolver) as _)?;
        // A connection of the last one is a question of an authority, and never reaches HTTP.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS.to_vec()];
        let tls = Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            resolver,
            kept: Mutex::default(),
            turns: Turns::default(),
            changed: Notify::new(),
        };
        let prepared = tls.prepare(certified, sni)?;
        tls.replace(prepared);
        Ok(tls)
    }

    /// Makes what a new configuration needs beside what is in use. What stays the same keeps its certificate and its
    /// renewal; files are read again.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn prepare(
        &self,
        certified: &[Certified],
        sni: &SniSettings,
    ) -> Result<Prepared, Error> {
        let mut kept = Vec::new();
        let mut entries = Vec::new();
        for one in certified {
            // Each name that an authority certifies has a separate certificate.
            let groups: Vec<&[String]> = match &one.source {
                CertificateSettings::Acme(_) => one.names.chunks(1).collect(),
                _ => vec![&one.names],
            };
            for names in groups {
                let used = self
                    .kept()
                    .iter()
                    .find(|kept| kept.is_for(names, &one.source))
                    .cloned();
                let each = match used {
                    Some(used) => used,
                    None => Arc::new(self.keep(names, &one.source)?),
                };
                entries.push(Entry {
                    names: names.to_vec(),
                    certificate: Arc::clone(&each.certificate),
                    only_tls13: one.only_tls13,
                });
                kept.push(each);
            }
        }
        let table = Table::new(&entries, sni);
        Ok(Prepared { kept, table })
    }

    /// Shows other certificates from now on; listeners and connections stay.
    pub(crate) fn replace(&self, prepared: Prepared) {
        self.resolver.replace(prepared.table);
        *self.kept() = prepared.kept;
        self.changed.notify_one();
    }

    fn keep(&self, names: &[String], source: &CertificateSettings) -> Result<Kept, Error> {
        let (keeper, certificate) = match source {
            CertificateSettings::Local => {
                let local = Local::open(directory()?, names)?;
                let key = local.certify(clock::now())?;
                (Keeper::Local(local), Arc::new(Certificate::new(key)))
            }
            CertificateSettings::Files { certificate, key } => {
                let key = certificate::read(certificate, key)?;
                (Keeper::Files, Arc::new(Certificate::new(key)))
            }
            CertificateSettings::Acme(settings) => {
                let store = acme::Store::new(data_folder()?);
                let challenges = self.challenges();
                let name = names.first().map_or("", String::as_str);
                let managed = Managed::new(name, settings, &store, &challenges, &self.turns);
                let certificate = managed.certificate();
                (Keeper::Acme(managed), certificate)
            }
        };
        Ok(Kept {
            names: names.to_vec(),
            source: source.clone(),
            certificate,
            keeper,
        })
    }

    /// What accepts the handshakes.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// What finds the certificate of a handshake, for another protocol.
    #[expect(dead_code, reason = "HTTP/3 will use it")]
    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.resolver) as _
    }

    /// What answers an authority that checks a name over plain HTTP.
    pub(crate) fn challenges(&self) -> Challenges {
        self.resolver.challenges()
    }

    /// The file of the root that clients must trust, if a certificate is of our own authority.
    pub(crate) fn root(&self) -> Option<PathBuf> {
        self.kept().iter().find_map(|kept| match &kept.keeper {
            Keeper::Local(local) => Some(local.root()),
            Keeper::Files | Keeper::Acme(_) => None,
        })
    }

    /// When the certificates of the names are valid, as far as they are there.
    pub(crate) fn validities(&self) -> BTreeMap<String, Validity> {
        let mut validities = BTreeMap::new();
        for kept in self.kept().iter() {
            let key = kept.certificate.get().ok();
            let Some(validity) = key.and_then(|key| Validity::of(key.cert.first()?)) else {
                continue;
            };
            // A file that is for every name has none.
            let names = kept.names.iter().map(String::as_str);
            for name in names.chain(kept.names.is_empty().then_some("*")) {
                validities.entry(name.to_owned()).or_insert(validity);
            }
        }
        validities
    }

    /// Makes this machine trust our root too, if it is a container (B-065).
    pub(crate) async fn trust(&self) {
        if let Some(root) = self.root() {
            trust_stores::install_at_start(&root).await;
        }
    }

    /// Orders certificates, and renews them before they expire, as long as the program runs.
    pub(crate) async fn renew(&self) {
        let mut tasks = JoinSet::new();
        let mut running: Vec<(Arc<Kept>, AbortHandle)> = Vec::new();
        loop {
            let wanted = self.kept().clone();
            running.retain(|(kept, task)| {
                let stays = wanted.iter().any(|wanted| Arc::ptr_eq(wanted, kept));
                if !stays {
                    task.abort();
                }
                stays
            });
            for kept in wanted {
                if !running.iter().any(|(known, _)| Arc::ptr_eq(known, &kept)) {
                    let task = tasks.spawn(Arc::clone(&kept).stay_valid());
                    running.push((kept, task));
                }
            }
            self.changed.notified().await;
            // Those that were aborted.
            while tasks.try_join_next().is_some() {}
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether it can go on for these names from this source.
    fn is_for(&self, names: &[String], source: &CertificateSettings) -> bool {
        !matches!(self.keeper, Keeper::Files) && self.names == names && self.source == *source
    }

    async fn stay_valid(self: Arc<Self>) {
        match &self.keeper {
            Keeper::Files => {}
            Keeper::Local(_) => self.renew_local().await,
            Keeper::Acme(managed) => managed.keep().await,
        }
    }

    async fn renew_local(self: &Arc<Self>) {
        let mut made = clock::now();
        loop {
            tokio::time::sleep(LOOK).await;
            while Local::is_due(made, clock::now()) {
                let now = clock::now();
                let kept = Arc::clone(self);
                // It waits for the disk, and for another hub that has the same folder.
                let renewed = spawn_blocking(move || kept.certify_again(now)).await;
                match renewed.unwrap_or_else(|error| Err(Error::from_cause(error))) {
                    Ok(()) => {
                        made = now;
                        tracing::info!(name: "certificate_renewed", "renewed the certificate of the local authority");
                    }
                    Err(error) => {
                        tracing::error!(
                            name: "certificate_not_renewed",
                            "the certificate could not be renewed, the old one stays: {}",
                            in_one_line(&error)
                        );
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }
    }

    /// Replaces a certificate of the local authority.
    fn certify_again(&self, now: SystemTime) -> Result<(), Error> {
        if let Keeper::Local(local) = &self.keeper {
            self.certificate.replace(Arc::new(local.certify(now)?));
        }
        Ok(())
    }
}

/// The settings of TLS, without protocols of the application.
fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new("TLS cannot be set up").caused_by(error))?
        .with_no_client_auth()
        .with_cert_resolver(resolver))
}

/// Where certificates and accounts lie (B-070).
fn data_folder() -> Result<PathBuf, Error> {
    let data = data_home(|name| std::env::var_os(name)).ok_or_else(|| {
        Error::new(format!(
            "there is no place for certificates: {NO_DATA_HOME}"
        ))
    })?;
    Ok(data.join("caddy"))
}

#[cfg(test)]
mod tests;
