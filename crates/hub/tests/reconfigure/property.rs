//! Any sequence of configurations and streams: a stream ends if and only if the plain rule says so.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult};
use talaria_hub::access::KeySet;
use talaria_hub::clock::Clock as _;
use talaria_hub::protocol::Update;
use talaria_hub::{End, Hub, HubBuilder};

use crate::configuration::{Configuration, Contents, Token, Trust, key_set};
use crate::stream::Stream;
use crate::{Hand, TOPIC, subscribe};

#[derive(Debug, Clone)]
enum Operation {
    Reconfigure(Configuration),
    /// A client comes with or without a token, and selects the topic by name or by pattern. It reaches the
    /// hub by the newest configuration, or by an earlier one that the server has not dropped yet.
    Open(Option<Token>, bool, bool),
    /// An issuer publishes other keys.
    Rotate(usize, Contents),
    Pass(u64),
    Publish,
    Leave(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let token = proptest::option::weighted(0.8, Token::any());
    prop_oneof![
        4 => Configuration::any().prop_map(Operation::Reconfigure),
        10 => (token, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(token, by_pattern, late)| Operation::Open(token, by_pattern, late)),
        1 => (0..2_usize, Contents::any()).prop_map(|(set, keys)| Operation::Rotate(set, keys)),
        1 => (1..150_u64).prop_map(Operation::Pass),
        2 => Just(Operation::Publish),
        1 => any::<usize>().prop_map(Operation::Leave),
    ]
}

/// A stream, and what it rests on.
struct Open {
    stream: Stream,
    token: Option<Token>,
    /// The set in which the key of the token is, by the newest configuration.
    set: Option<usize>,
    /// The base of its pattern, if it has one.
    base: Option<usize>,
    /// Whether a configuration does not keep it.
    is_over: bool,
    expected: Vec<u64>,
}

struct World {
    hub: Hub,
    configuration: Configuration,
    earlier: Option<(Hub, Configuration)>,
    sets: [Arc<KeySet>; 2],
    contents: [Contents; 2],
    clock: Arc<Hand>,
    open: Vec<Open>,
    published: u64,
}

impl World {
    fn new(configuration: Configuration) -> Self {
        let contents = [Contents::One(0), Contents::Both];
        let sets = contents.map(key_set);
        let clock = Hand::new();
        let hub = HubBuilder::from(configuration.options(&sets))
            .clock(Arc::clone(&clock) as _)
            .build()
            .expect("a hub");
        Self {
            hub,
            configuration,
            earlier: None,
            sets,
            contents,
            clock,
            open: Vec::new(),
            published: 0,
        }
    }

    /// Judges a stream by the newest configuration.
    fn judge(&self, open: &mut Open) {
        open.is_over |= !self.keeps(open);
        open.set = open
            .token
            .as_ref()
            .and_then(|token| self.configuration.set_for(token));
    }

    fn keeps(&self, open: &Open) -> bool {
        let configuration = &self.configuration;
        let is_kept = match &open.token {
            None => configuration.anonymous || !configuration.reads_tokens(),
            Some(token) => {
                configuration.keeps(token, open.set, self.contents, self.clock.seconds())
            }
        };
        is_kept && open.base.is_none_or(|base| base == configuration.base)
    }

    async fn run(&mut self, operation: Operation) -> TestCaseResult {
        match operation {
            Operation::Reconfigure(configuration) => self.reconfigure(configuration)?,
            Operation::Open(token, by_pattern, late) => self.open(token, by_pattern, late).await?,
            Operation::Rotate(set, contents) => {
                contents.publish(&self.sets[set]);
                self.contents[set] = contents;
            }
            Operation::Pass(seconds) => self.clock.pass(seconds),
            Operation::Publish => {
                self.published += 1;
                let update = Update::new(TOPIC, format!("number {}", self.published));
                self.hub.publish(update.private()).await.expect("stored");
                let published = self.published;
                for open in &mut self.open {
                    if open.token.is_some() {
                        open.expected.push(published);
                    }
                }
            }
            Operation::Leave(number) if !self.open.is_empty() => {
                let number = number % self.open.len();
                drop(self.open.swap_remove(number));
            }
            Operation::Leave(_) => {}
        }
        self.settle()
    }

    fn reconfigure(&mut self, configuration: Configuration) -> TestCaseResult {
        for open in &self.open {
            prop_assert_eq!(open.stream.rang(), 0);
        }
        let hub = self.hub.reconfigure(configuration.options(&self.sets));
        let before = std::mem::replace(&mut self.configuration, configuration);
        self.earlier = Some((std::mem::replace(&mut self.hub, hub), before));
        let mut open = std::mem::take(&mut self.open);
        for open in &mut open {
            self.judge(open);
            let rang = open.stream.rang();
            let is_kept = !open.is_over;
            // Whether what is left of its token is short enough, such a stream must see itself.
            let must_see = open.token.as_ref().is_some_and(Token::counts_from_now);
            let woken_once = rang == usize::from(!is_kept) || (must_see && rang == 1);
            prop_assert!(woken_once, "{rang} {:?} {:?}", open.token, open.base);
        }
        self.open = open;
        Ok(())
    }

    async fn open(&mut self, token: Option<Token>, by_pattern: bool, late: bool) -> TestCaseResult {
        let now = self.clock.seconds();
        let token = token.map(|token| token.at(now));
        let (hub, configuration) = match &self.earlier {
            Some((hub, configuration)) if late => (hub, configuration),
            _ => (&self.hub, &self.configuration),
        };
        let query = match by_pattern {
            true => "match_urlpattern=https://example.com/books/:id".to_owned(),
            false => format!("match={TOPIC}"),
        };
        let text = token.as_ref().map(Token::signed);
        let response = subscribe(hub, &query, text.as_deref()).await;
        // Without a key for subscribers, a token does not count.
        let token = token.filter(|_| configuration.reads_tokens());
        let is_accepted = match &token {
            None => configuration.anonymous || !configuration.reads_tokens(),
            Some(token) => configuration.accepts(token, self.contents, now),
        };
        prop_assert_eq!(response.status() == 200, is_accepted, "{:?}", token);
        if is_accepted {
            let set = token
                .as_ref()
                .and_then(|token| configuration.set_for(token));
            let mut open = Open {
                stream: Stream::of(response),
                base: by_pattern.then_some(configuration.base),
                token,
                set,
                is_over: false,
                expected: Vec::new(),
            };
            self.judge(&mut open);
            self.open.push(open);
        }
        Ok(())
    }

    /// Drives all streams: those that must end do, and the others receive what was published.
    fn settle(&mut self) -> TestCaseResult {
        let now = self.clock.now();
        let mut open = std::mem::take(&mut self.open);
        for each in &mut open {
            let end = each.stream.drive(now);
            let expires = each.token.as_ref().map(|token| token.expires);
            let expected = if expires.is_some_and(|expires| expires <= self.clock.seconds()) {
                Some(End::TokenExpired)
            } else if !each.is_over {
                None
            } else {
                Some(End::Revoked)
            };
            prop_assert_eq!(end, expected, "{:?}", each.token);
            let is_told = each.stream.sent.contains("\nretry: ");
            prop_assert_eq!(is_told, end == Some(End::Revoked));
            if end.is_none() {
                let data = each.stream.sent.lines();
                let data = data.filter_map(|line| line.strip_prefix("data: number "));
                let data: Result<Vec<u64>, _> = data.map(str::parse).collect();
                prop_assert_eq!(data, Ok(each.expected.clone()), "once each, in order");
            }
        }
        let closed = |each: &mut Open| each.stream.drive(now).is_some();
        open.retain_mut(|each| !closed(each));
        // What the drive itself rang: a reader that gives way to others.
        open.iter().for_each(|each| _ = each.stream.rang());
        self.open = open;
        Ok(())
    }
}

/// A stream that a request under an earlier configuration opens is judged by what the key set has now, although one
/// like it is open that came when the set had the key.
#[tokio::test]
async fn a_late_stream_is_judged_by_itself() {
    let with = |trust| Configuration::of([trust, Trust::Gone]);
    let mut world = World::new(with(Trust::Key(1)));
    let token = || Some(Token::of(0, 1));
    let operations = [
        Operation::Open(token(), true, false),
        Operation::Reconfigure(with(Trust::Set(1))),
        Operation::Rotate(1, Contents::One(0)),
        Operation::Open(token(), true, true),
    ];
    for operation in operations {
        world.run(operation).await.expect("the plain rule");
    }
    assert_eq!(world.open.len(), 1, "the first one goes on");
}

proptest! {
    #![proptest_config(Config::with_cases(
        if std::env::var_os("TALARIA_FULL").is_some_and(|value| value == "1") { 5_000 } else { 250 }
    ))]

    /// A stream ends if and only if the newest configuration does not permit what it rests on, is woken for
    /// that once, and receives everything until then.
    #[test]
    fn a_stream_ends_if_and_only_if_it_must(
        first in Configuration::any(),
        operations in vec(operation(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut world = World::new(first);
            for operation in operations {
                world.run(operation).await?;
            }
            let open = world.open.len() as u64;
            prop_assert_eq!(world.hub.used().streams, open);
            world.open.clear();
            prop_assert_eq!(world.hub.used(), Default::default());
            prop_assert!(world.hub.is_idle());
            Ok(())
        })?;
    }
}
