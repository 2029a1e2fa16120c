//! `talaria bench transport`: a log that several nodes share, without a hub: acknowledged updates a second, and how
//! long an update takes to be acknowledged and to reach another node, beside a bare append.

pub(crate) mod args;
mod latency;
mod node;
mod postgres;
mod rate;
mod redis;
mod server;

use serde_json::json;

use self::args::TransportArgs;
use self::server::Server;
use crate::error::Problem;
use crate::print;

/// Measures as the options say.
///
/// # Errors
/// When the server cannot be used, or an update is not stored.
pub(crate) fn main(args: &TransportArgs) -> Result<(), Problem> {
    args.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Problem::Runtime)?;
    runtime.block_on(async {
        match (&args.server.redis, &args.server.postgres) {
            (Some(url), _) => {
                measure(args, redis::Database::connect(url, args.replicas).await?).await
            }
            (_, Some(url)) => measure(args, postgres::Database::connect(url).await?).await,
            (None, None) => Err(Problem::NoServer),
        }
    })
}

async fn measure(args: &TransportArgs, server: impl Server) -> Result<(), Problem> {
    let measured = measure_all(args, &server).await;
    // Also what a measurement that failed has stored.
    server.remove().await?;
    measured
}

async fn measure_all(args: &TransportArgs, server: &impl Server) -> Result<(), Problem> {
    let mut rates = Vec::new();
    say(args, format_args!("{}", rate::HEAD))?;
    for publishers in args.publishers.iter().copied() {
        let rate = rate::measure(args, server, publishers).await?;
        say(args, format_args!("{}", rate.row()))?;
        rates.push(rate.json());
    }
    let latency = match args.rate {
        0 => None,
        _ => Some(latency::measure(args, server).await?),
    };
    if args.json {
        let latency = latency.map(|latency| latency.json());
        let figures = json!({
            "nodes": args.nodes,
            "replicas": args.replicas,
            "rates": rates,
            "latency": latency,
        });
        return print::line(format_args!("{figures}"));
    }
    match latency {
        Some(latency) => print::write(format_args!("\n{}", latency.table(args))),
        None => Ok(()),
    }
}

fn say(args: &TransportArgs, text: std::fmt::Arguments<'_>) -> Result<(), Problem> {
    if args.json { Ok(()) } else { print::line(text) }
}
