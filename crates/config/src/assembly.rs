//! A configuration put together: sites, the hubs that they ask, and the stores of those.

mod logs;
mod sites;
mod sources;
mod stores;

use std::path::PathBuf;

use crate::address;
use crate::certificates::{self, SiteTls};
use crate::draft::Draft;
use crate::environment;
use crate::error::Error;
use crate::finish::Finished;
use crate::global::{self, Globals};
use crate::options;
use crate::routes::{self, Order};
use crate::settings::{
    ConfiguredBy, ListenAddress, Loaded, Notice, Routes, Settings, SiteSettings,
};
use crate::source::{Environment, Place};
use crate::storage::Storage;
use crate::traces;
use crate::tree::Line;

/// The parts that have been read so far.
pub(crate) struct Assembly<'a> {
    environment: Environment<'a>,
    /// Whether the variables of the hub count although its block names keys: there is no file.
    has_no_file: bool,
    /// What the global options say.
    pub globals: Globals,
    order: Order,
    sites: Vec<Site>,
    hubs: Vec<Hub>,
    /// Which keys are empty, and the variables that are missing in them.
    pub missing: Vec<String>,
    /// The files that were imported.
    pub imported: Vec<PathBuf>,
    /// What is wrong.
    pub errors: Vec<Error>,
}

struct Site {
    settings: SiteSettings,
    /// What its `tls` says.
    tls: Option<SiteTls>,
}

/// A hub, and where its block stands.
struct Hub {
    draft: Draft,
    place: Place,
}

impl<'a> Assembly<'a> {
    /// Nothing yet. `has_no_file` says whether variables alone configure.
    pub(crate) fn new(environment: Environment<'a>, has_no_file: bool) -> Self {
        Self {
            environment,
            has_no_file,
            globals: Globals::default(),
            order: Order::default(),
            sites: Vec::new(),
            hubs: Vec::new(),
            missing: Vec::new(),
            imported: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Takes the global options over.
    pub(crate) fn apply_globals(&mut self, lines: &[Line]) {
        self.errors
            .extend(global::apply(&mut self.globals, lines, self.environment).err());
        let order = lines.iter().filter(|line| line.name.text == "order");
        for line in order {
            self.errors.extend(self.order.apply(line).err());
        }
    }

    /// Takes a site over, and its hub.
    pub(crate) fn add_site(&mut self, addresses: Vec<ListenAddress>, body: Vec<Line>) {
        let mut parts = routes::read(body, &self.order, self.environment, self.hubs.len());
        self.errors.append(&mut parts.errors);
        self.globals.notices.append(&mut parts.notices);
        let bind = parts.bind.as_ref().map(address::interfaces).transpose();
        let bind = known(bind, &mut self.errors).flatten();
        let bind = bind.unwrap_or_else(|| self.globals.bind.clone());
        let bound = addresses.into_iter().map(|address| ListenAddress {
            bind: bind.clone(),
            ..address
        });
        let tls = parts.tls.as_ref().map(certificates::tls).transpose();
        let logs = logs::take(parts.logs, &mut self.globals.program.log);
        let access_log = known(logs, &mut self.errors).unwrap_or_default();
        self.sites.push(Site {
            settings: SiteSettings {
                addresses: bound.collect(),
                certificates: Vec::new(),
                routes: Routes(parts.routes),
                access_log,
            },
            tls: known(tls, &mut self.errors).flatten(),
        });
        if let Some(mercure) = parts.mercure {
            self.add_hub(mercure);
        }
    }

    /// Reads a `mercure` block.
    fn add_hub(&mut self, line: Line) {
        let mut draft = Draft::default();
        draft.program = self.globals.program.clone();
        let earlier = self.hubs.iter();
        draft.taken = earlier.flat_map(|hub| hub.draft.written()).collect();
        let environment = self.environment;
        let default = Storage::in_environment(options::DEFAULT_TRANSPORT, environment);
        let default = default.finish(&line.name.place, &mut draft.notices);
        if let Some(default) = known(default, &mut self.errors) {
            draft.transport = default;
        }
        let lines = line.block.unwrap_or_default();
        let applied = options::apply(&mut draft, &lines, environment);
        // A file that names a key or an issuer names all of them; a line that is wrong may be meant to.
        if applied.is_ok() && (self.has_no_file || !draft.names_keys()) {
            let issuer = environment::issuer(&mut draft, environment);
            self.errors.extend(issuer.err());
        }
        self.errors.extend(applied.err());
        let variables = options::apply_variables(&mut draft, environment);
        self.errors.extend(variables.err());
        self.globals.program = draft.program.clone();
        self.missing.append(&mut draft.missing);
        self.hubs.push(Hub {
            draft,
            place: line.name.place,
        });
    }

    /// How many sites there are.
    pub(crate) fn sites(&self) -> usize {
        self.sites.len()
    }

    /// Whether there is a hub.
    pub(crate) fn has_hub(&self) -> bool {
        !self.hubs.is_empty()
    }

    /// Whether there is an address to listen on.
    pub(crate) fn has_address(&self) -> bool {
        let mut sites = self.sites.iter();
        sites.any(|site| !site.settings.addresses.is_empty())
    }

    /// Hides files from each `file_server`: the configuration may hold keys.
    pub(crate) fn hide(&mut self, files: &[PathBuf]) {
        let paths = files
            .iter()
            .filter_map(|path| std::path::absolute(path).ok());
        let hidden: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        for site in &mut self.sites {
            site.settings.routes.hide(&hidden);
        }
    }

    /// Checks the whole.
    ///
    /// # Errors
    ///
    /// What contradicts, and what is missing.
    pub(crate) fn finish(mut self) -> Result<Loaded, Error> {
        let mut errors = Vec::new();
        let mut all_routes = self.sites.iter().map(|site| &site.settings.routes);
        let traces = all_routes
            .any(Routes::trace)
            .then(|| traces::read(self.environment));
        let traces = known(traces.transpose(), &mut errors).flatten().flatten();
        let notice = traces.as_ref().and_then(traces::notice);
        self.globals.notices.extend(notice);
        let mut sites = Vec::new();
        let mut notices = Vec::new();
        let issuance = &self.globals.issuance;
        let ports = self.globals.ports;
        let redirects = Some(ports.http).filter(|_| !self.globals.no_redirects);
        let addresses = self.sites.iter().flat_map(|site| &site.settings.addresses);
        let is_plain = |one: &ListenAddress| !one.tls && one.port == ports.http;
        let http = redirects.is_some() || addresses.clone().any(is_plain);
        for mut site in self.sites {
            for hub in site.settings.routes.hubs() {
                if let Some(hub) = self.hubs.get_mut(hub) {
                    hub.draft
                        .addresses
                        .extend_from_slice(&site.settings.addresses);
                    // Options of the program may stand in the block of another hub.
                    hub.draft.program = self.globals.program.clone();
                }
            }
            let tls = site.tls.as_ref();
            let finished = sites::finish(&mut site.settings, tls, issuance, http, &mut notices);
            errors.extend(finished.err());
            sites.push(site.settings);
        }
        errors.extend(sites::check_addresses(&sites).err());
        notices.extend(sources::warn_of_several(&sites));
        let mut finished = Vec::new();
        for Hub { draft, place } in self.hubs {
            let hub = known(draft.finish(), &mut errors);
            finished.extend(hub.map(|hub| (place, hub)));
        }
        Error::all(errors)?;
        let stores = stores::share(&mut finished)?;
        let mut program = self.globals.program;
        program.redirects = redirects;
        program.traces = traces;
        program.sni = self.globals.issuance.sni;
        let mut all: Vec<Notice> = self.globals.notices;
        let mut hubs = Vec::new();
        for (_, Finished { hub, notices, .. }) in finished {
            all.extend(notices);
            hubs.push(hub);
        }
        all.extend(notices);
        Ok(Loaded {
            settings: Settings {
                configured_by: ConfiguredBy::default(),
                sites,
                hubs,
                stores,
                program,
            },
            notices: all,
            imported: self.imported,
        })
    }
}

/// The value, unless it is wrong; then `errors` gets the reason.
pub(crate) fn known<T>(read: Result<T, Error>, errors: &mut Vec<Error>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}
