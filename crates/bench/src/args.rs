//! The command line of `talaria bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::attack::args::{AttackArgs, AttackerArgs};
use crate::cost::CostArgs;

/// Measures a Mercure hub, or the machine's own limit, with subscribers and publishers of its own.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// What to measure; `run` when absent.
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// The options of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to measure.
#[derive(Debug, Clone, Subcommand)]
pub enum BenchCommand {
    /// Measure a hub that is already running (the default).
    Run(RunArgs),
    /// Measure the floor: a bare loop of `write` over as many sockets.
    Floor(LoadArgs),
    /// Measure the history on disk by itself: opening, look-ups, replays, durable publishing.
    History(HistoryArgs),
    /// Attack a running hub, and measure what honest clients beside the attack notice.
    Attack(AttackArgs),
    /// Measure what one thing that a client can make a running hub hold or do costs.
    Cost(CostArgs),
    /// Attack until standard input closes; `bench attack` starts it by itself.
    #[command(hide = true)]
    Attacker(AttackerArgs),
    /// Serve the floor until standard input closes; `bench floor` starts it by itself.
    #[command(hide = true)]
    FloorServer,
}

/// The hub and how to be let in, besides the load.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// The hub's URL: plain HTTP on a loopback address, such as
    /// http://127.0.0.1:3000/.well-known/mercure.
    #[arg(long)]
    pub url: Option<String>,
    /// The hub's process, for its CPU and memory.
    #[arg(long, visible_alias = "pid", value_name = "PID")]
    pub hub_pid: Option<u32>,
    /// How to be let in.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Publish private updates.
    #[arg(long)]
    pub private: bool,
    /// Sockets beside the subscribers that subscribe, with a receive buffer of 4,096 bytes, and
    /// never read.
    #[arg(long, default_value_t = 0, value_name = "SOCKETS")]
    pub stalled: usize,
    /// With `--stalled`: in each round measure without the stalled sockets too, and give ratios.
    #[arg(long, requires = "stalled")]
    pub baseline: bool,
    /// Measure the floor in each round too, and give ratios.
    #[arg(long)]
    pub floor: bool,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// The keys and claims of the tokens that a bench mints.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArgs {
    /// The HS256 secret to mint the publisher's token with, and one token for each subscriber that
    /// grants its topic only. Without any key nobody presents a token.
    #[arg(long, value_name = "SECRET", conflicts_with = "key_file")]
    pub key: Option<String>,
    /// A file with the secret, so that it shows in no list of processes.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The secret for subscribers' tokens where it differs from the publishers'.
    #[arg(long, value_name = "SECRET")]
    pub subscriber_key: Option<String>,
    /// The tokens' `iss` [default: https://localhost].
    #[arg(long, value_name = "ISSUER")]
    pub issuer: Option<String>,
    /// The tokens' `aud`; the URL when absent.
    #[arg(long, value_name = "AUDIENCE")]
    pub audience: Option<String>,
}

impl HistoryArgs {
    /// Refuses numbers that no measurement can have.
    ///
    /// # Errors
    /// Names the option and the remedy.
    pub fn check(&self) -> Result<(), String> {
        if self.rounds == 0 {
            return Err("--rounds 0: give at least 1".to_owned());
        }
        if self.publishers.contains(&0) {
            return Err("--publishers 0: give at least 1 each".to_owned());
        }
        Ok(())
    }
}

impl RunArgs {
    /// Refuses options that would have no effect, and what [`LoadArgs::check`] refuses.
    ///
    /// # Errors
    /// Names the option and the remedy.
    pub fn check(&self) -> Result<(), String> {
        self.load.check()?;
        if self.keys.key.is_none() && self.keys.key_file.is_none() {
            let of_tokens = [
                ("--subscriber-key", self.keys.subscriber_key.is_some()),
                ("--issuer", self.keys.issuer.is_some()),
                ("--audience", self.keys.audience.is_some()),
                ("--private", self.private),
            ];
            if let Some((option, _)) = of_tokens.iter().find(|(_, is_given)| *is_given) {
                return Err(format!(
                    "{option}: without a key no client presents a token; give --key-file, or leave it out"
                ));
            }
        }
        if self.baseline && self.stalled == 0 {
            return Err("--baseline: no sockets stall; give --stalled, or leave it out".to_owned());
        }
        Ok(())
    }
}

/// What a history holds while it is measured.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Updates that are stored.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", conflicts_with = "durable", value_parser = clap::value_parser!(u64).range(1..))]
    pub updates: u64,
    /// Bytes of an update's data.
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub payload: usize,
    /// Topics that they are published to in turn.
    #[arg(long, default_value_t = 100_000, value_name = "N", conflicts_with = "durable", value_parser = clap::value_parser!(u64).range(1..))]
    pub topics: u64,
    /// Where to store them: a directory on the disk to be measured. What is left there is removed.
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub path: PathBuf,
    /// How many publish at a time, in turn.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256], value_name = "N", conflicts_with = "stored")]
    pub publishers: Vec<usize>,
    /// Seconds of each turn of durable publishing.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", conflicts_with = "stored", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Turns of durable publishing, of which the table shows medians.
    #[arg(long, default_value_t = 3, value_name = "N", conflicts_with = "stored")]
    pub rounds: usize,
    /// Measure opening, look-ups and replays only.
    #[arg(long, conflicts_with = "durable")]
    pub stored: bool,
    /// Measure durable publishing only.
    #[arg(long)]
    pub durable: bool,
    /// Measure look-ups of unknown ids only, in a history of N segments.
    #[arg(long, value_name = "N", conflicts_with_all = ["durable", "stored"])]
    pub segments: Option<u64>,
}

/// The load: who subscribes to what, and what is published.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Subscribers, one connection each.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub subscribers: usize,
    /// Whether all subscribers share one topic or each has its own.
    #[arg(long, value_enum, default_value_t = Topics::One)]
    pub topics: Topics,
    /// Publishers, one keep-alive connection each.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub publishers: usize,
    /// Updates to publish in all.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub updates: Option<u64>,
    /// Seconds to publish for; 5 when `--updates` is absent too.
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,
    /// Open loop: updates a second in all. Without it publishers go as fast as `--window` lets
    /// them.
    #[arg(long, value_name = "UPDATES")]
    pub rate: Option<f64>,
    /// Closed loop: at most so many updates are published and not yet delivered to everybody.
    #[arg(
        long,
        default_value_t = 16,
        value_name = "UPDATES",
        conflicts_with = "rate"
    )]
    pub window: u64,
    /// Bytes of an update's data; its stamp takes 50 at most, and is never cut.
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub payload: usize,
    /// Threads that receive.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub threads: usize,
    /// How often to measure; the table shows medians.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub rounds: usize,
    /// Seconds after which a single measurement is given up.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub timeout: u64,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub json: bool,
}

impl Default for LoadArgs {
    fn default() -> Self {
        Self {
            subscribers: 100,
            topics: Topics::One,
            publishers: 1,
            updates: None,
            duration: None,
            rate: None,
            window: 16,
            payload: 100,
            threads: 1,
            rounds: 1,
            timeout: 120,
            json: false,
        }
    }
}

/// How topics are shared among subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Topics {
    /// All on one topic: every update goes to every subscriber.
    One,
    /// Each on its own topic: every update goes to one subscriber.
    Own,
}

impl LoadArgs {
    /// Refuses numbers that no measurement can have.
    ///
    /// # Errors
    /// Names the option, its value and the remedy.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("--subscribers", self.subscribers),
            ("--publishers", self.publishers),
            ("--threads", self.threads),
            ("--rounds", self.rounds),
        ];
        for (option, value) in positive {
            if value == 0 {
                return Err(format!("{option} 0: give at least 1"));
            }
        }
        let times = [
            ("--timeout", Some(self.timeout)),
            ("--duration", self.duration),
            ("--updates", self.updates),
        ];
        for (option, value) in times {
            if value == Some(0) {
                return Err(format!(
                    "{option} 0: nothing could be measured; give at least 1"
                ));
            }
        }
        if self.window == 0 {
            return Err("--window 0: nothing could be published; give at least 1".to_owned());
        }
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(format!("--rate {rate}: give a number above 0"));
        }
        if self.topics == Topics::Own && self.publishers > self.subscribers {
            return Err(format!(
                "--publishers {}: with --topics own each publisher needs a topic; give at most {}",
                self.publishers, self.subscribers
            ));
        }
        Ok(())
    }
}
