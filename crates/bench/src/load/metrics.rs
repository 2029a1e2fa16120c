//! The figures of a measurement, and how those of several rounds become one.

use super::outcome::{Outcome, ProcessCost};

/// How several rounds become one figure.
#[derive(Debug, Clone, Copy)]
enum Over {
    /// The median.
    Rounds,
    /// The first round: later ones find memory already taken.
    First,
    /// The sum: one defect is one too many.
    All,
}

/// A figure of a measurement.
pub(crate) struct Metric {
    /// Its name in JSON.
    pub(crate) name: &'static str,
    /// Its title in the table.
    pub(crate) title: &'static str,
    over: Over,
    /// Whether a ratio to another variant means anything.
    pub(crate) has_ratio: bool,
    /// Reads it from one outcome.
    pub(crate) of: fn(&Outcome) -> Option<f64>,
}

const fn metric(
    name: &'static str,
    title: &'static str,
    over: Over,
    of: fn(&Outcome) -> Option<f64>,
) -> Metric {
    Metric {
        name,
        title,
        over,
        has_ratio: !matches!(over, Over::All),
        of,
    }
}

fn cost(outcome: &Outcome, figure: fn(&ProcessCost) -> f64) -> Option<f64> {
    outcome.process.as_ref().map(figure)
}

fn per(amount: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| amount / count as f64)
}

/// What each stalled socket costs in TCP buffers and in the process, compared with the idle state.
fn stalled_bytes(outcome: &Outcome, tcp: u64, resident: fn(&ProcessCost) -> u64) -> Option<f64> {
    let process = outcome.process.as_ref()?;
    let grown = (tcp + resident(process)) as f64 - process.idle as f64;
    per(grown, outcome.stalled)
}

const MIB: f64 = 1024.0 * 1024.0;

/// All figures, in the order of the table.
pub(crate) const METRICS: [Metric; 28] = [
    metric("updates", "updates", Over::All, |o| Some(o.updates as f64)),
    metric("deliveries", "deliveries", Over::All, |o| {
        Some(o.deliveries as f64)
    }),
    metric("lost", "lost", Over::All, |o| Some(o.lost as f64)),
    metric("duplicates", "duplicates", Over::All, |o| {
        Some(o.duplicates as f64)
    }),
    metric("out_of_order", "out of order", Over::All, |o| {
        Some(o.late as f64)
    }),
    metric("disconnected", "disconnected", Over::All, |o| {
        Some(o.disconnected as f64)
    }),
    metric("seconds", "seconds", Over::Rounds, |o| Some(o.seconds)),
    metric("updates_per_s", "updates/s", Over::Rounds, |o| {
        (o.seconds > 0.0).then(|| o.updates as f64 / o.seconds)
    }),
    metric("deliveries_per_s", "deliveries/s", Over::Rounds, |o| {
        (o.seconds > 0.0).then(|| o.deliveries as f64 / o.seconds)
    }),
    metric("delivery_p50_ms", "delivery p50, ms", Over::Rounds, |o| {
        o.delivery.quantile_ms(0.5)
    }),
    metric("delivery_p90_ms", "delivery p90, ms", Over::Rounds, |o| {
        o.delivery.quantile_ms(0.9)
    }),
    metric("delivery_p99_ms", "delivery p99, ms", Over::Rounds, |o| {
        o.delivery.quantile_ms(0.99)
    }),
    metric("delivery_max_ms", "delivery max, ms", Over::Rounds, |o| {
        o.delivery.quantile_ms(1.0)
    }),
    metric("publish_p50_ms", "publish p50, ms", Over::Rounds, |o| {
        o.publish.quantile_ms(0.5)
    }),
    metric("publish_p90_ms", "publish p90, ms", Over::Rounds, |o| {
        o.publish.quantile_ms(0.9)
    }),
    metric("publish_p99_ms", "publish p99, ms", Over::Rounds, |o| {
        o.publish.quantile_ms(0.99)
    }),
    metric("publish_max_ms", "publish max, ms", Over::Rounds, |o| {
        o.publish.quantile_ms(1.0)
    }),
    metric(
        "cpu_us_per_delivery",
        "CPU per delivery, µs",
        Over::Rounds,
        |o| per(cost(o, |c| c.cpu_us as f64)?, o.deliveries),
    ),
    metric(
        "bench_cpu_us_per_delivery",
        "the bench's own CPU, µs",
        Over::Rounds,
        |o| per(o.own_cpu_us as f64, o.deliveries),
    ),
    metric(
        "rss_bytes_per_idle_subscriber",
        "bytes/idle subscriber",
        Over::First,
        |o| {
            let grown = cost(o, |c| c.idle as f64 - c.before as f64)?;
            per(grown, o.subscribers)
        },
    ),
    metric("rss_before_mib", "RSS before, MiB", Over::First, |o| {
        cost(o, |c| c.before as f64 / MIB)
    }),
    metric("rss_idle_mib", "RSS idle, MiB", Over::First, |o| {
        cost(o, |c| c.idle as f64 / MIB)
    }),
    metric("rss_peak_mib", "RSS peak, MiB", Over::First, |o| {
        cost(o, |c| c.peak as f64 / MIB)
    }),
    metric("rss_end_mib", "RSS end, MiB", Over::First, |o| {
        cost(o, |c| c.end as f64 / MIB)
    }),
    metric(
        "stalled_bytes_tenth",
        "bytes/stalled at 10 %",
        Over::First,
        |o| stalled_bytes(o, o.tcp.tenth, |c| c.tenth),
    ),
    metric(
        "stalled_bytes_end",
        "bytes/stalled at end",
        Over::First,
        |o| stalled_bytes(o, o.tcp.end, |c| c.end),
    ),
    metric("tcp_tenth_mib", "TCP grown, 10 %, MiB", Over::First, |o| {
        Some(o.tcp.tenth as f64 / MIB)
    }),
    metric("tcp_end_mib", "TCP grown, end, MiB", Over::First, |o| {
        Some(o.tcp.end as f64 / MIB)
    }),
];

/// What is measured, and its outcome in each round.
pub(crate) struct Variant {
    /// `hub`, `hub+stalled` or `floor`.
    pub(crate) name: &'static str,
    /// In the order of the rounds.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Variant {
    /// A variant that is still to be measured.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            outcomes: Vec::new(),
        }
    }

    /// Whether the load was done and every update reached all its subscribers, once and in order.
    pub(crate) fn is_flawless(&self) -> bool {
        self.outcomes.iter().all(|outcome| {
            let defects = outcome.lost + outcome.duplicates + outcome.late + outcome.disconnected;
            defects == 0 && outcome.updates > 0 && !outcome.cut_short
        })
    }

    /// The figure of all rounds.
    pub(crate) fn figure(&self, metric: &Metric) -> Option<f64> {
        let mut figures: Vec<f64> = self
            .outcomes
            .iter()
            .filter_map(metric.of)
            .filter(|figure| figure.is_finite())
            .collect();
        match metric.over {
            Over::First => figures.first().copied(),
            Over::All => Some(figures.iter().sum()),
            Over::Rounds => {
                figures.sort_by(f64::total_cmp);
                figures.get(figures.len() / 2).copied()
            }
        }
    }
}
