//! Several sites, and several hubs in one program (B-254, B-282, B-1021).

use super::{texts, try_load};
use crate::settings::{Loaded, Settings};

const MODERN: &str = "issuer https://a {\n publisher {\n jwt a-secret-of-more-than-thirty-two-bytes\n }\n }\n anonymous";
const OLDER: &str = "publisher_jwt a-secret-of-more-than-thirty-two-bytes\n anonymous";

fn load(blocks: &[&str]) -> Result<Loaded, String> {
    let site = |(index, block): (usize, &&str)| {
        format!("http://s{index}.example {{\n mercure {{\n{block}\n}}\n}}\n")
    };
    let file: String = blocks.iter().enumerate().map(site).collect();
    try_load(Some(&file), &[])
}

fn stores(settings: &Settings) -> Vec<usize> {
    settings.hubs.iter().map(|hub| hub.store).collect()
}

/// Each hub has its options, and each site asks its own.
#[test]
fn each_site_has_its_hub() {
    let one = format!("{MODERN}\n name one\n heartbeat 5s");
    let other = format!("{MODERN}\n name other\n transport local");
    let loaded = load(&[&one, &other]).unwrap();
    let settings = &loaded.settings;
    assert_eq!(stores(settings), [0, 1]);
    assert_eq!(settings.stores.len(), 2);
    let hubs: Vec<Vec<usize>> = settings
        .sites
        .iter()
        .map(|site| site.routes.hubs())
        .collect();
    assert_eq!(hubs, [[0], [1]]);
    assert_eq!(settings.hubs[0].name.as_deref(), Some("one"));
    assert_ne!(
        settings.hubs[0].options.heartbeat,
        settings.hubs[1].options.heartbeat
    );
    // Each accepts tokens for its own address.
    for (index, hub) in settings.hubs.iter().enumerate() {
        let own = format!("http://s{index}.example/.well-known/mercure");
        assert_eq!(hub.options.accepted_audiences, [own]);
    }
    assert!(texts(&loaded).is_empty(), "{:?}", texts(&loaded));
}

/// Hubs of one name share a store, and so do those of 0.x whose transports are the same; others must be told
/// apart.
#[test]
fn hubs_share_a_store_or_have_their_own() {
    let shared = load(&[OLDER, OLDER]).unwrap();
    assert_eq!(stores(&shared.settings), [0, 0]);
    assert_eq!(shared.settings.stores.len(), 1);
    let named = format!("{MODERN}\n name x");
    let shared = load(&[&named, &named]).unwrap();
    assert_eq!(stores(&shared.settings), [0, 0]);
    let local = format!("{OLDER}\n transport local");
    let own = load(&[OLDER, &local]).unwrap();
    assert_eq!(stores(&own.settings), [0, 1]);

    let other_transport = format!("{named}\n transport local");
    let other_name = format!("{MODERN}\n name y");
    let other_size = format!("{OLDER}\n transport bolt {{\n size 5\n}}");
    for (blocks, expected) in [
        ([MODERN, MODERN], "have no name"),
        ([MODERN, OLDER], "have no name"),
        ([&named, &other_transport], "their transports differ"),
        (
            [&named, &other_name],
            "keep their history in the same place",
        ),
        ([OLDER, &other_size], "keep their history in the same place"),
    ] {
        let error = load(&blocks).unwrap_err();
        assert!(error.starts_with("Caddyfile:"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

/// What is of the whole program has one value.
#[test]
fn the_program_has_one_value() {
    let named =
        |name: &str, line: &str| format!("{OLDER}\n name {name}\n transport local\n {line}");
    let error = load(&[
        &named("a", "drain_timeout 1s"),
        &named("b", "drain_timeout 2s"),
    ]);
    let error = error.unwrap_err();
    assert!(
        error.contains("`drain_timeout` is for the whole program"),
        "{error}"
    );
    let loaded = load(&[
        &named("a", "drain_timeout 1s"),
        &named("b", "drain_timeout 1s\n max_connections 20"),
    ]);
    let program = loaded.unwrap().settings.program;
    assert_eq!(
        (program.drain_timeout.as_secs(), program.connections.most),
        (1, Some(20))
    );
}

/// Two sites must not have one address, and one of several needs a hub.
#[test]
fn sites_are_told_apart() {
    let hub = format!("mercure {{\n{OLDER}\n}}");
    let twice = format!(":80 {{\n{hub}\n}}\n:80 {{\n respond 200\n}}");
    let error = try_load(Some(&twice), &[]).unwrap_err();
    assert!(error.contains("two sites have the address"), "{error}");
    for (binds, is_shared) in [
        (["127.0.0.1", "127.0.0.2"], false),
        (["127.0.0.1", "::1 127.0.0.1"], true),
        (["127.0.0.1", "0.0.0.0"], true),
    ] {
        let [one, other] = binds;
        let apart =
            format!(":80 {{\n bind {one}\n{hub}\n}}\n:80 {{\n bind {other}\n respond 200\n}}");
        let loaded = try_load(Some(&apart), &[]);
        assert_eq!(loaded.is_err(), is_shared, "{binds:?}");
    }
    let beside = format!(":81 {{\n respond 200\n}}\n:80 {{\n{hub}\n}}");
    let settings = try_load(Some(&beside), &[]).unwrap().settings;
    assert_eq!((settings.sites.len(), settings.hubs.len()), (2, 1));
    let none = ":81 {\n respond 200\n}\n:80 {\n respond 201\n}";
    let error = try_load(Some(none), &[]).unwrap_err();
    assert!(error.contains("no `mercure` block"), "{error}");
}
