//! The options of a load.

use clap::{Args, ValueEnum};

use crate::error::Problem;
use crate::keys::KeyArgs;

/// The hub, its keys, and the load on it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// The hub's URL: plain HTTP on a loopback address, such as
    /// http://127.0.0.1:3000/.well-known/mercure.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// The hub's process, to measure its CPU time and memory.
    #[arg(long, visible_alias = "pid", value_name = "PID")]
    pub(crate) hub_pid: Option<u32>,
    /// The keys of the hub.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Publish private updates.
    #[arg(long)]
    pub(crate) private: bool,
    /// Further sockets that subscribe, with a receive buffer of 4,096 bytes, and never read.
    #[arg(long, default_value_t = 0, value_name = "SOCKETS")]
    pub(crate) stalled: usize,
    /// With `--stalled`: also measure each round without the stalled sockets, and print ratios.
    #[arg(long, requires = "stalled")]
    pub(crate) baseline: bool,
    /// Also measure the floor in each round, and print ratios.
    #[arg(long)]
    pub(crate) floor: bool,
    /// The load.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

impl RunArgs {
    /// Refuses options that would have no effect, and what [`LoadArgs::check`] refuses.
    ///
    /// # Errors
    /// Names the option and the remedy.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.load.check()?;
        self.keys.check()?;
        if self.private && !self.keys.has_key() {
            return Err(Problem::NeedsKey {
                option: "--private",
            });
        }
        if self.baseline && self.stalled == 0 {
            return Err(Problem::NeedsStalled);
        }
        Ok(())
    }
}

/// The load: who subscribes to what, and what is published.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// Subscribers, one connection each.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) subscribers: usize,
    /// Whether all subscribers share one topic or each has its own.
    #[arg(long, value_enum, default_value_t = Topics::One)]
    pub(crate) topics: Topics,
    /// Publishers, one keep-alive connection each.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) publishers: usize,
    /// Updates to publish in total.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub(crate) updates: Option<u64>,
    /// Seconds to publish for [default: 5, unless `--updates` is given].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<u64>,
    /// Open loop: updates a second in total. Without it, publishers publish as fast as `--window` allows.
    #[arg(long, value_name = "UPDATES")]
    pub(crate) rate: Option<f64>,
    /// Closed loop: how many updates at most are published but not yet delivered to every subscriber.
    #[arg(
        long,
        default_value_t = 16,
        value_name = "UPDATES",
        conflicts_with = "rate"
    )]
    pub(crate) window: u64,
    /// Bytes of an update's data; the stamp in it takes up to 50 bytes, and is never cut.
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub(crate) payload: usize,
    /// Threads that receive.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,
    /// How often to measure; the table shows medians.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) rounds: usize,
    /// Seconds after which a single measurement is abandoned.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub(crate) timeout: u64,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
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
pub(crate) enum Topics {
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
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let is_zero = [
            ("--subscribers", self.subscribers == 0),
            ("--publishers", self.publishers == 0),
            ("--threads", self.threads == 0),
            ("--rounds", self.rounds == 0),
            ("--timeout", self.timeout == 0),
            ("--duration", self.duration == Some(0)),
            ("--updates", self.updates == Some(0)),
            ("--window", self.window == 0),
        ];
        if let Some((option, _)) = is_zero.iter().find(|(_, is_zero)| *is_zero) {
            return Err(Problem::Zero { option });
        }
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(Problem::Rate(rate));
        }
        if self.topics == Topics::Own && self.publishers > self.subscribers {
            return Err(Problem::FewTopics {
                publishers: self.publishers,
                subscribers: self.subscribers,
            });
        }
        Ok(())
    }
}
