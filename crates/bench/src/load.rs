//! A load on a hub or on the floor: `talaria bench run` and `talaria bench floor`.

pub(crate) mod args;
pub(crate) mod clients;
pub(crate) mod floor;
mod measure;
mod metrics;
mod outcome;
pub(crate) mod plan;
pub(crate) mod progress;
mod publisher;
pub(crate) mod receiver;
mod report;
mod stalled;
pub(crate) mod stamp;
mod watch;

use std::sync::Arc;

use self::args::{LoadArgs, RunArgs};
use self::floor::Floor;
use self::metrics::Variant;
use self::outcome::Outcome;
use self::plan::Plan;
use crate::error::Problem;
use crate::http::target::Target;
use crate::keys::Keys;
use crate::print;
use crate::process::allow_open_files;
use crate::repeat::without_secrets;

/// Open files that a bench needs besides its sockets.
const OTHER_FILES: usize = 64;

/// Measures the floor, and prints what it found. Returns whether every update was delivered once and in order.
///
/// # Errors
/// When the load cannot run.
pub(crate) fn measure_floor_only(load: &LoadArgs) -> Result<bool, Problem> {
    load.check()?;
    allow_sockets(load, 0)?;
    let mut floor = Variant::new("floor");
    for _ in 0..load.rounds {
        floor.outcomes.push(measure_floor(load)?);
    }
    print(load, &[floor])
}

/// Measures a running hub, and prints what it found. Returns whether every update was delivered once and in order.
///
/// # Errors
/// When the load cannot run.
pub(crate) fn measure_hub(run: &RunArgs) -> Result<bool, Problem> {
    run.check()?;
    let load = &run.load;
    allow_sockets(load, run.stalled)?;
    let url = run.url.as_deref().ok_or(Problem::NoUrl)?;
    let target = Target::parse(url)?;
    let keys = run.keys.read()?;
    let [mut hub, mut stalled, mut floor] = ["hub", "hub+stalled", "floor"].map(Variant::new);
    for _ in 0..load.rounds {
        let plan = || hub_plan(run, url, &target, keys.as_ref()).map(Arc::new);
        if run.stalled == 0 || run.baseline {
            let outcome = measure::measure(&plan()?, 0, run.hub_pid)?;
            hub.outcomes.push(outcome);
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
    print(load, &variants)
}

fn hub_plan(
    run: &RunArgs,
    url: &str,
    target: &Target,
    keys: Option<&Keys>,
) -> Result<Plan, Problem> {
    let mut plan = Plan::new(target.clone(), run.load.clone());
    plan.private = run.private;
    match keys {
        Some(keys) => plan.with_tokens(&run.keys.mint(url, run.load.timeout), keys),
        None => Ok(plan),
    }
}

fn measure_floor(load: &LoadArgs) -> Result<Outcome, Problem> {
    let floor = Floor::start()?;
    let plan = Plan::new(Target::parse(&floor.url)?, load.clone());
    measure::measure(&Arc::new(plan), 0, Some(floor.pid()))
}

fn allow_sockets(load: &LoadArgs, stalled: usize) -> Result<(), Problem> {
    let needed = [load.subscribers, load.publishers, stalled, OTHER_FILES];
    let needed = needed.into_iter().fold(0, usize::saturating_add);
    allow_open_files(needed as u64)
}

fn print(load: &LoadArgs, variants: &[Variant]) -> Result<bool, Problem> {
    let command = without_secrets(std::env::args());
    if load.json {
        print::line(format_args!("{}", report::json(variants, &command)))?;
    } else {
        print::write(format_args!("{}", report::table(variants, &command)))?;
    }
    Ok(variants.iter().all(Variant::is_flawless))
}
