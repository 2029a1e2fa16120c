//! A hub whose `mercure` block is being read: directives write into it, and `finish` checks the whole.

use std::collections::BTreeSet;

use talaria_hub::HubOptions;
use talaria_hub::access::Issuers;

use crate::key_set::KeySetSource;
use crate::settings::{
    HistorySettings, IssuerSettings, KeySource, ListenAddress, Notice, ProgramSettings,
    TransportSettings,
};
use crate::source::Place;

/// The issuer of modern tokens where the configuration names none.
pub(crate) const UNNAMED_ISSUER: &str = "https://localhost";

/// What has been read so far.
#[derive(Debug)]
pub struct Draft {
    /// How the hub behaves.
    pub hub: HubOptions,
    /// Where its updates are kept.
    pub transport: TransportSettings,
    /// Its name.
    pub(crate) name: Option<String>,
    /// The key sets among the keys of its issuers.
    pub(crate) key_sets: Vec<KeySetSource>,
    /// By which addresses it is reached: those of the site that asks it.
    pub addresses: Vec<ListenAddress>,
    /// What all hubs share; some directives of the block write into it.
    pub program: ProgramSettings,
    /// The options of the program that the blocks of other hubs have written.
    pub(crate) taken: BTreeSet<&'static str>,
    /// Issuers in the order of the configuration.
    pub issuers: Vec<IssuerSettings>,
    /// Whether an issuer was named, by a directive or a variable.
    pub(crate) issuer_named: bool,
    /// The keys of the 0.x directives (B-221b).
    pub(crate) older_keys: OlderKeys,
    /// `protocol_version_compatibility` (B-209).
    pub(crate) compatibility: Option<Compatibility>,
    /// What to tell the operator.
    pub(crate) notices: Vec<Notice>,
    /// Which keys are empty, and the variables that are missing in them.
    pub(crate) missing: Vec<String>,
    written: BTreeSet<&'static str>,
}

impl Default for Draft {
    /// The default of every option. Addresses and issuers, which every configuration has, are missing.
    fn default() -> Self {
        Self {
            hub: HubOptions::new(Issuers::default()),
            transport: TransportSettings::History(HistorySettings::new("mercure.db".into())),
            name: None,
            key_sets: Vec::new(),
            addresses: Vec::new(),
            program: ProgramSettings::default(),
            taken: BTreeSet::new(),
            issuers: Vec::new(),
            issuer_named: false,
            older_keys: OlderKeys::default(),
            compatibility: None,
            notices: Vec::new(),
            missing: Vec::new(),
            written: BTreeSet::new(),
        }
    }
}

impl Draft {
    /// Remembers that the configuration sets this option.
    pub(crate) fn mark_written(&mut self, option: &'static str) {
        self.written.insert(option);
    }

    /// Whether the configuration sets an option, so that no variable and no other option decides on it.
    pub(crate) fn is_written(&self, option: &str) -> bool {
        self.written.contains(option)
    }

    /// The options that the configuration sets.
    pub(crate) fn written(&self) -> impl Iterator<Item = &'static str> {
        self.written.iter().copied()
    }

    /// Whether the configuration names a key or an issuer.
    pub(crate) fn names_keys(&self) -> bool {
        !self.issuers.is_empty() || self.older_keys.place.is_some()
    }
}

/// Keys that belong to no named issuer.
#[derive(Debug, Default)]
pub(crate) struct OlderKeys {
    /// Key of publishers' tokens.
    pub(crate) publisher: Option<KeySource>,
    /// Key of subscribers' tokens.
    pub(crate) subscriber: Option<KeySource>,
    /// Where the last directive stands.
    pub(crate) place: Option<Place>,
}

/// The older protocol that is spoken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compatibility {
    /// That of 0.x before version 8, with its permissions (B-622, B-623).
    Seven,
    /// That of 0.x.
    Eight,
}
