//! What levels mean.

use super::*;

const HUB: &str = "talaria_hub::subscribe";

/// A value, a target, a level, and whether the value lets events of that level through.
const FORMS: &[(&str, &str, LevelFilter, bool)] = &[
    ("", HUB, LevelFilter::INFO, true),
    ("", HUB, LevelFilter::DEBUG, false),
    (" ", HUB, LevelFilter::INFO, true),
    ("debug", HUB, LevelFilter::DEBUG, true),
    ("DEBUG", "h2::codec", LevelFilter::DEBUG, true),
    ("Trace", HUB, LevelFilter::TRACE, true),
    ("off", HUB, LevelFilter::ERROR, false),
    ("0", HUB, LevelFilter::ERROR, false),
    ("4", HUB, LevelFilter::DEBUG, true),
    ("info,h2=off", "h2::codec", LevelFilter::ERROR, false),
    ("info, h2 = off", "h2::codec", LevelFilter::ERROR, false),
    ("h2=off,debug", HUB, LevelFilter::DEBUG, true),
    ("talaria=debug", HUB, LevelFilter::DEBUG, true),
    ("info,", HUB, LevelFilter::INFO, true),
    (",,debug, ", HUB, LevelFilter::DEBUG, true),
    (
        "info,talaria_hub::subscribe=debug",
        HUB,
        LevelFilter::DEBUG,
        true,
    ),
    ("talaria_hub::publish=debug", HUB, LevelFilter::DEBUG, false),
    (
        "talaria_server::run=debug",
        "talaria_server::run",
        LevelFilter::DEBUG,
        true,
    ),
    ("h2::codec=off", "h2::codec", LevelFilter::ERROR, false),
    (
        "hyper_util::client=debug",
        "hyper_util::client",
        LevelFilter::DEBUG,
        true,
    ),
    ("talaria_hub::subscribe", HUB, LevelFilter::TRACE, true),
    ("info,debug", HUB, LevelFilter::DEBUG, true),
    ("h2=off,h2=debug", "h2::codec", LevelFilter::DEBUG, true),
    ("talaria_hub=debug", HUB, LevelFilter::DEBUG, true),
    (
        "talaria_hub=debug",
        "talaria_server::run",
        LevelFilter::INFO,
        true,
    ),
    (
        "talaria_hub=debug",
        "talaria_server::run",
        LevelFilter::DEBUG,
        false,
    ),
    ("warn,talaria_hub", HUB, LevelFilter::TRACE, true),
    (
        "hyper=debug,error",
        "hyper_util::client",
        LevelFilter::DEBUG,
        true,
    ),
];

/// Each form enables what it says.
#[test]
fn levels_are_read() {
    for (value, target, level, enabled) in FORMS {
        let mut notices = Vec::new();
        let level = level.into_level().unwrap();
        let Levels(levels) = Levels::parse(value, &mut notices).unwrap();
        assert_eq!(notices, [], "{value}");
        assert_eq!(
            levels.would_enable(target, &level),
            *enabled,
            "{value:?} {target} {level}"
        );
    }
}

/// A malformed directive is refused, and the error shows the right form.
#[test]
fn what_is_malformed_is_refused() {
    for (value, named) in [
        ("debgu", "`debgu` is not a level"),
        ("warning", "`warning` is not a level"),
        ("information", "`information` is not a level"),
        ("rustls", "`rustls` is not a level"),
        ("6", "`6` is not a level"),
        ("-1", "`-1` is not a level"),
        ("true", "`true` is not a level"),
        ("\"debug\"", "`\"debug\"` is not a level"),
        ("info;h2=off", "`info;h2` is not a target"),
        ("info h2=off", "`info h2` is not a target"),
        ("info debug", "`info debug` is not a level"),
        ("info,h2=", "`` is not a level"),
        ("info,=debug", "`` is not a target"),
        ("info,h2=on", "`on` is not a level"),
        ("info,h2=debug=trace", "`h2=debug` is not a target"),
        ("info,h2:debug", "`h2:debug` is not a level"),
        ("h2::=debug", "`h2::` is not a target"),
        ("h2[a=debug", "`h2[a` is not a target"),
        ("my_app=debgu", "`debgu` is not a level"),
        ("::", "`::` is not a level"),
    ] {
        let mut notices = Vec::new();
        let error = Levels::parse(value, &mut notices).unwrap_err().to_string();
        assert!(
            error.starts_with("RUST_LOG: ") && error.contains(named),
            "{value:?}: {error}"
        );
        assert!(error.contains("info,h2=off"), "{value:?}: {error}");
        assert_eq!(notices, []);
    }
    for value in [
        "redis://u:PW@h",
        "redis://PW=x@h",
        "redis://u:PW,PW@h",
        "u:PW@h",
    ] {
        let error = Levels::parse(value, &mut Vec::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("@h") && !error.contains("PW"), "{error}");
    }
}

/// Directives for other programs are named once, and do not stop the hub.
#[test]
fn foreign_targets_are_named() {
    for (value, named) in [
        ("info,rustls=warn", "`rustls=warn` has no effect here"),
        ("tower=off", "`tower=off` has"),
        (
            "my_app=debug,reqwest=off,tokio=off,h2=off",
            "`my_app=debug`, `reqwest=off`, `tokio=off` has",
        ),
        ("my_app::module", "`my_app::module` has"),
        ("talaria-hub=debug", "`talaria-hub=debug` has"),
        ("talaria_hubb=debug", "`talaria_hubb=debug` has"),
        ("talaria::hub=debug", "`talaria::hub=debug` has"),
        ("Talaria=debug", "`Talaria=debug` has"),
        ("h2[Connection]=debug", "`h2[Connection]=debug` has"),
    ] {
        let mut notices = Vec::new();
        assert!(Levels::parse(value, &mut notices).is_ok(), "{value}");
        assert_eq!(notices.len(), 1, "{value}");
        let text = &notices[0].text;
        assert!(
            text.starts_with("RUST_LOG: ") && text.contains(named),
            "{text}"
        );
    }
}

/// The targets are the crates that can log: the packages of the lock file that need `tracing`.
#[test]
fn every_crate_that_logs_is_a_target() {
    // Not in the program: QUIC and fetching over it, models of threads, and the subscriber itself.
    let elsewhere = [
        "quinn",
        "quinn-proto",
        "quinn-udp",
        "loom",
        "tracing-subscriber",
    ];
    let lock = include_str!("../../../../Cargo.lock");
    for package in lock.split("[[package]]") {
        let name = package.split('"').nth(1).unwrap_or_default();
        if package.contains("\n \"tracing\",") && !elsewhere.contains(&name) {
            let target = name.replace('-', "_");
            assert!(logs(&target), "{target} logs");
        }
    }
}
