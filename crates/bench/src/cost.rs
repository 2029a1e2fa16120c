//! `talaria bench cost`: what one connection, head, stream, matcher or visit makes the hub hold or spend.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::KeyArgs;
use crate::attack::args::Attack;
use crate::attack::client::{Client, Connection, Tally};
use crate::attack::inputs::form;
use crate::http::target::{Publish, Target};
use crate::load::measure::settle;
use crate::load::publisher;
use crate::load::receiver::accepted;
use crate::process::{Usage, allow_open_files};

/// Streams that hold matchers, and matchers of each.
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
pub enum Thing {
    /// A connection that has sent nothing.
    Connection,
    /// A head of 1 KiB that does not end.
    ShortHead,
    /// A head of 100 KiB that does not end.
    LongHead,
    /// A stream with one topic, on a connection of its own.
    Stream,
    /// A further topic of a stream.
    Exact,
    /// A further URL Pattern of a stream, with a named group.
    Pattern,
    /// A further URL Pattern of 24 optional wildcards.
    OptionalGroups,
    /// A further URL Pattern with a custom group.
    CustomGroup,
    /// A stream of 100 topics that has left. The hub has `subscriptions` on and keeps its history in memory.
    Visit,
}

/// The hub and what is measured.
#[derive(Debug, Clone, Args)]
pub struct CostArgs {
    /// What is measured.
    #[arg(value_enum)]
    pub thing: Thing,
    /// The hub's URL: plain HTTP on an IPv4 loopback address. It must let in subscribers without a token.
    #[arg(long)]
    pub url: String,
    /// The hub's process; a fresh one, since memory that was used before is used again.
    #[arg(long, visible_alias = "pid", value_name = "PID")]
    pub hub_pid: u32,
    /// How to be let in.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Connections, heads, streams or visits; of matchers always 2,000.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
}

/// Measures, and prints one JSON object.
///
/// # Errors
/// When the hub cannot be reached or refuses something.
pub fn main(args: &CostArgs) -> Result<(), String> {
    allow_open_files(args.count + 64)?;
    let keys = crate::keys(&args.keys)?;
    let keys = keys.ok_or("no key: the bench publishes; give the hub's with --key-file")?;
    let mint = crate::mint(&args.keys, &args.url, PATIENCE.as_secs());
    let client = Arc::new(Client {
        local: Ipv4Addr::LOCALHOST.into(),
        target: Target::parse(&args.url)?,
        publisher_token: mint.token(&keys.publisher, "publish", &["*"], "bench-publisher")?,
        tally: Arc::new(Tally::new(Attack::Harmless)),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let hold = |count: usize, form: &dyn Fn(usize) -> String| {
        let requests = (0..count).map(|n| client.query(&form(n))).collect();
        runtime.block_on(all(requests, |request: Vec<u8>| {
            let client = Arc::clone(&client);
            async move { subscribed(&client, &request).await }
        }))
    };
    let send = |count: usize, bytes: Vec<u8>| {
        runtime.block_on(all(vec![bytes; count], |bytes: Vec<u8>| {
            let client = Arc::clone(&client);
            async move {
                let mut connection = client.connect().await?;
                connection.send(&bytes).await?;
                Ok(connection)
            }
        }))
    };
    let count = usize::try_from(args.count).unwrap_or(usize::MAX);
    // The first of everything also pays for what all share.
    drop(hold(AT_ONCE, &|n| matchers(args.thing, n, 2))?);
    publish(&client, UPDATES)?;
    let half = |bytes: usize| {
        let mut head = client.request("GET", "?match=a", "X: ", &[]);
        head.truncate(head.len() - 2);
        head.resize(bytes, b'x');
        head
    };
    let (before, held, counted) = match args.thing {
        Thing::Connection => (resident(args)?, send(count, Vec::new())?, count),
        Thing::ShortHead => (resident(args)?, send(count, half(1 << 10))?, count),
        Thing::LongHead => (resident(args)?, send(count, half(100 << 10))?, count),
        Thing::Stream => {
            let before = resident(args)?;
            let form = |n| format!("match=t{n}");
            (before, hold(count, &form)?, count)
        }
        Thing::Visit => {
            let before = resident(args)?;
            for _ in 0..count.div_ceil(AT_ONCE) {
                drop(hold(AT_ONCE, &|n| matchers(Thing::Exact, n, VISITED))?);
            }
            (before, Vec::new(), count.div_ceil(AT_ONCE) * AT_ONCE)
        }
        thing => {
            let _one_each = hold(STREAMS, &|n| matchers(thing, n, 1))?;
            let before = resident(args)?;
            let held = hold(STREAMS, &|n| matchers(thing, STREAMS + n, 1 + MATCHERS))?;
            (before, held, STREAMS * MATCHERS)
        }
    };
    let after = resident(args)?;
    let begin = Usage::of(args.hub_pid)?.cpu_us;
    publish(&client, UPDATES)?;
    let cpu_us = Usage::of(args.hub_pid)?.cpu_us - begin;
    println!(
        "{}",
        json!({
            "count": counted,
            "bytes_each": (after as f64 - before as f64) / counted as f64,
            "cpu_us_per_update": cpu_us as f64 / UPDATES as f64,
            "held": held.len(),
        })
    );
    Ok(())
}

fn resident(args: &CostArgs) -> Result<u64, String> {
    Ok(settle(Some(args.hub_pid))?.map_or(0, |usage| usage.resident))
}

/// A form of matchers, of which no two streams have the same. None matches what is published, and a hub
/// cannot tell by the first characters.
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

/// Does something with every input, some at once.
async fn all<I, F>(inputs: Vec<I>, one: impl Fn(I) -> F) -> Result<Vec<Connection>, String>
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
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a task of the bench panicked; this is a defect".to_owned()),
        })
        .collect()
}

/// Publishes updates that no matcher matches.
fn publish(client: &Client, updates: u64) -> Result<(), String> {
    let mut connection = publisher::Connection::open(client.target.address, PATIENCE)?;
    let mut request = String::new();
    for n in 0..updates {
        let publish = Publish {
            topic: &format!("https://bench.example/rooms/{n}/messages"),
            data: "x",
            private: false,
            token: Some(&client.publisher_token),
        };
        client.target.publish(&mut request, &publish);
        let (response, body) = connection.exchange(request.as_bytes())?;
        accepted(&response, &body)?;
    }
    Ok(())
}
