//! Each row of the table is sound: its value reaches its place, and its default is that of the settings.

use super::form::Form;
use super::row::{Effect, Preset, Row, Setter};
use super::slot::Value;
use super::table::all;
use crate::draft::Draft;
use crate::issuer::IssuerDraft;
use crate::lexer::tests::text;
use crate::storage::Storage;
use crate::tree::{Line, parse};

fn line(row: &Row, value: &str) -> Line {
    let document = parse(&text(&format!("{} {value}", row.name))).unwrap();
    document.lines.into_iter().next().unwrap()
}

/// A value that no default is, as it is written and as it is stored.
fn another(form: Form) -> (String, Value) {
    use std::time::Duration;

    use talaria_hub::limits::Rate;
    match form {
        Form::Switch => (String::new(), Value::Switch(true)),
        Form::Duration { range } => {
            let least = range.map_or(Duration::ZERO, |(least, _)| least);
            let duration = least + Duration::from_millis(1234);
            (
                format!("{}ms", duration.as_millis()),
                Value::Duration(duration),
            )
        }
        Form::Amount { least, most, .. } => {
            let amount = least.saturating_add(7).min(most);
            (amount.to_string(), Value::Amount(amount))
        }
        Form::Rate => {
            let rate = Rate::new(7, Duration::from_secs(60), 9);
            ("7/m 9".to_owned(), Value::Rate(rate))
        }
    }
}

fn check<T>(row: &Row, setter: &Setter<T>, fresh: impl Fn() -> T) {
    let Setter::Value(form, place) = setter else {
        return;
    };
    let default = place(&mut fresh()).get();
    let (written, expected) = another(*form);
    assert_ne!(default, expected, "{}", row.name);
    let mut target = fresh();
    let environment = &|_: &str| None;
    let line = line(row, &written);
    setter.apply(&mut target, &line, environment, "").unwrap();
    assert_eq!(place(&mut target).get(), expected, "{}", row.name);
    assert_eq!(row.arguments, form.arguments(), "{}", row.name);
}

#[test]
fn the_value_of_each_row_reaches_its_place() {
    for row in all() {
        match &row.effect {
            Effect::Process | Effect::Role(_) => {}
            Effect::Hub(setter) => check(row, setter, Draft::default),
            Effect::Issuer(setter) => check(row, setter, IssuerDraft::default),
            Effect::Transport(kinds, setter) => {
                for kind in *kinds {
                    check(row, setter, || Storage::new(*kind));
                }
            }
        }
    }
}

/// A default that the reference page shows may be written, and then sets what holds without it.
#[test]
fn the_default_of_each_row_is_that_of_the_settings() {
    let mut checked = 0;
    for row in all() {
        let Effect::Hub(setter @ Setter::Value(form, place)) = &row.effect else {
            continue;
        };
        let default = place(&mut Draft::default()).get();
        if matches!(form, Form::Switch) || default == Value::None {
            continue;
        }
        let shown = row.default();
        let shown = shown.split(',').next().unwrap();
        let mut draft = Draft::default();
        setter
            .apply(&mut draft, &line(row, shown), &|_: &str| None, "")
            .unwrap();
        assert_eq!(place(&mut draft).get(), default, "{}", row.name);
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn no_two_rows_of_a_section_have_one_name() {
    let rows: Vec<&Row> = all().collect();
    for (index, row) in rows.iter().enumerate() {
        let is_same = |other: &&&Row| other.section == row.section && other.name == row.name;
        let earlier = rows.iter().take(index).find(is_same);
        assert!(row.name.is_empty() || earlier.is_none(), "{}", row.name);
        assert!(row.doc.ends_with('.'), "{}", row.doc);
        let is_named = !row.name.is_empty() || !row.variables.is_empty();
        assert!(is_named, "{}", row.doc);
        if let Preset::Said(text) = row.preset {
            assert!(!text.is_empty());
        }
    }
}
