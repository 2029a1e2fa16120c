//! `talaria bench`: a hub's throughput, latency, processor time and memory, beside the floor of
//! the machine, with every delivery checked.

#![forbid(unsafe_code)]

pub mod args;
mod attack;
mod clock;
mod cost;
mod histogram;
mod history;
mod http;
mod load;
mod process;
mod token;

use std::process::ExitCode;
use std::sync::Arc;

use args::{BenchArgs, BenchCommand, KeyArgs, LoadArgs, RunArgs};
use http::target::Target;
use load::floor::{self, Floor};
use load::measure;
use load::plan::{Keys, Plan};
use load::report::{self, Variant};
use token::Mint;

/// Open files that a bench needs besides its sockets.
const OTHER_FILES: usize = 64;

/// Runs the bench. The exit code is 1 when it could not run, or when an update was lost, doubled
/// or out of order.
pub fn main(args: &BenchArgs) -> ExitCode {
    let done = match &args.command {
        Some(BenchCommand::FloorServer) => floor::serve().map(|()| true),
        Some(BenchCommand::Floor(load)) => floor_alone(load),
        Some(BenchCommand::History(args)) => history::main(args),
        Some(BenchCommand::Attack(args)) => attack::main(args),
        Some(BenchCommand::Attacker(args)) => attack::attacker::main(args).map(|()| true),
        Some(BenchCommand::Cost(args)) => cost::main(args).map(|()| true),
        Some(BenchCommand::Run(run)) => hub(run),
        None => hub(&args.run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn floor_alone(load: &LoadArgs) -> Result<bool, String> {
    load.check()?;
    allow_files(load, 0)?;
    let mut outcomes = Vec::with_capacity(load.rounds);
    for _ in 0..load.rounds {
        outcomes.push(measure_floor(load)?);
    }
    Ok(print(
        load,
        &[Variant {
            name: "floor",
            outcomes,
        }],
    ))
}

fn hub(run: &RunArgs) -> Result<bool, String> {
    run.check()?;
    let load = &run.load;
    allow_files(load, run.stalled)?;
    let url = run.url.as_deref().ok_or(
        "--url is missing; give the hub's URL, such as http://127.0.0.1:3000/.well-known/mercure, \
         or measure the floor alone with `talaria bench floor`",
    )?;
    let target = Target::parse(url)?;
    let keys = keys(&run.keys)?;
    let mut hub = Variant {
        name: "hub",
        outcomes: Vec::new(),
    };
    let mut stalled = Variant {
        name: "hub+stalled",
        outcomes: Vec::new(),
    };
    let mut floor = Variant {
        name: "floor",
        outcomes: Vec::new(),
    };
    for _ in 0..load.rounds {
        let plan = || hub_plan(run, url, &target, keys.as_ref()).map(Arc::new);
        if run.stalled == 0 || run.baseline {
            hub.outcomes
                .push(measure::measure(&plan()?, 0, run.hub_pid)?);
        }
        if run.stalled > 0 {
            let outcome = measure::measure(&plan()?, run.stalled, run.hub_pid)?;
            stalled.outcomes.push(outcome);
        }
        if run.floor {
            floor.outcomes.push(measure_floor(load)?);
        }
    }
    let variants: Vec<_> = [hub, stalled, floor]
        .into_iter()
        .filter(|variant| !variant.outcomes.is_empty())
        .collect();
    Ok(print(load, &variants))
}

fn hub_plan(
    run: &RunArgs,
    url: &str,
    target: &Target,
    keys: Option<&Keys>,
) -> Result<Plan, String> {
    let mut plan = Plan::new(target.clone(), run.load.clone());
    plan.private = run.private;
    let Some(keys) = keys else { return Ok(plan) };
    let mint = mint(&run.keys, url, run.load.timeout);
    plan.with_tokens(&mint, keys)
}

fn mint(args: &KeyArgs, url: &str, timeout: u64) -> Mint {
    Mint {
        issuer: args
            .issuer
            .clone()
            .unwrap_or_else(|| "https://localhost".to_owned()),
        audience: args.audience.clone().unwrap_or_else(|| url.to_owned()),
        lifetime: timeout.saturating_add(600),
    }
}

fn keys(args: &KeyArgs) -> Result<Option<Keys>, String> {
    let publisher = match (&args.key, &args.key_file) {
        (Some(key), _) => key.clone().into_bytes(),
        (None, Some(file)) => std::fs::read(file)
            .map_err(|error| format!("--key-file {}: {error}", file.display()))?
            .trim_ascii_end()
            .to_owned(),
        (None, None) => return Ok(None),
    };
    let subscriber = match &args.subscriber_key {
        Some(key) => key.clone().into_bytes(),
        None => publisher.clone(),
    };
    Ok(Some(Keys {
        publisher,
        subscriber,
    }))
}

fn measure_floor(load: &LoadArgs) -> Result<measure::Outcome, String> {
    let floor = Floor::start()?;
    let plan = Plan::new(Target::parse(&floor.url)?, load.clone());
    measure::measure(&Arc::new(plan), 0, Some(floor.pid()))
}

fn allow_files(load: &LoadArgs, stalled: usize) -> Result<(), String> {
    let needed = [load.subscribers, load.publishers, stalled, OTHER_FILES];
    let needed = needed.into_iter().fold(0, usize::saturating_add);
    process::allow_open_files(needed as u64)
}

fn print(load: &LoadArgs, variants: &[Variant]) -> bool {
    let command = report::without_secrets(std::env::args());
    if load.json {
        println!("{}", report::json(variants, &command));
    } else {
        print!("{}", report::table(variants, &command));
    }
    variants.iter().all(Variant::is_flawless)
}
