//! What `talaria bench attack` prints.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use serde_json::{Map, Value, json};

use super::findings::{Findings, Phase};
use super::honest::Done;
use crate::histogram::Histogram;

/// The verdict needs this part of each rate, and allows this multiple of each p99.
const LEAST_RATE: f64 = 0.75;
const MOST_P99: f64 = 5.0;
const MIB: f64 = 1024.0 * 1024.0;

/// The figures that the verdict compares, and whether each is a rate.
const COMPARED: [(&str, bool); 5] = [
    ("publish_rate", true),
    ("publish_p99_ms", false),
    ("delivery_p99_ms", false),
    ("resume_rate", true),
    ("resume_p99_ms", false),
];

/// The report for programs: the figures of `alone`, `harmless` and `attack`, the ratios of the attack's figures to the
/// other two, the hub's memory, and the verdict.
pub(crate) fn json(report: &Findings) -> Value {
    let figures: Vec<_> = report.phases.iter().map(figures).collect();
    let mut object = Map::new();
    for (phase, figures) in report.phases.iter().zip(&figures) {
        object.insert(phase.name.to_owned(), figures.clone());
    }
    let [alone, harmless, attack] = &figures[..] else {
        return Value::Null;
    };
    let to_alone = ratios(attack, alone);
    let to_harmless = ratios(attack, harmless);
    let verdict = match (holds(&to_alone), holds(&to_harmless)) {
        (true, _) => "holds",
        (false, true) => "holds*",
        (false, false) => "does not hold",
    };
    let name = report.attack.to_possible_value();
    let memory = |bytes: u64| bytes as f64 / MIB;
    let more = json!({
        "name": name.as_ref().map(|name| name.get_name()),
        "addresses": report.addresses,
        "attack/alone": to_alone,
        "attack/harmless": to_harmless,
        "memory_mib": {
            "before": memory(report.memory.before),
            "most": memory(report.memory.most),
            "after": memory(report.memory.after),
        },
        "lost": report.lost,
        "doubled": report.doubled,
        "streams_ended": report.ended,
        "first_end": report.first_end,
        "attackers": report.attackers,
        "verdict": verdict,
    });
    if let Value::Object(more) = more {
        object.extend(more);
    }
    object.into()
}

fn figures(phase: &Phase) -> Value {
    let mut publish = Done::default();
    for published in &phase.published {
        publish.add(&published.done);
    }
    let rate = |done: &Done| done.in_time as f64 / phase.seconds as f64;
    let p99 = |latency: &Histogram| latency.quantile_ms(0.99);
    let failures = [&publish, &phase.resumed.done, &phase.health];
    json!({
        "seconds": phase.seconds,
        "publish_rate": rate(&publish),
        "publish_p99_ms": p99(&publish.latency),
        "publish_failed": publish.failed,
        "delivery_p99_ms": p99(&phase.delivery),
        "resume_rate": rate(&phase.resumed.done),
        "resume_p99_ms": p99(&phase.resumed.done.latency),
        "resume_failed": phase.resumed.done.failed,
        "healthz_worst_ms": phase.health.latency.quantile_ms(1.0),
        "healthz_failed": phase.health.failed,
        "first_failure": failures.iter().find_map(|done| done.first_failure.as_ref()),
    })
}

fn ratios(of: &Value, to: &Value) -> Value {
    let ratio = |name: &str| {
        let (of, to) = (of[name].as_f64()?, to[name].as_f64()?);
        (to > 0.0).then(|| of / to)
    };
    COMPARED
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!(ratio(name))))
        .collect::<Map<_, _>>()
        .into()
}

/// Without a ratio, because nothing succeeded, the verdict does not hold.
fn holds(ratios: &Value) -> bool {
    COMPARED.iter().all(|(name, is_rate)| {
        ratios[*name].as_f64().is_some_and(|ratio| match is_rate {
            true => ratio >= LEAST_RATE,
            false => ratio <= MOST_P99,
        })
    })
}

/// The report for people.
pub(crate) fn table(report: &Findings) -> String {
    let json = json(report);
    let columns = [
        "alone",
        "harmless",
        "attack",
        "attack/alone",
        "attack/harmless",
    ];
    let mut text = format!("{:<20}", "");
    // Writing into a string cannot fail.
    for column in columns {
        _ = write!(text, "{column:>18}");
    }
    text.push('\n');
    let names = json["alone"].as_object().into_iter().flatten();
    let names = names.map(|(name, _)| name.as_str());
    for name in names.filter(|name| *name != "first_failure") {
        _ = write!(text, "{name:<20}");
        for column in columns {
            let shown = match json[column][name].as_f64() {
                Some(figure) => format!("{figure:.2}"),
                None => "-".to_owned(),
            };
            _ = write!(text, "{shown:>18}");
        }
        text.push('\n');
    }
    let memory = |name: &str| json["memory_mib"][name].as_f64().unwrap_or_default();
    _ = writeln!(
        text,
        "the hub's memory, MiB: {:.1} before, {:.1} most, {:.1} after",
        memory("before"),
        memory("most"),
        memory("after"),
    );
    _ = writeln!(
        text,
        "honest updates: {} lost, {} doubled; subscribers' streams ended: {}",
        report.lost, report.doubled, report.ended
    );
    _ = writeln!(text, "attackers: {}", report.attackers);
    for why in [&json["first_end"], &json["attack"]["first_failure"]] {
        if let Some(why) = why.as_str() {
            _ = writeln!(text, "first failure: {why}");
        }
    }
    _ = writeln!(
        text,
        "verdict: {}",
        json["verdict"].as_str().unwrap_or_default()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rate and each p99 counts in the verdict, even if it is missing because nothing succeeded.
    #[test]
    fn each_figure_counts_in_the_verdict() {
        let good = json!({
            "publish_rate": 0.75, "publish_p99_ms": 5.0, "delivery_p99_ms": 0.1,
            "resume_rate": 1.0, "resume_p99_ms": 1.0,
        });
        assert!(holds(&good));
        for (name, is_rate) in COMPARED {
            for bad in [json!(if is_rate { 0.74 } else { 5.01 }), Value::Null] {
                let mut ratios = good.clone();
                ratios[name] = bad;
                assert!(!holds(&ratios), "{name}");
            }
        }
    }
}
