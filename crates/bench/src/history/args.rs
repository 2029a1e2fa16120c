//! The options of `talaria bench history`.

use std::path::PathBuf;

use clap::Args;

use crate::error::Problem;

/// What a history holds while it is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryArgs {
    /// Updates that are stored.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", conflicts_with = "durable", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) updates: u64,
    /// Bytes of an update's data.
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub(crate) payload: usize,
    /// Topics that the updates are published to in turn.
    #[arg(long, default_value_t = 100_000, value_name = "N", conflicts_with = "durable", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) topics: u64,
    /// A directory on the disk to measure. The bench removes what it stores there.
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub(crate) path: PathBuf,
    /// How many publishers publish concurrently, in turn.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256], value_name = "N", conflicts_with = "stored")]
    pub(crate) publishers: Vec<usize>,
    /// Seconds of each turn of durable publishing.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", conflicts_with = "stored", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Turns of durable publishing; the table shows their medians.
    #[arg(long, default_value_t = 3, value_name = "N", conflicts_with = "stored")]
    pub(crate) rounds: usize,
    /// Measure only opening, look-ups and replays.
    #[arg(long, conflicts_with = "durable")]
    pub(crate) stored: bool,
    /// Measure only durable publishing.
    #[arg(long)]
    pub(crate) durable: bool,
    /// Measure only a history of N segments, 16 MiB each, most of them holes.
    #[arg(long, value_name = "N", conflicts_with_all = ["durable", "stored"])]
    pub(crate) segments: Option<u64>,
}

impl HistoryArgs {
    /// Refuses numbers that no measurement can have.
    ///
    /// # Errors
    /// Names the option and the remedy.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.rounds == 0 {
            return Err(Problem::Zero { option: "--rounds" });
        }
        if self.publishers.contains(&0) {
            let option = "--publishers";
            return Err(Problem::Zero { option });
        }
        Ok(())
    }
}
