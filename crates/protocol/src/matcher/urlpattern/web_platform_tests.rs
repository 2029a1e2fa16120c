//! The URL Pattern standard's own cases (web-platform-tests, `urlpattern/resources`), run on our
//! matcher. This is a unit test because most cases are written as component objects, which the
//! hub's interface does not take.

use serde_json::Value;
use urlpattern::quirks;

use super::Components;

const CASES: &str = include_str!("../../../tests/data/urlpatterntestdata.json");

/// How one case went.
enum Outcome {
    Agrees,
    Skipped(&'static str),
    Differs(String),
}

fn input(value: &Value) -> quirks::StringOrInit<'static> {
    serde_json::from_value(value.clone()).expect("a string or an object of components")
}

fn run(case: &Value) -> Outcome {
    let arguments = case["pattern"].as_array().expect("arguments");
    if arguments
        .iter()
        .any(|argument| argument.get("ignoreCase").is_some())
    {
        return Outcome::Skipped("`ignoreCase` is forbidden (specification, \"URL Pattern\")");
    }
    if case.get("skip").is_some() {
        return Outcome::Skipped("needs an ECMAScript-only expression");
    }
    if case["expected_match"] == "error" || arguments.len() > 2 {
        return Outcome::Skipped("the mistake lies in the JavaScript call");
    }
    let pattern = arguments.first().map_or_else(
        || quirks::StringOrInit::Init(quirks::UrlPatternInit::default()),
        input,
    );
    let base = arguments.get(1).and_then(Value::as_str);
    let compiled = quirks::process_construct_pattern_input(pattern, base)
        .map_err(|error| error.to_string())
        .and_then(|init| Components::compile(init).map_err(|error| error.to_string()));
    let components = match (compiled, case["expected_obj"] == "error") {
        (Err(_), true) => return Outcome::Agrees,
        (Ok(_), true) => return Outcome::Differs("accepted".to_owned()),
        (Err(error), false) => return Outcome::Differs(error),
        (Ok(components), false) => components,
    };
    let Some(inputs) = case["inputs"].as_array() else {
        return Outcome::Agrees;
    };
    let against = inputs.first().map_or_else(
        || quirks::StringOrInit::Init(quirks::UrlPatternInit::default()),
        input,
    );
    let matched = quirks::process_match_input(against, inputs.get(1).and_then(Value::as_str))
        .expect("a well-formed call")
        .and_then(|(input, _)| quirks::parse_match_input(input))
        .is_some_and(|input| components.match_input(&input));
    if matched == case["expected_match"].is_object() {
        Outcome::Agrees
    } else {
        Outcome::Differs(format!("matches: {matched}"))
    }
}

/// Evaluation follows the URL Pattern standard (specification, "URL Pattern").
#[test]
fn agrees_with_the_standards_own_cases() {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("JSON");
    let (mut agreed, mut skipped, mut differing) = (0, Vec::new(), Vec::new());
    for case in &cases {
        match run(case) {
            Outcome::Agrees => agreed += 1,
            Outcome::Skipped(reason) => skipped.push(format!("{reason}: {}", case["pattern"])),
            Outcome::Differs(how) => differing.push(format!("{how}: {case}")),
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(agreed >= 345, "only {agreed} of {} ran", cases.len());
    assert!(skipped.len() <= 7, "{}", skipped.join("\n"));
}
