//! The command lines of `talaria bench attack` and of its attacker's process.

use clap::{Args, ValueEnum};

use crate::keys::KeyArgs;

/// What the attackers do, as fast as they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// Not an attack: 8 connections per address that ask for `/healthz`.
    Harmless,
    /// 4 `QUERY` per address with 200 URL Patterns of 24 `{*}?`, which replay the whole history.
    Replay,
    /// 200 streams per address with 200 such patterns each.
    Patterns,
    /// 50 streams per address with 64 patterns each, whose custom groups have 900 states.
    CustomGroups,
    /// 5 streams per address with such patterns, and a publisher whose updates have 1,000 topics.
    ManyTopics,
    /// 150 streams on one HTTP/2 connection per address, with 64 custom groups each.
    Multiplexed,
    /// 400 connections per address with 256 ordinary patterns each, which all come and then all leave.
    Churn,
    /// Batches of 10,000 updates to one topic, which 8,000 matchers of 31 streams match.
    Batches,
    /// 400 readers per address that begin at `earliest` and leave within a second.
    Readers,
    /// Subscribers of 256 topics each that come and leave. The hub needs `subscriptions`.
    Visits,
    /// 400 idle connections per address, to a hub that may open only 256 files.
    Idle,
    /// 4,000 connections over all addresses, with one stream each.
    Connections,
    /// 20 HTTP/2 connections per address with 1,000 streams each.
    Streams,
    /// 100 HTTP/2 connections per address with 10 streams each that have no window, and answer pings.
    Blocked,
    /// 64 heads of 1 MiB per address that never end.
    HalfHeads,
    /// One HTTP/2 connection per address, whose 1,000 requests repeat one field 990 times by its index.
    IndexedFields,
    /// 8 anonymous `QUERY` per address whose bodies come in chunks of one byte.
    TinyChunks,
    /// 16 anonymous `QUERY` per address with bodies of 10 MiB that stop before the last byte.
    LargeQueries,
    /// 10,000 connections over all addresses that send half a head.
    HalfRequests,
    /// 10,000 connections over all addresses that send half a TLS handshake to `--tls-port`.
    HalfHandshakes,
    /// 20 HTTP/2 connections per address that open streams and reset them at once.
    Resets,
    /// 8 publishes per address with bodies of 1 GiB in chunks.
    HugeBodies,
}

impl Attack {
    /// Whether the hub does not answer the attackers, who wait until it gives up.
    pub(crate) fn is_silent(self) -> bool {
        matches!(
            self,
            Self::Idle
                | Self::HalfHeads
                | Self::IndexedFields
                | Self::TinyChunks
                | Self::LargeQueries
                | Self::HalfRequests
                | Self::HalfHandshakes
                | Self::Resets
                | Self::HugeBodies
        )
    }
}

/// The hub, the attack, and the honest clients.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttackArgs {
    /// What the attackers do.
    #[arg(value_enum)]
    pub(crate) attack: Attack,
    /// The hub's URL: plain HTTP on an IPv4 loopback address. It must accept subscribers without a token.
    #[arg(long)]
    pub(crate) url: String,
    /// The hub's process, to measure its memory.
    #[arg(long, visible_alias = "pid", value_name = "PID")]
    pub(crate) hub_pid: u32,
    /// The keys of the hub.
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// How many addresses attack, from 127.0.0.2 on.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=200))]
    pub(crate) addresses: u8,
    /// The hub's port for HTTPS, which half handshakes are sent to.
    #[arg(long, value_name = "PORT", required_if_eq("attack", "half-handshakes"))]
    pub(crate) tls_port: Option<u16>,
    /// Seconds of the attack.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Seconds of each measurement before the attack: without attackers, and with harmless ones.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) baseline: u64,
    /// Honest subscribers, one connection each.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) subscribers: u64,
    /// Updates a second of all honest publishers together.
    #[arg(long, default_value_t = 40, value_name = "UPDATES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: u64,
    /// Resumes a second of all honest readers together.
    #[arg(long, default_value_t = 20, value_name = "RESUMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) resumes: u64,
    /// Updates that are stored before the measurement.
    #[arg(long, default_value_t = 5000, value_name = "UPDATES")]
    pub(crate) stored: u64,
    /// The nice value of the attackers' process.
    #[arg(long, default_value_t = 19, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=19))]
    pub(crate) nice: i32,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of the attackers' process.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttackerArgs {
    /// The attack.
    #[arg(value_enum)]
    pub(crate) attack: Attack,
    /// The hub's URL.
    #[arg(long)]
    pub(crate) url: String,
    /// The attackers' addresses, from 127.0.0.2 on.
    #[arg(long)]
    pub(crate) addresses: u8,
    /// The hub's port for HTTPS.
    #[arg(long)]
    pub(crate) tls_port: Option<u16>,
    /// Its nice value.
    #[arg(long)]
    pub(crate) nice: i32,
}
