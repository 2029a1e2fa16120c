//! The command line of `talaria bench`.

use clap::{Args, Subcommand};

use crate::attack::args::{AttackArgs, AttackerArgs};
use crate::cost::CostArgs;
use crate::history::args::HistoryArgs;
use crate::load::args::{LoadArgs, RunArgs};
use crate::transport::args::TransportArgs;

/// Measures a Mercure hub, or this machine's own limit, with the bench's own subscribers and publishers.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// What to measure [default: run].
    #[command(subcommand)]
    pub(crate) command: Option<BenchCommand>,
    /// The options of `run`.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What to measure.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure a running hub (the default).
    Run(RunArgs),
    /// Measure the floor: a bare loop of `write` over as many sockets.
    Floor(LoadArgs),
    /// Measure the history on disk without a hub: opening, look-ups, replays, durable publishing.
    History(HistoryArgs),
    /// Measure a log that several nodes share without a hub: publishing, and the way to another node.
    Transport(TransportArgs),
    /// Attack a running hub, and measure what honest clients notice.
    Attack(AttackArgs),
    /// Measure what one connection, stream, matcher or visit costs a running hub.
    Cost(CostArgs),
    /// Attack until standard input closes; `bench attack` starts this.
    #[command(hide = true)]
    Attacker(AttackerArgs),
    /// Serve the floor until standard input closes; `bench floor` starts this.
    #[command(hide = true)]
    FloorServer,
}
