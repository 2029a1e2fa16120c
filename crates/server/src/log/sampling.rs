//! Repeated refusals, which anybody can cause: the first ones are logged, the others are counted.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use talaria_hub::limits::ClientAddress;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use crate::clock;

/// For how long events of a kind are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// How many of them are logged.
const LOGGED: u64 = 64;
/// Kinds that are counted apart; those of further addresses are counted together.
const MAX_KINDS: usize = 256;
/// Counts that are logged at once, one a kind; the others are added up.
const MAX_COUNTS: usize = 16;
/// Characters of a sentence that tell kinds apart.
const MESSAGE: usize = 64;
/// How often is looked whether a window is over.
const LOOK: Duration = Duration::from_secs(1);

/// Which events are logged. It judges those that have a field `peer` or `reason`, that is those that a
/// client causes.
#[derive(Debug, Default)]
pub struct Sampling(Mutex<HashMap<Kind, Window>>);

/// What is counted together: the place in the program, the reason, and the client's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    reason: String,
    client: Option<ClientAddress>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    events: u64,
    /// An address of the client, to be shown.
    address: Option<IpAddr>,
}

impl Window {
    fn more(&self) -> u64 {
        self.events.saturating_sub(LOGGED)
    }
}

impl Sampling {
    /// Logs the counts of windows that are over, as long as the program runs.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.count(WINDOW);
        }
    }

    /// Logs the counts of windows that are this old.
    pub fn count(&self, age: Duration) {
        let now = clock::monotonic();
        let mut over = Vec::new();
        self.kinds().retain(|kind, window| {
            let is_over = now.saturating_duration_since(window.began) >= age;
            if is_over && window.more() > 0 {
                over.push((kind.reason.clone(), window.address, window.more()));
            }
            !is_over
        });
        over.sort_by_key(|(.., more)| std::cmp::Reverse(*more));
        let others = over.split_off(over.len().min(MAX_COUNTS));
        for (reason, address, more) in over {
            let address = address.map(tracing::field::display);
            let more = grouped(more);
            tracing::info!(reason, address, "… {more} more in the last 10 s");
        }
        if !others.is_empty() {
            let more = grouped(others.iter().map(|(.., more)| more).sum());
            let kinds = others.len();
            tracing::info!(kinds, "… {more} more of other kinds in the last 10 s");
        }
    }

    /// Counts an event; returns whether it is logged.
    fn admit(&self, kind: Kind, address: Option<IpAddr>, now: Instant) -> bool {
        let mut kinds = self.kinds();
        let is_new = !kinds.contains_key(&kind);
        let (kind, address) = if is_new && kinds.len() >= MAX_KINDS {
            let client = None;
            (Kind { client, ..kind }, None)
        } else {
            (kind, address)
        };
        let window = kinds.entry(kind).or_insert(Window {
            began: now,
            events: 0,
            address,
        });
        window.events += 1;
        window.events <= LOGGED
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The filter of a layer.
pub struct Sampled(pub Arc<Sampling>);

impl<S: Subscriber> Filter<S> for Sampled {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_own = metadata.target() == module_path!();
        // Whoever asks for more wants each of them.
        if is_own || *metadata.level() > Level::INFO || LevelFilter::current() >= LevelFilter::DEBUG
        {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if !fields.of_client {
            return true;
        }
        let kind = Kind {
            place: metadata.callsite(),
            reason: fields.reason.unwrap_or(fields.message),
            client: fields.address.map(ClientAddress::from),
        };
        self.0.admit(kind, fields.address, clock::monotonic())
    }
}

/// The fields of an event that say what kind it is.
#[derive(Default)]
struct Fields {
    of_client: bool,
    reason: Option<String>,
    /// The beginning of the sentence, which is the reason of an event that names none.
    message: String,
    address: Option<IpAddr>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "reason" {
            self.of_client = true;
            self.reason = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}").chars().take(MESSAGE).collect();
        }
        if field.name() == "peer" {
            self.of_client = true;
            let peer: Option<SocketAddr> = format!("{value:?}").parse().ok();
            self.address = peer.map(|peer| peer.ip().to_canonical());
        }
    }
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1024, "1,024"),
            (123_456, "123,456"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    /// However many addresses there are, what is remembered is bounded, and so is what is logged.
    #[test]
    fn the_kinds_are_bounded() {
        let sampling = Sampling::default();
        let place =
            tracing::callsite!(name: "test", kind: tracing::metadata::Kind::EVENT, fields: );
        let place = tracing::Callsite::metadata(place).callsite();
        let now = clock::monotonic();
        let mut logged = 0;
        for round in 0..20_u32 {
            for number in 0..2000_u32 {
                let address = IpAddr::from(
                    (0x2001_0db8_u128 << 96 | u128::from(number) << 64 | u128::from(round))
                        .to_be_bytes(),
                );
                let kind = Kind {
                    place: place.clone(),
                    reason: "no_token".to_owned(),
                    client: Some(address.into()),
                };
                logged += u64::from(sampling.admit(kind, Some(address), now));
            }
        }
        let kinds = sampling.kinds().len();
        assert_eq!(kinds, MAX_KINDS + 1);
        assert_eq!(logged, LOGGED * u64::try_from(kinds).unwrap());
        sampling.count(Duration::ZERO);
        assert_eq!(sampling.kinds().len(), 0);
    }
}
