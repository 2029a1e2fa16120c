//! What a bench prints: medians over rounds, ratios, and the command that repeats it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::metrics::{METRICS, Metric, Variant};

/// The pairs whose ratio is shown: each variant, and the one that it is compared with.
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
pub(crate) fn table(variants: &[Variant], command: &str) -> String {
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

/// The same figures for programs, with those of each round.
pub(crate) fn json(variants: &[Variant], command: &str) -> Value {
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
    (metric.has_ratio && to > 0.0).then(|| of / to)
}

fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure.fract() == 0.0 || figure.abs() >= 1000.0 => format!("{figure:.0}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Outcome, ProcessCost};
    use super::*;

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
