//! The command lines of `talaria bench attack` and of its attacker's process.

use clap::{Args, ValueEnum};

use crate::args::KeyArgs;

/// What the attackers do, each as fast as they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// Not an attack: 8 connections an address that ask for `/healthz`.
    Harmless,
    /// 4 `QUERY` an address with 200 URL Patterns of 24 `{*}?`, which replay the whole history.
    Replay,
    /// 200 streams an address of 200 such patterns each.
    Patterns,
    /// 50 streams an address of 64 patterns each whose custom groups keep 900 states.
    CustomGroups,
    /// 5 streams an address of such patterns, and a publisher whose updates have 1,000 topics.
    ManyTopics,
    /// 150 streams on one HTTP/2 connection an address, of 64 custom groups each.
    Multiplexed,
    /// 400 connections an address of 256 ordinary patterns each that come and then all leave.
    Churn,
    /// Batches of 10,000 updates to a topic that 8,000 matchers of 31 streams share.
    Batches,
    /// 400 readers an address that begin at `earliest` and leave within a second.
    Readers,
    /// Subscribers of 256 topics each that come and leave. The hub has `subscriptions` on.
    Visits,
    /// 400 idle connections an address. The hub may open 256 files.
    Idle,
    /// 4,000 connections over all addresses, of a stream each.
    Connections,
    /// 20 HTTP/2 connections an address of 1,000 streams each.
    Streams,
    /// 100 HTTP/2 connections an address of 10 streams each that have no window and answer pings.
    Blocked,
    /// 64 heads of 1 MiB an address that never end.
    HalfHeads,
    /// An HTTP/2 connection an address whose 1,000 requests repeat one field 990 times by its index.
    IndexedFields,
    /// 8 anonymous `QUERY` an address whose bodies come in chunks of one byte.
    TinyChunks,
    /// 16 anonymous `QUERY` an address with bodies of 10 MiB that stop before the last byte.
    LargeQueries,
}

impl Attack {
    /// Whether the attackers are not answered, because they wait until the hub gives up.
    pub fn is_silent(self) -> bool {
        matches!(
            self,
            Self::Idle
                | Self::HalfHeads
                | Self::IndexedFields
                | Self::TinyChunks
                | Self::LargeQueries
        )
    }
}

/// The hub, the attack, and the honest clients beside it.
#[derive(Debug, Clone, Args)]
pub struct AttackArgs {
    /// What the attackers do.
    #[arg(value_enum)]
    pub attack: Attack,
    /// The hub's URL: plain HTTP on an IPv4 loopback address. It must let in subscribers without a token.
    #[arg(long)]
    pub url: String,
    /// The hub's process, for its memory.
    #[arg(long, visible_alias = "pid", value_name = "PID")]
    pub hub_pid: u32,
    /// How to be let in.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// The attackers' addresses, from 127.0.0.2 on.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=200))]
    pub addresses: u8,
    /// Seconds of the attack.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Seconds of each measurement before the attack: without any attackers, and with harmless ones.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub baseline: u64,
    /// Honest subscribers, one connection each.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub subscribers: u64,
    /// Updates a second that the honest publishers publish together.
    #[arg(long, default_value_t = 40, value_name = "UPDATES", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// Honest resumes a second.
    #[arg(long, default_value_t = 20, value_name = "RESUMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub resumes: u64,
    /// Updates that are stored before anything is measured.
    #[arg(long, default_value_t = 5000, value_name = "UPDATES")]
    pub stored: u64,
    /// How far the attackers' process gives way to others.
    #[arg(long, default_value_t = 19, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=19))]
    pub nice: i32,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// What the attacker's process does.
#[derive(Debug, Clone, Args)]
pub struct AttackerArgs {
    /// The attack.
    #[arg(value_enum)]
    pub attack: Attack,
    /// The hub's URL.
    #[arg(long)]
    pub url: String,
    /// The attackers' addresses, from 127.0.0.2 on.
    #[arg(long)]
    pub addresses: u8,
    /// How far it gives way to others.
    #[arg(long)]
    pub nice: i32,
}
