//! What needs the whole configuration: the rule, the defaults that depend on it, and what contradicts.

mod warnings;

use talaria_hub::Rule;
use talaria_hub::access::Role;
use talaria_hub::limits::BudgetOptions;
use talaria_hub::origin::Origins;
use talaria_protocol::{Base, HUB_PATH};

use crate::draft::{Compatibility, Draft, UNNAMED_ISSUER};
use crate::environment::playground_key;
use crate::error::Error;
use crate::origins::without_credentials;
use crate::settings::{
    AccessLogSettings, CertificateSettings, Certified, ConfiguredBy, HubSettings, IssuerSettings,
    ListenAddress, Loaded, Notice, Routes, Settings, SiteSettings, TransportSettings,
};
use crate::verifiers;

/// The largest body of a publish where clients of 0.x are served as they expect it (B-475).
const CLASSIC_BODY: usize = 10 * 1024 * 1024;

/// A hub that is checked.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The hub. Its store is not known here.
    pub hub: HubSettings,
    /// Where its updates are kept.
    pub transport: TransportSettings,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
}

impl Draft {
    /// Checks what needs the whole hub, and gives the options that nothing set the values that depend on it.
    ///
    /// # Errors
    ///
    /// A key that cannot verify anything, or options that contradict each other.
    pub(crate) fn finish(mut self) -> Result<Finished, Error> {
        self.open_playground()?;
        self.adopt_older_keys()?;
        self.warn_of_public_origins();
        self.warn_of_permissions();
        self.decide_rule();
        self.check_issuers()?;
        self.accept_own_addresses();
        let origins = self.hub.cors_origins.as_ref();
        self.notices.extend(origins.and_then(without_credentials));
        self.make_room_for_bodies();
        self.hub.base = base(self.hub.resource_identifier.as_deref(), &self.addresses);
        Ok(Finished {
            hub: HubSettings {
                name: self.name,
                addresses: self.addresses,
                options: self.hub,
                store: 0,
                key_sets: self.key_sets,
            },
            transport: self.transport,
            notices: self.notices,
        })
    }

    /// The settings of a program that has this hub alone, behind one site with its addresses.
    ///
    /// # Errors
    ///
    /// As for a hub of a file.
    pub fn finish_alone(self) -> Result<Loaded, Error> {
        let site = SiteSettings {
            addresses: self.addresses.clone(),
            certificates: local_certificates(&self.addresses),
            routes: Routes::of_hub(0),
            access_log: AccessLogSettings::default(),
        };
        let program = self.program.clone();
        let finished = self.finish()?;
        Ok(Loaded {
            settings: Settings {
                configured_by: ConfiguredBy::Itself,
                sites: vec![site],
                hubs: vec![finished.hub],
                stores: vec![finished.transport],
                program,
            },
            notices: finished.notices,
            imported: Vec::new(),
        })
    }

    /// Sets what `playground` implies and nothing else did (B-090).
    fn open_playground(&mut self) -> Result<(), Error> {
        if !self.hub.pages.playground {
            return Ok(());
        }
        if self.is_written("anonymous") && !self.hub.anonymous {
            let problem = "`playground` lets anyone subscribe, and `anonymous` is off";
            return Err(Error::new(problem).remedy("remove one of them"));
        }
        let any = Origins::parse(&["*"]).map_err(Error::from_cause)?;
        let has_cookie_name = self.is_written("cookie_name");
        let has_cors = self.is_written("cors_origins");
        let has_publish = self.is_written("publish_origins");
        let hub = &mut self.hub;
        hub.anonymous = true;
        hub.subscriptions = true;
        if !has_cookie_name {
            // Without the prefix, which browsers accept from HTTPS only.
            "mercure_access_token".clone_into(&mut hub.cookie_name);
        }
        if !has_cors {
            hub.cors_origins = Some(any.clone());
        }
        if !has_publish {
            hub.publish_origins = any;
        }
        self.lend_playground_key();
        // `talaria dev`, which no file makes a playground, says what others may do in its own words.
        if self.is_written("playground") {
            self.notices.push(Notice::warning(
                "`playground` lets anyone subscribe, every page publish by cookie, and every visitor of its page publish; \
                 do not use it on a public hub",
            ));
        }
        Ok(())
    }

    /// Gives the one issuer of a playground the well-known key, if no key is configured at all (B-091).
    fn lend_playground_key(&mut self) {
        let keys = &self.older_keys;
        if keys.publisher.is_some() || keys.subscriber.is_some() {
            return;
        }
        if let [issuer] = self.issuers.as_mut_slice()
            && issuer.publisher.is_none()
            && issuer.subscriber.is_none()
        {
            issuer.publisher = Some(playground_key().into());
            issuer.subscriber = Some(playground_key().into());
        }
    }

    /// Makes the keys of the 0.x directives an issuer: the one of 0.x tokens, and of the modern tokens that
    /// name `https://localhost`.
    ///
    /// # Errors
    ///
    /// The directives stand beside `issuer` blocks, and nothing says that both generations are meant.
    fn adopt_older_keys(&mut self) -> Result<(), Error> {
        let keys = &mut self.older_keys;
        let Some(place) = keys.place.clone() else {
            return Ok(());
        };
        if self.issuer_named && self.compatibility.is_none() {
            return Err(Error::at(
                &place,
                "the key directives of Mercure 0.x stand beside `issuer` blocks or MERCURE_TRUSTED_ISSUERS",
            )
            .remedy(
                "write `protocol_version_compatibility 8` to accept both generations, or replace them by: \
                 issuer https://localhost { publisher { jwt <key> } subscriber { jwt <key> } }, each brace at its line's end",
            )
            .hide_line());
        }
        let is_unnamed = |issuer: &IssuerSettings| issuer.identifier == UNNAMED_ISSUER;
        let index = match self.issuers.iter().position(is_unnamed) {
            Some(index) => index,
            None => {
                let issuer = IssuerSettings::new(UNNAMED_ISSUER, place);
                self.issuers.push(issuer);
                self.issuers.len() - 1
            }
        };
        if let Some(issuer) = self.issuers.get_mut(index) {
            issuer.judges_unnamed = true;
            // A directive takes precedence over the variable of the same role.
            issuer.publisher = keys.publisher.take().or(issuer.publisher.take());
            issuer.subscriber = keys.subscriber.take().or(issuer.subscriber.take());
        }
        Ok(())
    }

    /// Which generations of the protocol are served: both, each in its own way, where the configuration is
    /// one of 0.x or names no issuer; both as 1.0, where it says so; else 1.0 alone.
    fn decide_rule(&mut self) {
        let has_older_keys = self.older_keys.place.is_some();
        let rule = match self.compatibility {
            Some(Compatibility::Eight) => Rule::Compatible,
            Some(Compatibility::Seven) if self.issuer_named => Rule::Compatible,
            _ if has_older_keys || !self.issuer_named => Rule::Classic,
            Some(Compatibility::Seven) | None => Rule::Modern,
        };
        if rule == Rule::Classic && !self.is_written("max_request_body_size") {
            self.hub.max_request_body_size = CLASSIC_BODY;
        }
        let hub = &mut self.hub;
        hub.rule = rule;
        hub.publish_ungranted = self.compatibility == Some(Compatibility::Seven);
    }

    fn check_issuers(&mut self) -> Result<(), Error> {
        let hub = &mut self.hub;
        hub.issuers = verifiers::check(
            &self.issuers,
            hub.anonymous,
            &mut self.notices,
            &mut self.key_sets,
        )?;
        if hub.presence.token_holders_only && !hub.issuers.serves(Role::Subscriber) {
            self.notices.push(Notice::warning(
                "`subscriptions token_holders`: no subscriber key is configured, so no subscriber is announced; configure one, or write `subscriptions`",
            ));
        }
        Ok(())
    }

    /// Accepts tokens for the hub's own addresses: a publisher inside the network names the public one,
    /// and the reverse. A URL that requests may not come by is not accepted.
    fn accept_own_addresses(&mut self) {
        let hub = &mut self.hub;
        if hub.resource_identifier.is_some() {
            return;
        }
        let public = &hub.public_origins;
        let is_own = |url: &String| {
            let origin = url.strip_suffix(HUB_PATH).unwrap_or(url);
            public.is_empty() || public.iter().any(|listed| listed == origin)
        };
        let urls = self.addresses.iter().filter_map(ListenAddress::url);
        hub.accepted_audiences.extend(urls.filter(is_own));
    }

    /// Makes sure that the largest body that is allowed finds room where no other client sends one.
    fn make_room_for_bodies(&mut self) {
        let hub = &mut self.hub;
        let largest = hub.max_request_body_size as u64;
        let room = largest.saturating_mul(2);
        let bodies = &mut hub.budgets.body_memory;
        if bodies.total == BudgetOptions::default().body_memory.total {
            bodies.total = bodies.total.max(Some(room));
        }
        for (name, least, bound) in [
            ("max_body_memory", room, bodies.total),
            ("max_body_memory_per_address", largest, bodies.per_address),
            ("max_body_memory_per_subject", largest, bodies.per_subject),
        ] {
            if bound.is_some_and(|bound| bound < least) {
                self.notices.push(Notice::warning(format!(
                    "{name} is less than {least} bytes, so the largest body that max_request_body_size allows may never find room"
                )));
            }
        }
    }
}

/// Certificates of the local authority for the HTTPS addresses.
fn local_certificates(addresses: &[ListenAddress]) -> Vec<Certified> {
    let encrypted = addresses.iter().filter(|address| address.tls);
    let names: Vec<String> = encrypted
        .filter_map(|address| address.host.clone())
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    vec![Certified {
        names,
        source: CertificateSettings::Local,
        only_tls13: false,
    }]
}

/// What relative patterns and topics are resolved against: the pinned identifier if it ends in the hub's
/// path, else the one URL that the addresses give, else the synthetic one (B-430).
fn base(pinned: Option<&str>, addresses: &[ListenAddress]) -> Base {
    let url = match (pinned, addresses) {
        (Some(pinned), _) => pinned.ends_with(HUB_PATH).then(|| pinned.to_owned()),
        (None, [address]) => address.url(),
        _ => None,
    };
    url.and_then(|url| Base::new(&url).ok())
        .unwrap_or_else(Base::synthetic)
}
