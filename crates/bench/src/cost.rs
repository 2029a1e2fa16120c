//! `talaria bench cost`: what one connection, head, stream, matcher or visit costs the hub.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::attack::args::Attack;
use crate::attack::client::{Client, Connection, Tally};
use crate::attack::inputs::form;
use crate::error::Problem;
use crate::http::error::HttpError;
use crate::http::keep_alive::KeepAlive;
use crate::http::target::{Publish, Target};
use crate::keys::KeyArgs;
use crate::print;
use crate::process::{Usage, allow_open_files};

/// Streams that hold matchers, and the matchers of each.
const STREAMS: usize = 50;
const MATCHERS: usize = 40;
/// Topics of one visit.
const VISITED: usize = 100;
/// Updates that are published to measure processor time; the kernel counts that in ticks of 10 ms.
const UPDATES: u64 = 2000;
/// Requests at once.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thing {
    /// A connection that has sent nothing.
    Connection,
    /// A head of 1 KiB that does not end.
    ShortHead,
    /// A head of 100 KiB that does not end.
    LongHead,
    /// A stream with one topic, on its own connection.
    Stream,
    /// A further topic of a stream.
    Exact,
    /// A further URL Pattern of a stream, with a named group.
    Pattern,
    /// A further URL Pattern of 24 optional wildcards.
    OptionalGroups,
    /// A further URL Pattern with a custom group.
    CustomGroup,
    /// A stream of 100 topics that has left. The hub needs `subscriptions`, and its history in memory.
    Visit,
}

/// The hub and what is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct CostArgs {
    /// What is measured.
    #[arg(value_enum)]
    pub(crate) thing: Thing,
    /// The hub's URL: plain HTTP on an IPv4 loopback address. It must accept subscribers without a token.
    #[arg(long)]
    pub(crate) url: String,
    /// The hub's process, which must be fresh: a process reuses the memory that it has used before.
    #[arg(long, visible_alias = "pid", value_name = "PID")]
    pub(crate) hub_pid: u32,
    /// The keys of the hub.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// How many connections, heads, streams or visits to open; of matchers always 2,000.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
}

/// Measures, and prints one JSON object.
///
/// # Errors
/// When the hub cannot be reached or refuses something.
pub(crate) fn main(args: &CostArgs) -> Result<(), Problem> {
    allow_open_files(args.count + 64)?;
    let clients = Clients::new(args)?;
    // The first of everything also pays for what all of them share.
    drop(clients.subscribe(AT_ONCE, |n| matchers(args.thing, n, 2))?);
    clients.publish(UPDATES)?;
    let count = usize::try_from(args.count).unwrap_or(usize::MAX);
    let measured = clients.open(args.thing, count)?;
    let after = clients.resident()?;
    let begin = Usage::of(args.hub_pid)?.cpu_us;
    clients.publish(UPDATES)?;
    let cpu_us = Usage::of(args.hub_pid)?.cpu_us - begin;
    print::line(format_args!(
        "{}",
        json!({
            "count": measured.count,
            "bytes_each": (after as f64 - measured.before as f64) / measured.count as f64,
            "cpu_us_per_update": cpu_us as f64 / UPDATES as f64,
            "held": measured.held.len(),
        })
    ))?;
    Ok(())
}

/// What is measured, open.
struct Opened {
    /// The hub's resident bytes before.
    before: u64,
    /// What stays open until the measurement ends.
    held: Vec<Connection>,
    /// How many things were opened.
    count: usize,
}

/// The clients that open what is measured.
struct Clients {
    client: Arc<Client>,
    runtime: Runtime,
    hub_pid: u32,
}

impl Clients {
    fn new(args: &CostArgs) -> Result<Self, Problem> {
        let keys = args.keys.required()?;
        let mint = args.keys.mint(&args.url, PATIENCE.as_secs());
        let client = Client {
            local: Ipv4Addr::LOCALHOST.into(),
            target: Target::parse(&args.url)?,
            publisher_token: mint.token(&keys.publisher, "publish", &["*"], "bench-publisher")?,
            tally: Arc::new(Tally::new(Attack::Harmless)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Problem::Runtime)?;
        Ok(Self {
            client: Arc::new(client),
            runtime,
            hub_pid: args.hub_pid,
        })
    }

    /// Opens `count` things; of matchers always the same number.
    fn open(&self, thing: Thing, count: usize) -> Result<Opened, Problem> {
        // Further matchers of a stream are measured on streams that have one each already.
        let _one_each = match thing {
            Thing::Exact | Thing::Pattern | Thing::OptionalGroups | Thing::CustomGroup => {
                self.subscribe(STREAMS, |n| matchers(thing, n, 1))?
            }
            _ => Vec::new(),
        };
        let before = self.resident()?;
        let (held, count) = match thing {
            Thing::Connection => (self.send(count, &[])?, count),
            Thing::ShortHead => (self.send(count, &self.half_head(1 << 10))?, count),
            Thing::LongHead => (self.send(count, &self.half_head(100 << 10))?, count),
            Thing::Stream => (self.subscribe(count, |n| format!("match=t{n}"))?, count),
            Thing::Visit => {
                let rounds = count.div_ceil(AT_ONCE);
                for _ in 0..rounds {
                    drop(self.subscribe(AT_ONCE, |n| matchers(Thing::Exact, n, VISITED))?);
                }
                (Vec::new(), rounds * AT_ONCE)
            }
            Thing::Exact | Thing::Pattern | Thing::OptionalGroups | Thing::CustomGroup => {
                let form = |n| matchers(thing, STREAMS + n, 1 + MATCHERS);
                (self.subscribe(STREAMS, form)?, STREAMS * MATCHERS)
            }
        };
        Ok(Opened {
            before,
            held,
            count,
        })
    }

    /// Opens streams, each with its own form.
    fn subscribe(
        &self,
        count: usize,
        form: impl Fn(usize) -> String,
    ) -> Result<Vec<Connection>, Problem> {
        let requests = (0..count).map(|n| self.client.query(&form(n))).collect();
        self.runtime.block_on(all(requests, |request: Vec<u8>| {
            let client = Arc::clone(&self.client);
            async move { subscribed(&client, &request).await }
        }))
    }

    /// Opens connections, and sends the same bytes on each.
    fn send(&self, count: usize, bytes: &[u8]) -> Result<Vec<Connection>, Problem> {
        let inputs = vec![bytes.to_vec(); count];
        self.runtime.block_on(all(inputs, |bytes: Vec<u8>| {
            let client = Arc::clone(&self.client);
            async move {
                let mut connection = client.connect().await?;
                connection.send(&bytes).await?;
                Ok(connection)
            }
        }))
    }

    /// The first bytes of a head that does not end.
    fn half_head(&self, bytes: usize) -> Vec<u8> {
        let mut head = self.client.request("GET", "?match=a", "X: ", &[]);
        head.truncate(head.len() - 2);
        head.resize(bytes, b'x');
        head
    }

    /// Publishes updates that no matcher matches.
    fn publish(&self, updates: u64) -> Result<(), HttpError> {
        let target = &self.client.target;
        let mut connection = KeepAlive::open(target.address, PATIENCE)?;
        let mut request = String::new();
        for n in 0..updates {
            let publish = Publish {
                topic: &format!("https://bench.example/rooms/{n}/messages"),
                data: "x",
                private: false,
                token: Some(&self.client.publisher_token),
            };
            target.publish(&mut request, &publish);
            connection.accepted(request.as_bytes())?;
        }
        Ok(())
    }

    fn resident(&self) -> Result<u64, Problem> {
        Ok(Usage::settled(self.hub_pid)?.resident)
    }
}

/// A form of matchers, different for each stream. None matches what is published, which a hub cannot see in the
/// first characters.
fn matchers(thing: Thing, stream: usize, count: usize) -> String {
    let base = "https://bench.example/";
    let groups = "{*}?".repeat(24);
    let numbers = (0..count).map(|n| format!("{stream}-{n}"));
    let pattern = "match_urlpattern";
    match thing {
        Thing::Pattern => form(pattern, numbers.map(|n| format!("{base}:room/{n}"))),
        Thing::OptionalGroups => form(pattern, numbers.map(|n| format!("{base}{groups}Z{n}"))),
        Thing::CustomGroup => form(
            pattern,
            numbers.map(|n| format!(r"{base}([a-z\/]+\d{{1,9}})/Z{n}")),
        ),
        _ => form("match", numbers.map(|n| format!("{base}{n}"))),
    }
}

async fn subscribed(client: &Client, request: &[u8]) -> io::Result<Connection> {
    match client.ask(request).await? {
        (200, stream) => Ok(stream),
        (status, _) => Err(io::Error::other(format!("the hub answered {status}"))),
    }
}

/// Opens a connection for every input, several at once.
async fn all<I, F>(inputs: Vec<I>, one: impl Fn(I) -> F) -> Result<Vec<Connection>, Problem>
where
    F: Future<Output = io::Result<Connection>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut held = Vec::with_capacity(inputs.len());
    for input in inputs {
        if tasks.len() >= AT_ONCE
            && let Some(ended) = tasks.join_next().await
        {
            held.push(ended);
        }
        tasks.spawn(one(input));
    }
    while let Some(ended) = tasks.join_next().await {
        held.push(ended);
    }
    held.into_iter()
        .map(|ended| match ended {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Problem::Open(error)),
            Err(_) => Err(Problem::Panicked),
        })
        .collect()
}
