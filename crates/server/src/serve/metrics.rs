//! The metrics of the program for Prometheus (B-720 to B-726; `docs/metrics.md`, ADR 0019).
//!
//! Nothing is registered: hub, listeners and log count for themselves, and a scrape reads what they have.

mod admin_counts;
mod families;
mod hub_series;
mod limit_series;
mod names;
mod process;
mod program_series;
mod store_series;
mod web;
mod web_series;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use talaria_config::settings::ProgramSettings;
use talaria_hub::statistics::Statistics;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::families::{Page, accepts_open_metrics};
use crate::serve::admission::Admission;
use crate::serve::control::Control;
use crate::serve::lock::lock;
use crate::serve::tls::Tls;

pub(crate) use self::admin_counts::AdminCounts;
pub(crate) use self::web::{Handler, Web};

/// What the series are read from. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Sources>);

struct Sources {
    control: Control,
    served: OnceLock<Served>,
    settings: Mutex<Option<ProgramSettings>>,
    web: Web,
    admin: AdminCounts,
    /// One page at a time: it reads files of the system and takes locks.
    turn: Arc<Semaphore>,
}

struct Served {
    admission: Admission,
    tls: Arc<Tls>,
}

impl Metrics {
    /// Metrics of a program that does not serve yet.
    pub(crate) fn new(control: Control) -> Self {
        Self(Arc::new(Sources {
            control,
            served: OnceLock::new(),
            settings: Mutex::default(),
            web: Web::default(),
            admin: AdminCounts::default(),
            turn: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Reads these from now on, too.
    pub(crate) fn read_from(&self, admission: Admission, tls: Arc<Tls>) {
        // A program serves once.
        _ = self.0.served.set(Served { admission, tls });
    }

    /// Shows the bounds of these settings from now on, and counts requests if they ask for it.
    pub(crate) fn follow(&self, settings: &ProgramSettings) {
        self.0.web.follow(settings.request_metrics);
        *lock(&self.0.settings) = Some(settings.clone());
    }

    /// What counts the requests of sites.
    pub(crate) fn web(&self) -> &Web {
        &self.0.web
    }

    /// What counts the requests of the admin listener.
    pub(crate) fn admin(&self) -> &AdminCounts {
        &self.0.admin
    }

    /// The page, in the format that these fields of a request ask for: OpenMetrics only if it `may_be_open`.
    pub(crate) async fn answer(&self, headers: &HeaderMap, may_be_open: bool) -> Response<Body> {
        let accepted = headers.get_all(ACCEPT).iter();
        let accepted: Vec<&str> = accepted.filter_map(|field| field.to_str().ok()).collect();
        let is_open = may_be_open && accepts_open_metrics(&accepted.join(","));
        let turn = Arc::clone(&self.0.turn).acquire_owned();
        let Ok(turn) = turn.await else {
            return unavailable();
        };
        let metrics = self.clone();
        let write = move || {
            // Until the page is written, also when its client has left meanwhile.
            let _turn = turn;
            metrics.page().write(is_open)
        };
        let written = spawn_blocking(write).await;
        let Ok((kind, Ok(text))) = written else {
            return unavailable();
        };
        let mut response = Response::new(Body::from(text));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        response
    }

    /// The series of this moment. Blocks.
    fn page(&self) -> Page {
        let mut page = Page::default();
        let hubs = self.0.control.hubs();
        let counted: BTreeMap<&str, &Arc<Statistics>> = hubs
            .iter()
            .map(|hub| (hub.name.as_str(), hub.hub.statistics()))
            .collect();
        hub_series::add(&mut page, &counted);
        store_series::add(&mut page, &hubs);
        let settings = lock(&self.0.settings).clone();
        let served = self.0.served.get();
        let admission = served.map(|served| &served.admission);
        limit_series::add(&mut page, &hubs, admission, settings.as_ref());
        program_series::add(&mut page, &self.0.control, admission);
        if let Some(served) = served {
            program_series::add_certificates(&mut page, &served.tls);
        }
        web_series::add(&mut page, &self.0.web, &self.0.admin);
        process::add(&mut page, self.0.control.started());
        page
    }
}

fn unavailable() -> Response<Body> {
    talaria_hub::refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "the metrics cannot be read now; try again",
    )
}
