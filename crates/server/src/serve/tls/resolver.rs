//! Which certificate a handshake gets: by the name that the client asks for (SNI).

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use talaria_config::settings::SniSettings;

use super::certificate::{Certificate, self_signed};
use super::challenges::{ACME_TLS, Challenges};
use super::refusals::Refusals;

/// The certificate of some names, and what a handshake must offer to get it.
#[derive(Clone)]
pub(super) struct Entry {
    /// The names; empty for every name.
    pub names: Vec<String>,
    pub certificate: Arc<Certificate>,
    pub only_tls13: bool,
}

/// The entries by name.
#[derive(Default)]
pub(super) struct Table {
    names: HashMap<String, Entry>,
    /// The entry for every name.
    any: Option<Entry>,
    /// The entry for clients that name no host: those that connect by an IP address do not.
    unnamed: Option<Entry>,
    /// The entry for names that are not served.
    fallback: Option<Entry>,
    /// The names in the order of the configuration.
    served: Vec<String>,
    /// All entries in that order.
    all: Vec<Entry>,
}

impl Table {
    /// The first entry with a name counts.
    pub(super) fn new(entries: &[Entry], sni: &SniSettings) -> Self {
        let mut table = Self {
            all: entries.to_vec(),
            ..Self::default()
        };
        for entry in entries {
            if entry.names.is_empty() {
                table.any.get_or_insert_with(|| entry.clone());
            }
            for name in &entry.names {
                table
                    .names
                    .entry(name.clone())
                    .or_insert_with(|| entry.clone());
                table.served.push(name.clone());
            }
        }
        let is_address = |name: &String| name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let of_address = entries
            .iter()
            .find(|entry| entry.names.iter().any(is_address));
        let named =
            |name: &Option<String>| name.as_deref().and_then(|name| table.named(name)).cloned();
        let unnamed = named(&sni.default)
            .or_else(|| of_address.cloned())
            .or_else(|| table.any.clone())
            .or_else(|| entries.first().cloned());
        let fallback = named(&sni.fallback);
        Self {
            unnamed,
            fallback,
            ..table
        }
    }

    /// The entry of exactly this name, else of a wildcard for its first label.
    fn named(&self, name: &str) -> Option<&Entry> {
        self.names.get(name).or_else(|| {
            let (_, domain) = name.split_once('.')?;
            self.names.get(&format!("*.{domain}"))
        })
    }

    /// The entry for what the client asks for.
    fn find(&self, name: Option<&str>) -> Option<&Entry> {
        match name {
            None => self.unnamed.as_ref(),
            Some(name) => self
                .named(name)
                .or(self.any.as_ref())
                .or(self.fallback.as_ref()),
        }
    }
}

/// Finds certificates for handshakes in a table that can be replaced.
#[derive(Default)]
pub(super) struct Resolver {
    table: RwLock<Arc<Table>>,
    challenges: Challenges,
    refusals: Refusals,
    /// What clients are shown that verify nothing, while there is no certificate.
    stand_in: OnceLock<Option<Arc<CertifiedKey>>>,
}

impl Resolver {
    /// The challenges that it answers.
    pub(super) fn challenges(&self) -> Challenges {
        self.challenges.clone()
    }

    /// Uses another table from now on.
    pub(super) fn replace(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn find(&self, hello: &ClientHello<'_>, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        // An authority offers this protocol alone (RFC 8737, section 3).
        let is_challenge = hello.alpn().is_some_and(|mut protocols| {
            protocols.next() == Some(ACME_TLS) && protocols.next().is_none()
        });
        if is_challenge {
            return self.challenges.certificate(name?);
        }
        let table = Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner));
        let entry = table.find(name).or_else(|| {
            let name = name.unwrap_or_default();
            self.refusals.not_served(name, &table.served);
            // Orchestrators ask for `/healthz` by a pod's name and verify nothing. Every other client finds that
            // the certificate is of another name (B-063).
            table.unnamed.as_ref()
        })?;
        if entry.only_tls13 && !offers_tls13(hello) {
            tracing::debug!("TLS handshake refused: the site accepts TLS 1.3 only");
            return None;
        }
        self.shown(&table, entry, name)
    }

    /// The certificate of an entry. A client that asks for no name of ours gets any while there is none: a health check
    /// by address must not fail because an authority is slow.
    fn shown(&self, table: &Table, entry: &Entry, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let why = match entry.certificate.get() {
            Ok(key) => return Some(key),
            Err(why) => why,
        };
        if name.is_some_and(|name| table.named(name).is_some()) {
            self.refusals.missing(name, &why);
            return None;
        }
        let mut ready = table
            .all
            .iter()
            .filter_map(|one| one.certificate.get().ok());
        ready.next().or_else(|| {
            let made = || self_signed().map(Arc::new);
            self.stand_in
                .get_or_init(|| {
                    made()
                        .inspect_err(|error| tracing::warn!(name: "certificate_not_made", "no certificate can be made: {error}"))
                        .ok()
                })
                .clone()
        })
    }
}

/// Whether the client offers cipher suites of TLS 1.3, which are of no other version.
fn offers_tls13(hello: &ClientHello<'_>) -> bool {
    let mut suites = hello.cipher_suites().iter();
    suites.any(|suite| matches!(u16::from(*suite), 0x1301..=0x1305))
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.find(&hello, name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(names: &[&str]) -> Entry {
        Entry {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            certificate: Arc::new(Certificate::missing(names.first().unwrap_or(&"any"))),
            only_tls13: false,
        }
    }

    fn sni(default: Option<&str>, fallback: Option<&str>) -> SniSettings {
        SniSettings {
            default: default.map(str::to_owned),
            fallback: fallback.map(str::to_owned),
        }
    }

    fn found(table: &Table, name: Option<&str>) -> Option<String> {
        table.find(name)?.certificate.get().err()
    }

    /// The exact name comes before a wildcard, and a wildcard stands for one label.
    #[test]
    fn a_name_finds_its_certificate() {
        let entries = [
            entry(&["a.test", "b.test"]),
            entry(&["*.test"]),
            entry(&["10.0.0.1"]),
        ];
        let table = Table::new(&entries, &sni(None, None));
        for (name, expected) in [
            (Some("a.test"), Some("a.test")),
            (Some("b.test"), Some("a.test")),
            (Some("c.test"), Some("*.test")),
            (Some("d.c.test"), None),
            (Some("test"), None),
            (Some("other"), None),
            (None, Some("10.0.0.1")),
        ] {
            assert_eq!(found(&table, name).as_deref(), expected, "{name:?}");
        }
        let table = Table::new(&entries, &sni(Some("c.test"), Some("a.test")));
        assert_eq!(found(&table, None).as_deref(), Some("*.test"));
        assert_eq!(found(&table, Some("other")).as_deref(), Some("a.test"));
        let table = Table::new(&[entry(&["a.test"]), entry(&[])], &sni(None, None));
        assert_eq!(found(&table, Some("other")).as_deref(), Some("any"));
        assert_eq!(found(&table, None).as_deref(), Some("any"));
        let table = Table::new(&entries[..1], &sni(None, None));
        assert_eq!(found(&table, None).as_deref(), Some("a.test"));
        assert_eq!(found(&Table::default(), None), None);
    }

    /// While a certificate is missing, a client that names no served host gets the first that is ready, else one that
    /// no client trusts; a client that names one is refused.
    #[test]
    fn a_check_by_address_finds_a_certificate() {
        let resolver = Resolver::default();
        let missing = [entry(&["a.test"]), entry(&["b.test"])];
        let table = Table::new(&missing, &sni(None, None));
        let shown = |name| resolver.shown(&table, &missing[0], name);
        let stand_in = shown(None).unwrap();
        assert!(Arc::ptr_eq(&stand_in, &shown(Some("other")).unwrap()));
        assert!(shown(Some("a.test")).is_none());
        let ready = Arc::new(self_signed().unwrap());
        missing[1].certificate.replace(Arc::clone(&ready));
        assert!(Arc::ptr_eq(&ready, &shown(None).unwrap()));
        assert!(shown(Some("a.test")).is_none());
    }
}
