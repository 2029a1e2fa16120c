//! The load generator behind `talaria bench`. It measures a running hub's throughput, latency, processor time
//! and memory beside the floor of this machine, and checks every delivery.
//!
//! The program that offers it has a verb `bench` with [`BenchArgs`]: the bench starts that program a second
//! time as the floor server or as the attacker.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod args;
mod attack;
mod clock;
mod cost;
mod error;
mod histogram;
mod history;
mod http;
mod keys;
mod load;
mod print;
mod process;
mod repeat;
mod threads;
mod token;
mod transport;

pub use args::BenchArgs;
use args::BenchCommand;
pub use error::Error;

/// Whether this process only helps another bench, which shows what happens.
pub fn is_helper(args: &BenchArgs) -> bool {
    matches!(
        args.command,
        Some(BenchCommand::FloorServer | BenchCommand::Attacker(_))
    )
}

/// Runs a bench and prints its figures to standard output; each print is within a call of `around`, so that a bar
/// can be taken away. Returns whether every update that was due arrived once and in order.
///
/// # Errors
/// When it cannot run, or cannot measure.
pub fn run(
    args: &BenchArgs,
    around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
) -> Result<bool, Error> {
    print::surround(Box::new(around));
    let is_flawless = match &args.command {
        Some(BenchCommand::FloorServer) => load::floor::serve().map(|()| true),
        Some(BenchCommand::Floor(load)) => load::measure_floor_only(load),
        Some(BenchCommand::History(args)) => history::main(args).map(|()| true),
        Some(BenchCommand::Transport(args)) => transport::main(args).map(|()| true),
        Some(BenchCommand::Attack(args)) => attack::main(args),
        Some(BenchCommand::Attacker(args)) => attack::attacker::main(args).map(|()| true),
        Some(BenchCommand::Cost(args)) => cost::main(args).map(|()| true),
        Some(BenchCommand::Run(run)) => load::measure_hub(run),
        None => load::measure_hub(&args.run),
    };
    Ok(is_flawless?)
}
