//! Which upstream a request is sent to, and which of them failed (B-284).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use talaria_config::Error;
use tokio::time::Instant;

use crate::serve::lock::lock;

/// For how long an upstream is not used after its connection failed, while another one is there.
const PAUSE: Duration = Duration::from_secs(10);

/// A server to which requests are passed on.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Its name or address; an IPv6 address with or without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How an upstream is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// By chance.
    #[default]
    Random,
    /// One after the other.
    RoundRobin,
}

/// The upstreams, and whose turn it is.
pub(super) struct Balance {
    candidates: Vec<Candidate>,
    policy: Policy,
    turn: AtomicUsize,
}

/// An upstream, and whether it failed.
pub(super) struct Candidate {
    pub scheme: Scheme,
    pub authority: Authority,
    /// When its connection last failed.
    failed: Mutex<Option<Instant>>,
}

impl Candidate {
    fn new(upstream: Upstream) -> Result<Self, Error> {
        let Upstream { scheme, host, port } = upstream;
        let is_bare = host.contains(':') && !host.starts_with('[');
        let authority = match is_bare {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let authority = Authority::try_from(authority).map_err(|error| {
            let error = Error::new(format!("{host} is not a host name")).caused_by(error);
            error.remedy("write the upstream as `host:port`")
        })?;
        Ok(Self {
            scheme,
            authority,
            failed: Mutex::default(),
        })
    }

    /// Marks the upstream as failed.
    pub(super) fn fail(&self) {
        *lock(&self.failed) = Some(Instant::now());
    }

    fn is_well(&self, now: Instant) -> bool {
        let failed = *lock(&self.failed);
        failed.is_none_or(|failed| now.saturating_duration_since(failed) >= PAUSE)
    }
}

impl Balance {
    /// Balances between these.
    ///
    /// # Errors
    /// There is none, or a host is malformed.
    pub(super) fn new(upstreams: Vec<Upstream>, policy: Policy) -> Result<Self, Error> {
        if upstreams.is_empty() {
            let error = Error::new("the proxy has no upstream");
            return Err(error.remedy("name one, as in `reverse_proxy app:8080`"));
        }
        let candidates: Result<_, Error> = upstreams.into_iter().map(Candidate::new).collect();
        Ok(Self {
            candidates: candidates?,
            policy,
            turn: AtomicUsize::new(0),
        })
    }

    /// Chooses an upstream that is well, or any if none is; never the one that has just failed.
    pub(super) fn choose(&self, failed: Option<&Candidate>) -> Option<&Candidate> {
        let now = Instant::now();
        let others = || {
            let is_other =
                |each: &&Candidate| failed.is_none_or(|failed| !std::ptr::eq(*each, failed));
            self.candidates.iter().filter(is_other)
        };
        let well = others().filter(|each| each.is_well(now)).count();
        let from = match well {
            0 => others().count(),
            count => count,
        };
        if from == 0 {
            return None;
        }
        let turn = match self.policy {
            Policy::Random => rand::random_range(0..from),
            Policy::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed) % from,
        };
        // One may have recovered since it was counted, which moves the turn by one.
        let is_chosen = |each: &&Candidate| well == 0 || each.is_well(now);
        others()
            .filter(is_chosen)
            .nth(turn)
            .or_else(|| others().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(count: u16, policy: Policy) -> Balance {
        let upstream = |port| Upstream {
            scheme: Scheme::HTTP,
            host: "::1".to_owned(),
            port,
        };
        Balance::new((1..=count).map(upstream).collect(), policy).unwrap()
    }

    fn port(chosen: Option<&Candidate>) -> u16 {
        chosen.unwrap().authority.port_u16().unwrap()
    }

    #[test]
    fn each_upstream_has_its_turn() {
        let balance = balance(3, Policy::RoundRobin);
        let ports: Vec<_> = (0..6).map(|_| port(balance.choose(None))).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn chance_reaches_every_upstream() {
        let balance = balance(3, Policy::Random);
        let ports: std::collections::BTreeSet<_> =
            (0..200).map(|_| port(balance.choose(None))).collect();
        assert_eq!(ports.len(), 3);
    }

    /// A failed upstream pauses for ten seconds; if all have failed, they are used nonetheless.
    #[tokio::test(start_paused = true)]
    async fn a_failed_upstream_pauses() {
        let balance = balance(2, Policy::RoundRobin);
        let first = balance.choose(None).unwrap();
        first.fail();
        assert_eq!(port(balance.choose(Some(first))), 2);
        for _ in 0..4 {
            assert_eq!(port(balance.choose(None)), 2);
        }
        let second = balance.choose(None).unwrap();
        second.fail();
        assert_eq!(port(balance.choose(Some(second))), 1);
        tokio::time::advance(PAUSE).await;
        let ports: std::collections::BTreeSet<_> =
            (0..4).map(|_| port(balance.choose(None))).collect();
        assert_eq!(ports.len(), 2);
    }

    #[test]
    fn a_single_upstream_is_not_its_own_replacement() {
        let balance = balance(1, Policy::RoundRobin);
        let only = balance.choose(None).unwrap();
        only.fail();
        assert!(balance.choose(Some(only)).is_none());
        assert_eq!(port(balance.choose(None)), 1);
    }

    #[test]
    fn an_upstream_must_be_a_host() {
        let upstream = |host: &str| Upstream {
            scheme: Scheme::HTTP,
            host: host.to_owned(),
            port: 80,
        };
        assert!(Balance::new(vec![upstream("a b")], Policy::Random).is_err());
        assert!(Balance::new(Vec::new(), Policy::Random).is_err());
        assert!(Balance::new(vec![upstream("[::1]")], Policy::Random).is_ok());
    }
}
