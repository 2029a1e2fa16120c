//! What a bench prints: medians over rounds, ratios, and the command to repeat it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::load::measure::{Outcome, ProcessCost};

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

struct Metric {
    name: &'static str,
    title: &'static str,
    over: Over,
    /// Whether a ratio to another variant means anything.
    ratio: bool,
    of: fn(&Outcome) -> Option<f64>,
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
        ratio: !matches!(over, Over::All),
        of,
    }
}

fn cost(outcome: &Outcome, figure: fn(&ProcessCost) -> f64) -> Option<f64> {
    outcome.process.as_ref().map(figure)
}

fn per(amount: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| amount / count as f64)
}

/// What each stalled socket costs in TCP buffers and in the process, over the idle state.
fn stalled_bytes(outcome: &Outcome, tcp: u64, resident: fn(&ProcessCost) -> u64) -> Option<f64> {
    let process = outcome.process.as_ref()?;
    let grown = (tcp + resident(process)) as f64 - process.idle as f64;
    per(grown, outcome.stalled)
}

const MIB: f64 = 1024.0 * 1024.0;

const METRICS: [Metric; 28] = [
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

/// A variant's outcomes, one a round.
pub struct Variant {
    /// `hub`, `hub+stalled` or `floor`.
    pub name: &'static str,
    /// In the order of the rounds.
    pub outcomes: Vec<Outcome>,
}

impl Variant {
    /// Whether the load was done and every update reached every subscriber that was due it, once
    /// and in order.
    pub fn is_flawless(&self) -> bool {
        self.outcomes.iter().all(|outcome| {
            let defects = outcome.lost + outcome.duplicates + outcome.late + outcome.disconnected;
            defects == 0 && outcome.updates > 0 && !outcome.cut_short
        })
    }

    fn figure(&self, metric: &Metric) -> Option<f64> {
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

/// The quotients that are shown: each variant to the one that it is compared with.
fn ratios(variants: &[Variant]) -> Vec<(&Variant, &Variant)> {
    let named = |name| variants.iter().find(|variant| variant.name == name);
    [
        ("hub", "floor"),
        ("hub+stalled", "hub"),
        ("hub+stalled", "floor"),
    ]
    .into_iter()
    .filter_map(|(of, to)| Some((named(of)?, named(to)?)))
    .collect()
}

/// The table, and the command that repeats it.
pub fn table(variants: &[Variant], command: &str) -> String {
    let ratios = ratios(variants);
    let mut text = format!("{:<26}", "");
    // Writing into a string cannot fail.
    for variant in variants {
        _ = write!(text, "{:>16}", variant.name);
    }
    for (of, to) in &ratios {
        _ = write!(text, "{:>20}", format!("{}/{}", of.name, to.name));
    }
    text.push('\n');
    for metric in &METRICS {
        let figures: Vec<_> = variants.iter().map(|each| each.figure(metric)).collect();
        if figures.iter().all(Option::is_none) {
            continue;
        }
        _ = write!(text, "{:<26}", metric.title);
        for figure in figures {
            _ = write!(text, "{:>16}", shown(figure));
        }
        for (of, to) in &ratios {
            let ratio = ratio(metric, of, to);
            _ = write!(text, "{:>20}", shown(ratio));
        }
        text.push('\n');
    }
    for variant in variants {
        for problem in variant.outcomes.iter().filter_map(|o| o.first_end.as_ref()) {
            _ = writeln!(
                text,
                "{}: a subscription ended early: {problem}",
                variant.name
            );
        }
    }
    for variant in variants {
        if variant.outcomes.iter().any(|outcome| outcome.cut_short) {
            _ = writeln!(
                text,
                "{}: --timeout ended the load before it was done; give more time or less load",
                variant.name
            );
        }
    }
    let rounds = variants.iter().map(|each| each.outcomes.len()).max();
    if let Some(rounds @ 2..) = rounds {
        _ = writeln!(
            text,
            "{rounds} rounds: medians; counts are sums, memory is the first round's"
        );
    }
    _ = writeln!(text, "repeat: {command}");
    text
}

/// The same figures for programs, those of each round too.
pub fn json(variants: &[Variant], command: &str) -> Value {
    let figures = |figure: &dyn Fn(&Metric) -> Option<f64>| -> Value {
        METRICS
            .iter()
            .map(|metric| (metric.name.to_owned(), json!(figure(metric))))
            .collect::<Map<_, _>>()
            .into()
    };
    let mut object = Map::new();
    for variant in variants {
        let rounds: Vec<_> = variant
            .outcomes
            .iter()
            .map(|outcome| figures(&|metric| (metric.of)(outcome)))
            .collect();
        let mut value = figures(&|metric| variant.figure(metric));
        if let Some(value) = value.as_object_mut() {
            value.insert("rounds".to_owned(), rounds.into());
        }
        object.insert(variant.name.to_owned(), value);
    }
    for (of, to) in ratios(variants) {
        let name = format!("{}/{}", of.name, to.name);
        object.insert(name, figures(&|metric| ratio(metric, of, to)));
    }
    object.insert("repeat".to_owned(), command.into());
    object.into()
}

fn ratio(metric: &Metric, of: &Variant, to: &Variant) -> Option<f64> {
    let (of, to) = (of.figure(metric)?, to.figure(metric)?);
    (metric.ratio && to > 0.0).then(|| of / to)
}

fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure.fract() == 0.0 || figure.abs() >= 1000.0 => format!("{figure:.0}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

/// A command line without its secrets.
pub fn without_secrets(arguments: impl Iterator<Item = String>) -> String {
    let mut words = Vec::new();
    let mut secret = false;
    for argument in arguments {
        let option = argument
            .split_once('=')
            .map_or(&*argument, |(name, _)| name);
        let is_key = matches!(option, "--key" | "--subscriber-key");
        words.push(match argument.len() > option.len() {
            _ if std::mem::take(&mut secret) => "'…'".to_owned(),
            true if is_key => format!("{option}='…'"),
            _ => quoted(&argument),
        });
        secret = is_key && argument == option;
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command to repeat can be shown to anybody.
    #[test]
    fn secrets_are_left_out() {
        let line =
            "talaria bench --key s3cret --url=http://a/?b --subscriber-key=s3cret --stalled 5";
        let shown = without_secrets(line.split(' ').map(str::to_owned));
        assert_eq!(
            shown,
            "talaria bench --key '…' '--url=http://a/?b' --subscriber-key='…' --stalled 5"
        );
    }

    /// Rounds become medians, defects add up, and ratios compare like with like.
    #[test]
    fn rounds_become_one_figure() {
        let outcome = |cpu_us, lost| Outcome {
            deliveries: 10,
            updates: 10,
            lost,
            process: Some(ProcessCost {
                cpu_us,
                ..ProcessCost::default()
            }),
            ..Outcome::default()
        };
        let variants = [
            Variant {
                name: "hub",
                outcomes: vec![outcome(300, 1), outcome(100, 0), outcome(200, 1)],
            },
            Variant {
                name: "floor",
                outcomes: vec![outcome(50, 0), outcome(100, 0), outcome(400, 0)],
            },
        ];
        assert!(!variants[0].is_flawless() && variants[1].is_flawless());
        let json = json(&variants, "talaria bench");
        assert_eq!(json["hub"]["cpu_us_per_delivery"], 20.0);
        assert_eq!(json["hub"]["lost"], 2.0);
        assert_eq!(json["hub"]["rounds"][1]["cpu_us_per_delivery"], 10.0);
        assert_eq!(json["hub/floor"]["cpu_us_per_delivery"], 2.0);
        assert_eq!(json["hub/floor"]["lost"], Value::Null);
        let table = table(&variants, "talaria bench");
        assert!(table.contains("hub/floor") && table.contains("repeat: talaria bench"));
    }
}
