//! Samples refusals, because any client can cause many: the first ones are logged, the others are counted.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use talaria_hub::limits::ClientAddress;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::serve::clock;

/// For how long events of a kind are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// How many events of a kind are logged in that time.
const LOGGED: u64 = 64;
/// The lines of all kinds in that time. After them, clients are not told apart and each reason gets one more line,
/// so that refusals from many addresses hide no other reason.
const LINES: u64 = 1_024;
/// How many kinds are counted at a time. A further kind replaces the rarest.
const MAX_KINDS: usize = 256;
/// How many counts are logged at once, one for each kind; the others are added up.
const MAX_COUNTS: usize = 16;
/// How many characters of a sentence tell kinds apart.
const MESSAGE: usize = 64;
/// The lines of subscribers that come, and of those that leave for one reason, in that time.
const SUBSCRIBERS: u64 = 2_000;
/// The targets of these lines.
const OF_SUBSCRIBERS: [&str; 2] = ["talaria_hub::subscribe", "talaria_hub::stream"];
/// How often to check whether a window is over.
const LOOK: Duration = Duration::from_secs(1);

/// Decides which events are logged, of those that have a field `peer` or `reason`: the events that clients cause.
#[derive(Debug, Default)]
pub(super) struct Sampling(Mutex<Counts>);

/// What was counted but not logged yet.
#[derive(Debug, Default)]
struct Counts {
    kinds: HashMap<Kind, Window>,
    /// The lines of all kinds.
    lines: Option<Lines>,
    /// How many kinds were replaced, and how many of their events were not logged.
    replaced: (usize, u64),
}

#[derive(Debug)]
struct Lines {
    began: Instant,
    logged: u64,
}

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
    logged: u64,
    /// An address of the client, to be shown.
    address: Option<IpAddr>,
}

impl Window {
    fn more(&self) -> u64 {
        self.events - self.logged
    }
}

impl Counts {
    /// Counts an event; returns whether it is logged.
    fn admit(&mut self, mut kind: Kind, mut address: Option<IpAddr>, now: Instant) -> bool {
        let is_over = |lines: &mut Lines| now.saturating_duration_since(lines.began) >= WINDOW;
        _ = self.lines.take_if(is_over);
        let lines = self.lines.get_or_insert(Lines {
            began: now,
            logged: 0,
        });
        let is_crowded = lines.logged >= LINES;
        if is_crowded {
            (kind.client, address) = (None, None);
        }
        let most = if is_crowded { 1 } else { LOGGED };
        let has_lines = lines.logged < LINES + MAX_KINDS as u64;
        let window = self.window(kind, address, now);
        let is_logged = has_lines && window.logged < most;
        if is_logged {
            window.logged += 1;
            if let Some(lines) = &mut self.lines {
                lines.logged += 1;
            }
        }
        is_logged
    }

    /// Counts a subscriber that comes or leaves; returns whether that is logged. Its lines leave those of refusals
    /// their room.
    fn admit_subscriber(&mut self, kind: Kind, now: Instant) -> bool {
        let window = self.window(kind, None, now);
        let is_logged = window.logged < SUBSCRIBERS;
        window.logged += u64::from(is_logged);
        is_logged
    }

    /// The window of a kind, in which an event is counted.
    fn window(&mut self, kind: Kind, address: Option<IpAddr>, now: Instant) -> &mut Window {
        if !self.kinds.contains_key(&kind) && self.kinds.len() >= MAX_KINDS {
            self.replace();
        }
        let window = self.kinds.entry(kind).or_insert(Window {
            began: now,
            events: 0,
            logged: 0,
            address,
        });
        window.events += 1;
        window
    }

    /// Makes room by forgetting the kind with the fewest events, the oldest if there are several.
    fn replace(&mut self) {
        let rarest = self
            .kinds
            .iter()
            .min_by_key(|(_, window)| (window.events, window.began))
            .map(|(kind, _)| kind.clone());
        let window = rarest.and_then(|rarest| self.kinds.remove(&rarest));
        if let Some(more @ 1..) = window.map(|window| window.more()) {
            self.replaced.0 += 1;
            self.replaced.1 += more;
        }
    }
}

impl Sampling {
    /// Whether an event is logged.
    pub(super) fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if metadata.target() == module_path!() || *metadata.level() > Level::INFO {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if !fields.of_client {
            return true;
        }
        if OF_SUBSCRIBERS.contains(&metadata.target()) {
            let kind = Kind {
                place: metadata.callsite(),
                reason: fields.reason.unwrap_or(fields.message),
                client: None,
            };
            return self.counts().admit_subscriber(kind, clock::monotonic());
        }
        let address = fields.client.or(fields.peer);
        let kind = Kind {
            place: metadata.callsite(),
            reason: fields.reason.unwrap_or(fields.message),
            client: address.map(ClientAddress::from),
        };
        self.counts().admit(kind, address, clock::monotonic())
    }

    /// Logs the counts of windows that are over, as long as the program runs.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.count(WINDOW);
        }
    }

    /// Logs the counts of windows that are this old.
    pub(super) fn count(&self, age: Duration) {
        let now = clock::monotonic();
        let mut over = Vec::new();
        let mut counts = self.counts();
        counts.kinds.retain(|kind, window| {
            let is_over = now.saturating_duration_since(window.began) >= age;
            if is_over && window.more() > 0 {
                over.push((kind.reason.clone(), window.address, window.more()));
            }
            !is_over
        });
        let replaced = std::mem::take(&mut counts.replaced);
        drop(counts);
        over.sort_by_key(|(.., more)| std::cmp::Reverse(*more));
        let others = over.split_off(over.len().min(MAX_COUNTS));
        for (reason, address, more) in over {
            let address = address.map(tracing::field::display);
            let more = grouped(more);
            tracing::info!(name: "refusals_counted", reason, address, "… {more} more in the last 10 s");
        }
        let kinds = others.len() + replaced.0;
        if kinds > 0 {
            let more = others.iter().map(|(.., more)| more).sum::<u64>() + replaced.1;
            let more = grouped(more);
            tracing::info!(name: "refusals_counted", kinds, "… {more} more of other kinds in the last 10 s");
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fields of an event that say what kind it is.
#[derive(Default)]
struct Fields {
    of_client: bool,
    reason: Option<String>,
    /// The beginning of the sentence, which is the reason of an event that names none.
    message: String,
    peer: Option<IpAddr>,
    /// The client behind the peer, if that is a trusted proxy.
    client: Option<IpAddr>,
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
            self.peer = peer.map(|peer| peer.ip().to_canonical());
        }
        if field.name() == "client" {
            // For IPv6 this may be the network by which a client is counted.
            let text = format!("{value:?}");
            self.client = text.split('/').next().and_then(|text| text.parse().ok());
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

    fn kind(reason: &str, address: Option<IpAddr>) -> Kind {
        let place =
            tracing::callsite!(name: "test", kind: tracing::metadata::Kind::EVENT, fields: );
        Kind {
            place: tracing::Callsite::metadata(place).callsite(),
            reason: reason.to_owned(),
            client: address.map(ClientAddress::from),
        }
    }

    fn address(network: u32) -> IpAddr {
        IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(network) << 64 | 1).to_be_bytes())
    }

    /// However many addresses there are, memory and lines are bounded, and each event is logged or counted.
    #[test]
    fn kinds_and_lines_are_bounded() {
        let mut counts = Counts::default();
        let now = clock::monotonic();
        let mut logged = 0;
        for number in 0..20_000_u32 {
            let address = Some(address(number % 2_000));
            logged += u64::from(counts.admit(kind("no_token", address), address, now));
            // Invented reasons are bounded too.
            let reason = number.to_string();
            logged += u64::from(counts.admit(kind(&reason, None), None, now));
        }
        assert_eq!(logged, LINES + MAX_KINDS as u64);
        assert_eq!(counts.kinds.len(), MAX_KINDS);
        let more: u64 = counts.kinds.values().map(Window::more).sum();
        assert_eq!(logged + more + counts.replaced.1, 40_000);
    }

    /// Refusals from many addresses hide neither another client nor another reason.
    #[test]
    fn a_new_kind_has_its_first_line() {
        let mut counts = Counts::default();
        let now = clock::monotonic();
        for number in 0..600 {
            let address = Some(address(number));
            assert!(counts.admit(kind("no_token", address), address, now));
        }
        let own = Some(address(1_000_000));
        assert!(counts.admit(kind("no_token", own), own, now), "a client");
        for number in 0..100_000 {
            let address = Some(address(number));
            counts.admit(kind("no_token", address), address, now);
        }
        for reason in ["aud_mismatch", "misdirected"] {
            assert!(counts.admit(kind(reason, own), own, now), "{reason}");
            assert!(!counts.admit(kind(reason, own), own, now), "{reason}");
        }
        let later = now + WINDOW;
        assert!(counts.admit(kind("no_token", own), own, later));
    }

    /// Many subscribers are logged and the rest counted, and their lines are not those of refusals.
    #[test]
    fn subscribers_have_their_own_lines() {
        let mut counts = Counts::default();
        let now = clock::monotonic();
        let mut logged = 0;
        for _ in 0..10_000 {
            let kind = kind("subscriber connected", None);
            logged += u64::from(counts.admit_subscriber(kind, now));
        }
        assert_eq!(logged, SUBSCRIBERS);
        assert_eq!(
            counts.kinds[&kind("subscriber connected", None)].more(),
            8_000
        );
        let own = Some(address(1));
        assert!(counts.admit(kind("no_token", own), own, now));
    }

    /// A frequent kind keeps its count, however many other kinds there are.
    #[test]
    fn a_frequent_kind_keeps_its_place() {
        let mut counts = Counts::default();
        let now = clock::monotonic();
        let own = Some(address(1_000_000));
        for _ in 0..LOGGED {
            assert!(counts.admit(kind("no_token", own), own, now));
        }
        for number in 0..600 {
            let address = Some(address(number));
            counts.admit(kind("no_token", address), address, now);
        }
        assert!(!counts.admit(kind("no_token", own), own, now));
        assert_eq!(counts.kinds[&kind("no_token", own)].more(), 1);
        let sampling = Sampling(Mutex::new(counts));
        sampling.count(Duration::ZERO);
        assert_eq!(sampling.counts().kinds.len(), 0);
    }
}
