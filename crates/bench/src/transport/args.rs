//! The options of `talaria bench transport`.

use clap::Args;

use crate::error::Problem;

/// Which log is measured, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct TransportArgs {
    /// Which server keeps the log.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// How many nodes share the log. The publishers are distributed over them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) nodes: usize,
    /// How many replicas of Redis must have an update before it is acknowledged.
    #[arg(
        long,
        default_value_t = 0,
        value_name = "N",
        conflicts_with = "postgres"
    )]
    pub(crate) replicas: u32,
    /// How many publishers publish concurrently, in turn.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256], value_name = "N")]
    pub(crate) publishers: Vec<usize>,
    /// Bytes of an update's data.
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub(crate) payload: usize,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Updates a second while latency is measured; 0 leaves it out.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) rate: u32,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The server that keeps the log.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ServerArgs {
    /// Redis or Valkey: redis://[<user>:<password>@]<host>[:<port>][/<database>].
    /// The bench stores under `{talaria-bench}` and removes it at the end.
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// PostgreSQL: postgres://<user>[:<password>]@<host>[:<port>]/<database>, or as key=value pairs.
    /// The bench creates the schema `talaria_bench` and removes it at the end.
    #[arg(long, value_name = "URL")]
    pub(crate) postgres: Option<String>,
}

impl TransportArgs {
    /// Refuses numbers that no measurement can have.
    ///
    /// # Errors
    /// Names the option and the remedy.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.nodes == 0 {
            return Err(Problem::Zero { option: "--nodes" });
        }
        if self.publishers.contains(&0) {
            let option = "--publishers";
            return Err(Problem::Zero { option });
        }
        Ok(())
    }
}
