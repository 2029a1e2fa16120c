//! A node of which the admin listener is asked, and what it has said lately.

use std::collections::VecDeque;
use std::time::Duration;

use http::Method;
use http::header::ACCEPT;
use serde_json::Value;
use talaria_config::Error;
use talaria_config::settings::AdminAddress;
use tokio::time::timeout;

use super::exposition::Exposition;
use super::figures::{quantile, rate};
use crate::cli::admin::ask;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The answers that are kept: a minute.
const KEPT: usize = 30;
/// The answers over which a percentile is computed.
const RECENT: usize = 15;

/// What a node said once.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    /// Its metrics.
    pub metrics: Exposition,
    /// What they cannot hold; null if the node does not say it.
    pub state: Value,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    /// Its address, as it is shown.
    pub name: String,
    address: AdminAddress,
    /// With the seconds of a clock that is never set.
    answers: VecDeque<(f64, Answer)>,
    /// Why it did not answer last time.
    pub failure: Option<String>,
}

/// Asks a node.
///
/// # Errors
/// It does not answer, or is something else.
pub(super) async fn read(address: AdminAddress) -> Result<Answer, Error> {
    let get = async |path| {
        let asked = ask(&address, Method::GET, path, |request| {
            request.header(ACCEPT, "text/plain, application/json")
        });
        match timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(format!(
                "the admin listener at {address} does not answer within {} s",
                PATIENCE.as_secs()
            ))),
        }
    };
    let strange = || {
        Error::new(format!("what answers at {address} is not the admin listener of a Talaria hub"))
            .remedy("name the listener of the option `admin`, which is localhost:2019 without it; not a site of the hub")
    };
    let page = get("/metrics").await.map_err(|error| {
        let said = error.to_string();
        if said.contains("does not answer") {
            let problem = said.lines().next().unwrap_or_default();
            return Error::new(problem.to_owned()).remedy("check that the hub runs, and where its admin listener is: the option `admin`, CADDY_ADMIN");
        }
        // A site of a hub, or another server; 403 is the listener's, and says what to do.
        match said.contains("answered 404") || said.contains("answered 421") {
            true => strange(),
            false => error,
        }
    })?;
    let page = String::from_utf8(page).map_err(|_| strange())?;
    let metrics = Exposition::parse(&page).map_err(|error| strange().caused_by(error))?;
    if metrics.all("talaria_build_info").is_empty() {
        return Err(strange());
    }
    // A hub of an older version has no such page.
    let state = get("/operations/state").await.unwrap_or_default();
    let state = serde_json::from_slice(&state).unwrap_or_default();
    Ok(Answer { metrics, state })
}

impl Node {
    /// A node that was not asked yet.
    pub(super) fn new(address: AdminAddress) -> Self {
        Self {
            name: address.to_string(),
            address,
            answers: VecDeque::new(),
            failure: None,
        }
    }

    /// Where it is asked.
    pub(super) fn address(&self) -> AdminAddress {
        self.address.clone()
    }

    /// Takes what came of asking it at a time in seconds.
    pub(super) fn take(&mut self, answer: Result<Answer, Error>, time: f64) {
        match answer {
            Err(error) => self.failure = Some(error.to_string()),
            Ok(answer) => {
                let started = |answer: &Answer| answer.sum("process_start_time_seconds");
                let last = self.last().map(started);
                if last.is_some_and(|last| last != started(&answer)) {
                    self.answers.clear();
                }
                self.failure = None;
                if let Some((_, last)) = self.answers.back_mut() {
                    last.state = Value::Null;
                }
                self.answers.push_back((time, answer));
                if self.answers.len() > KEPT {
                    self.answers.pop_front();
                }
            }
        }
    }

    /// The last answer, if it answers.
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.last().filter(|_| self.failure.is_none())
    }

    fn last(&self) -> Option<&Answer> {
        self.answers.back().map(|(_, answer)| answer)
    }

    /// The rate of the sum of counters between the last two answers.
    pub(super) fn rate(&self, names: &[&str]) -> Option<f64> {
        self.answer()?;
        self.rates(names).pop()?
    }

    /// The rates between each answer and the one before.
    pub(super) fn rates(&self, names: &[&str]) -> Vec<Option<f64>> {
        let sum = |answer: &Answer| -> f64 {
            let sums = names.iter().filter_map(|name| answer.sum(name));
            sums.sum()
        };
        let pairs = self.answers.iter().zip(self.answers.iter().skip(1));
        pairs
            .map(|((before, older), (time, newer))| rate(sum(newer), sum(older), time - before))
            .collect()
    }

    /// The cumulative buckets of a histogram now and some answers ago, or at its beginning if there is no earlier one.
    pub(super) fn buckets(&self, name: &str) -> Option<[Vec<(f64, f64)>; 2]> {
        let newer = self.answer()?.metrics.buckets(name);
        let basis = self.answers.len().saturating_sub(RECENT);
        let older = self.answers.get(basis).filter(|_| self.answers.len() > 1);
        let older = older.map_or_else(Vec::new, |(_, answer)| answer.metrics.buckets(name));
        Some([newer, older])
    }

    /// A percentile of a histogram lately.
    pub(super) fn quantile(&self, name: &str, share: f64) -> Option<f64> {
        let [newer, older] = self.buckets(name)?;
        quantile(&newer, &older, share)
    }
}

impl Answer {
    /// The sum of the series of a name.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        self.metrics.sum(name, &[])
    }
}
