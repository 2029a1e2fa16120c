//! Where updates are kept: the directive and the variable.

use std::path::PathBuf;
use std::time::Duration;

use talaria_hub::UnknownCursor;
use talaria_transport::history::SyncMode;

use super::{KEYS, settings as settings_of, try_load, with};
use crate::Loaded;
use crate::settings::{HistorySettings, TransportSettings};

fn history(mut loaded: Loaded) -> (HistorySettings, Vec<String>) {
    let notices = loaded.notices.into_iter().map(|notice| notice.text);
    match loaded.settings.stores.remove(0) {
        TransportSettings::History(settings) => (settings, notices.collect()),
        other => panic!("{other:?} is not a history"),
    }
}

fn bolt(options: &str) -> (HistorySettings, Vec<String>) {
    history(with(&format!("transport bolt {{\n{options}\n}}")).unwrap())
}

fn url(url: &str) -> Result<Loaded, String> {
    try_load(None, &[KEYS, &[("MERCURE_TRANSPORT_URL", url)]].concat())
}

/// The options of the existing hub, and those that it does not have (B-250).
#[test]
fn every_option_takes_effect() {
    let (settings, notices) = bolt(
        "path /data/m.db\nbucket_name b\nsize 5\nmax_bytes 1GiB\nmax_age 7d\nsync interval 50ms\n\
         ring_bytes 1MiB\nunknown_cursor replay",
    );
    assert_eq!(settings.path, PathBuf::from("/data/m.db"));
    assert_eq!((&*settings.bucket_name, notices), ("b", vec![]));
    let options = &settings.options;
    assert_eq!((options.size, options.max_bytes), (Some(5), Some(1 << 30)));
    assert_eq!(options.max_age, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(options.sync, SyncMode::Interval(Duration::from_millis(50)));
    assert_eq!(options.ring_bytes, 1 << 20);
    let cursor = |directive| settings_of(directive).hubs[0].options.unknown_cursor;
    assert_eq!(
        cursor("transport bolt {\n unknown_cursor replay\n}"),
        UnknownCursor::Replay
    );
    assert_eq!(cursor("transport bolt"), UnknownCursor::Live);
    assert_eq!(cursor("transport memory"), UnknownCursor::Replay);
    assert_eq!(cursor("transport local"), UnknownCursor::Live);
    assert_eq!(bolt("sync never").0.options.sync, SyncMode::Never);
    let unbounded = bolt("size 0\nmax_bytes 0\nmax_age 0s").0;
    assert_eq!(
        (
            unbounded.options.size,
            unbounded.options.max_bytes,
            unbounded.options.max_age
        ),
        (None, None, None)
    );
    let memory = settings_of("transport memory").stores[0].clone();
    assert!(matches!(memory, TransportSettings::Memory(_)));
}

/// If nothing is written, the history is where the existing hub has its own (B-070).
#[test]
fn the_default_path_is_the_existing_hubs() {
    let path = |variables: &[(&str, &str)]| {
        let loaded = try_load(None, &[KEYS, variables].concat()).unwrap();
        history(loaded).0.path
    };
    let home = ("HOME", "/home/x");
    assert_eq!(
        path(&[home]),
        PathBuf::from("/home/x/.local/share/caddy/mercure.db")
    );
    assert_eq!(
        path(&[home, ("XDG_DATA_HOME", "/data")]),
        PathBuf::from("/data/caddy/mercure.db")
    );
    assert_eq!(path(&[]), PathBuf::from("./caddy/mercure.db"));
}

/// Trimming is exact whatever the frequency, but 0 keeps everything (B-251, B-255).
#[test]
fn a_frequency_of_nothing_turns_size_off() {
    let (settings, notices) = bolt("size 5\ncleanup_frequency 0");
    assert_eq!(settings.options.size, None);
    assert!(notices[0].contains("turns `size` off"), "{notices:?}");
    let (settings, notices) = bolt("size 5\ncleanup_frequency 0.3");
    assert_eq!(settings.options.size, Some(5));
    assert!(notices[0].contains("no effect"), "{notices:?}");
    assert_eq!(bolt("size 5").0.options.size, Some(5));
}

/// The variable is a URL, and counts only if no transport is configured (B-125, B-253).
#[test]
fn the_variable_takes_a_url() {
    let (settings, notices) =
        history(url("bolt:///data/my%20m.db?size=5&bucket_name=b&cleanup_frequency=0.3").unwrap());
    assert_eq!(settings.path, PathBuf::from("/data/my m.db"));
    assert_eq!(
        (settings.options.size, &*settings.bucket_name),
        (Some(5), "b")
    );
    assert!(notices[0].contains("MERCURE_TRANSPORT_URL is deprecated"));
    let (settings, _) = history(url("bolt://relative.db?sync=interval+1s&max_age=1h").unwrap());
    assert_eq!(settings.path, PathBuf::from("relative.db"));
    assert_eq!(
        settings.options.sync,
        SyncMode::Interval(Duration::from_secs(1))
    );
    let (settings, _) = history(url("bolt://m.db?size=5&cleanup_frequency=0").unwrap());
    assert_eq!(settings.options.size, None);
    let local = url("local://local").unwrap().settings.stores[0].clone();
    assert!(matches!(local, TransportSettings::Local { .. }));
    let (settings, _) = history(url("").unwrap());
    assert!(settings.path.ends_with("caddy/mercure.db"));
    let both = [
        KEYS,
        &[
            ("MERCURE_TRANSPORT_URL", "nonsense"),
            ("MERCURE_EXTRA_DIRECTIVES", "transport memory"),
        ],
    ];
    assert!(try_load(None, &both.concat()).is_ok());
}

/// Each wrong URL is refused with its name, never with a password (B-253).
#[test]
fn a_wrong_url_is_refused() {
    for (wrong, expected) in [
        (
            "pulsar://:pass@host",
            "the transport `pulsar` is not supported yet",
        ),
        ("nonsense://:pass@host", "unknown transport `nonsense`"),
        ("pass", "MERCURE_TRANSPORT_URL is not a URL"),
        ("bolt://", "no path"),
        ("bolt://u:pass@host/m.db", "a path with a host before it"),
        ("bolt:///m.db?size=x", "`x` is not a whole number"),
        ("bolt:///m.db?cleanup_frequency=x", "`x` is not a number"),
        ("bolt:///m.db?sync=x", "`x` is not a way to sync"),
        ("bolt:///m.db?siez=1", "unknown transport option `siez`"),
        ("bolt:///m.db?size=", "`size` has no value"),
    ] {
        let error = url(wrong).unwrap_err();
        assert!(error.contains(expected), "{wrong}: {error}");
        assert!(!error.contains("pass"), "{error}");
    }
}

/// What is wrong is refused at its place.
#[test]
fn a_wrong_option_is_refused_at_its_place() {
    for (wrong, expected) in [
        ("size", "`size` needs a number"),
        ("size -1", "line 2, column 6"),
        ("size 1 2", "a number and nothing more"),
        ("path \"\"", "the path is empty"),
        ("sync interval", "`interval` is not a way to sync"),
        ("sync interval 0s", "the interval is zero"),
        ("max_age 5", "a number has no unit"),
        ("ring_bytes 1", "`1` is too small for `ring_bytes`"),
        ("unknown_cursor x", "`x` is neither replay nor live"),
        ("bucket b", "unknown transport option"),
    ] {
        let error = with(&format!("transport bolt {{\n{wrong}\n}}")).unwrap_err();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
    let error = with("transport memory {\nsync never\n}").unwrap_err();
    assert!(error.contains("unknown transport option `sync`"), "{error}");
}
