//! The form of the program's log, and what says how much is in it.

use std::process::{Command, Output};

use serde_json::Value;
use talaria_conformance::HUB_PATH;
use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::token::exact;

use super::{BLOCK, JSON, parsed, record, started};

/// Where standard error is not a terminal, each line is a JSON object with these keys, from the first line to the last,
/// and events have names (B-701, B-702).
#[tokio::test]
async fn each_line_is_an_object() {
    let home = Home::new();
    let hub = started(&home, "", "");
    let refused = hub
        .client()
        .publish(&[("topic", "a\n{\"level\":\"x\"}")])
        .await;
    assert_eq!(refused.status, 401);
    hub.client().naming("elsewhere.example").get("/\"").await;
    drop(hub.client().subscribe(&[exact("a")]).await);
    let lines = hub.log_to_the_end().await;
    assert!(lines.len() > 5, "{lines:?}");
    for line in &lines {
        let record = parsed(line).unwrap_or_else(|| panic!("{line}"));
        let level = record["level"].as_str().expect("a level");
        assert!(["info", "warn", "error"].contains(&level), "{line}");
        assert!(record["ts"].as_f64().is_some_and(|ts| ts > 1.7e9), "{line}");
        for key in ["logger", "msg", "event"] {
            assert!(
                record[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key}: {line}"
            );
        }
    }
    let find = |event: &str| {
        let mut records = lines.iter().filter_map(|line| parsed(line));
        records
            .find(|record| record["event"] == event)
            .unwrap_or_else(|| panic!("no {event}: {lines:?}"))
    };
    assert_eq!(find("token_missing")["logger"], "http.handlers.mercure");
    assert_eq!(find("token_missing")["reason"], "no_token");
    assert_eq!(find("token_missing")["path"], HUB_PATH);
    assert_eq!(find("listening")["logger"], "talaria");
    assert_eq!(find("request_misdirected")["reason"], "misdirected");
    assert_eq!(find("stopped")["level"], "info");
}

/// The error that ends the program is such a line, too.
#[tokio::test]
async fn the_last_error_is_an_object() {
    let taken = Hub::ordinary();
    let output = run(&Home::new(), &format!("http://{}", taken.address), &[JSON]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    let last = parsed(said.lines().last().expect("a line")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        (&last["level"], &last["event"]),
        (&"error".into(), &"failed".into())
    );
    assert!(
        last["msg"]
            .as_str()
            .is_some_and(|text| text.contains("in use")),
        "{last}"
    );
}

/// Runs a hub that cannot start.
fn run(home: &Home, name: &str, variables: &[(&str, &str)]) -> Output {
    let mut program = home.program();
    program.arg("run");
    let program = prepared(&mut program, name, variables);
    program.output().expect("it runs")
}

fn prepared<'c>(
    command: &'c mut Command,
    name: &str,
    variables: &[(&str, &str)],
) -> &'c mut Command {
    command
        .env("SERVER_NAME", name)
        .env("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER_KEY)
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous\ntransport memory")
        .envs(variables.iter().copied())
}

/// Runs the program with a terminal as its standard streams.
fn terminal(home: &Home, arguments: &str) -> Command {
    let program = home.program();
    let line = format!("{} run {arguments}", program.get_program().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script
        .env_clear()
        .current_dir(home.path())
        .stdin(std::process::Stdio::null());
    let variables = program.get_envs();
    script.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    script
}

/// On a terminal lines are for people, in colours unless `NO_COLOR` is set; `--log-format` takes precedence.
#[tokio::test]
async fn a_terminal_shows_lines_for_people() {
    let taken = Hub::ordinary();
    let name = format!("http://{}", taken.address);
    let on_terminal = |arguments: &str, color: (&str, &str)| {
        let home = Home::new();
        let mut script = terminal(&home, arguments);
        let output = prepared(&mut script, &name, &[JSON, color, ("TERM", "xterm")]).output();
        String::from_utf8(output.expect("script runs").stdout).expect("text")
    };
    let colored = on_terminal("", ("NO_COLOR", ""));
    assert!(colored.contains("\u{1b}[32mINFO\u{1b}[0m"), "{colored}");
    assert!(!colored.contains("\"msg\""), "{colored}");
    let plain = on_terminal("", ("NO_COLOR", "1"));
    assert!(
        plain.contains("  INFO ") && !plain.contains('\u{1b}'),
        "{plain}"
    );
    assert!(plain.contains("error: "), "{plain}");
    let json = on_terminal("--log-format json", ("NO_COLOR", ""));
    assert!(
        json.contains("\"msg\":") && !json.contains('\u{1b}'),
        "{json}"
    );
}

/// What a log has: lines of the level debug, and of info.
fn levels(lines: &[String]) -> (bool, bool) {
    let has = |level: &str| {
        let mut records = lines.iter().filter_map(|line| parsed(line));
        records.any(|record| record["level"] == level)
    };
    (has("debug"), has("info"))
}

/// The flag takes precedence over the variables, these over `level`, and that over `debug`.
#[tokio::test]
async fn levels_have_an_order() {
    const ALL: (bool, bool) = (true, true);
    const USUAL: (bool, bool) = (false, true);
    const FEW: (bool, bool) = (false, false);
    let own = ("TALARIA_LOG_LEVEL", "error");
    for (global, variables, expected) in [
        ("", &[][..], USUAL),
        ("debug", &[], ALL),
        ("debug\nlog {\n level ERROR\n}", &[], FEW),
        ("log {\n level ERROR\n}", &[("RUST_LOG", "debug")], ALL),
        ("debug", &[("RUST_LOG", "debug"), own], FEW),
    ] {
        let home = Home::new();
        let path = home.path().join("log");
        let file = std::fs::File::create(&path).expect("a file");
        let global = format!("skip_install_trust\n{global}");
        let usual = [JSON, ("RUST_LOG", ""), ("GLOBAL_OPTIONS", global.as_str())];
        let variables = [&usual[..], variables].concat();
        let hub = home.start_unread("anonymous\ntransport memory", &variables, file.into());
        drop(hub.client().subscribe(&[exact("a")]).await);
        hub.stop().await;
        let text = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(levels(&lines), expected, "{global} {variables:?}\n{text}");
    }
    let home = Home::new();
    let arguments = ["--log-level", "debug", "--log-format=json"];
    let text = format!("http://127.0.0.1:0 {{\n {BLOCK}\n}}\n");
    home.configure(text);
    let hub = home.start_with(&arguments, "", &[own, ("RUST_LOG", "warn")]);
    let hub = hub.expect("it starts");
    drop(hub.client().subscribe(&[exact("a")]).await);
    assert_eq!(levels(&hub.log_to_the_end().await), ALL);
}

/// What cannot be read refuses the start, with code 1, the value and those that can, for each verb that logs.
#[test]
fn what_cannot_be_read_refuses_the_start() {
    let home = Home::new();
    for verb in ["run", "dev", "start", "validate"] {
        for (flag, value, known) in [
            (
                "--log-level",
                "debgu",
                "error, warn, info, debug, trace, off",
            ),
            ("--log-format", "xml", "auto, json, console"),
        ] {
            let output = home.run(&[verb, flag, value]);
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{verb} {flag}: {said}");
            assert!(
                said.contains(value) && said.contains(known),
                "{verb} {flag}: {said}"
            );
        }
    }
    for verb in ["run", "dev", "validate"] {
        for (variable, value, known) in [
            (
                "TALARIA_LOG_LEVEL",
                "debgu",
                "error, warn, info, debug, trace, off",
            ),
            ("TALARIA_LOG_FORMAT", "xml", "auto, json, console"),
        ] {
            let mut program = home.program();
            let program = prepared(
                program.arg(verb),
                "http://127.0.0.1:0",
                &[(variable, value)],
            );
            let output = program.output().expect("it runs");
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{verb} {variable}: {said}");
            for words in [variable, value, known] {
                assert!(said.contains(words), "{verb} {variable}: {said}");
            }
        }
    }
}

/// The default log looks as the file says.
#[tokio::test]
async fn the_default_log_is_configured() {
    let home = Home::new();
    let format = "log {\n format append {\n host {system.hostname}\n wrap json {\n time_format rfc3339_nano\n level_key severity\n level_format upper\n message_key message\n }\n }\n}";
    let hub = started(&home, format, "");
    let line = record(&hub, |record| record["event"] == "listening");
    assert_eq!(line["severity"], "INFO");
    assert_eq!(line["message"], "listening");
    assert!(
        line["ts"].as_str().is_some_and(|time| time.ends_with('Z')),
        "{line}"
    );
    assert!(
        line["host"].as_str().is_some_and(|host| !host.is_empty()),
        "{line}"
    );
    assert_eq!(line["msg"], Value::Null);
}
