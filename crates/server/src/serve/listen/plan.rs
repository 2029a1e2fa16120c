//! Which sockets are needed, and which sites each serves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use talaria_config::Error;
use talaria_config::settings::{ListenAddress, SiteSettings};

use crate::serve::site::Site;
use crate::serve::sites::{Redirects, Sites};

/// How a socket is known: its interface, `None` for all of them, and its port as it is configured.
pub(crate) type Key = (Option<IpAddr>, u16);

/// The sockets, and what each serves.
pub(crate) struct Plan {
    /// Those that the addresses name.
    pub own: BTreeMap<Key, Sites>,
    /// Those that only redirect to HTTPS. They help clients that leave out the scheme, so the hub serves without one
    /// if another program has its port.
    pub redirecting: BTreeMap<Key, Sites>,
}

impl Plan {
    /// A plan for these sites and their addresses; `empty` makes a socket without a site, given whether it speaks
    /// HTTPS. Requests on the port `redirects` that no address there serves are redirected to HTTPS (B-062).
    ///
    /// # Errors
    /// Two addresses contradict each other.
    pub(crate) fn new(
        sites: &[(Site, SiteSettings)],
        redirects: Option<u16>,
        empty: impl Fn(bool) -> Sites,
    ) -> Result<Self, Error> {
        let mut own: BTreeMap<Key, Sites> = BTreeMap::new();
        for (site, settings) in sites {
            for address in &settings.addresses {
                for interface in interfaces(address) {
                    let key = (interface, address.port);
                    let served = own.entry(key).or_insert_with(|| empty(address.tls));
                    if served.tls() != address.tls {
                        return Err(Error::new(format!(
                            "port {} cannot speak HTTP and HTTPS at once",
                            address.port
                        ))
                        .remedy("give one of its addresses another port"));
                    }
                    served.add(address.host.as_deref(), site.clone());
                }
            }
        }
        for (place, sites) in own.values_mut().enumerate() {
            sites.name_by(place);
        }
        let mut redirecting = BTreeMap::new();
        let addresses = || sites.iter().flat_map(|(_, site)| &site.addresses);
        let targets = redirects.and_then(|http| Some((http, redirects_of(addresses())?)));
        if let Some((http, targets)) = targets {
            let mut is_served = false;
            for ((_, port), sites) in &mut own {
                if *port == http {
                    is_served = true;
                    if !sites.tls() {
                        sites.redirect_others(targets.clone());
                    }
                }
            }
            let encrypted = addresses().filter(|address| address.tls);
            let interfaces: BTreeSet<_> = encrypted.flat_map(interfaces).collect();
            for interface in interfaces.into_iter().filter(|_| !is_served) {
                let mut sites = empty(false);
                sites.redirect_others(targets.clone());
                redirecting.insert((interface, http), sites);
            }
        }
        Ok(Self { own, redirecting })
    }
}

/// The HTTPS ports of the hosts; `None` if there is none. The system has not chosen the port of an address with
/// port 0 yet.
fn redirects_of<'a>(addresses: impl Iterator<Item = &'a ListenAddress>) -> Option<Redirects> {
    let mut ports = BTreeMap::new();
    let mut other = None;
    for address in addresses.filter(|address| address.tls && address.port != 0) {
        other = other.or(Some(address.port));
        if let Some(host) = &address.host {
            ports.entry(host.clone()).or_insert(address.port);
        }
    }
    other.map(|other| Redirects { ports, other })
}

/// The interfaces of an address; `None` stands for all of them.
fn interfaces(address: &ListenAddress) -> Vec<Option<IpAddr>> {
    match address.bind.as_slice() {
        [] => vec![None],
        some => some.iter().copied().map(Some).collect(),
    }
}
