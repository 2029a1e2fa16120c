//! Our hub answers recorded requests as the existing hub answered them: the status, the media type,
//! and the fields and bodies that clients use are equal, or `docs/differences.md` says why not.

mod page;
mod presence;
mod replay;

use std::collections::BTreeSet;

use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::token::ISSUER;

use self::page::Exchange;
use self::replay::{Replay, Speaks};

const DIRECTIVES: &str = "anonymous\nsubscriptions\ntransport bolt\n\
                          cors_origins https://app.example\npublish_origins https://app.example";
const DIFFERENCES: &str = include_str!("../../../../docs/differences.md");

async fn replay(hub: Hub, name: &'static str, speaks: Speaks, recorded: &str) {
    let mut replay = Replay {
        hub,
        name,
        speaks,
        markers: 0,
        differences: BTreeSet::new(),
    };
    let exchanges = page::parse(recorded);
    assert!(exchanges.len() > 50, "{}", exchanges.len());
    let is_presence = |exchange: &Exchange| {
        exchange.title.starts_with("Subscription API,")
            || exchange.title.starts_with("Subscription events")
    };
    let (presence, others): (Vec<_>, Vec<_>) = exchanges.iter().partition(|one| is_presence(one));
    for exchange in others {
        replay.replay(exchange).await;
    }
    // The streams from before are closed, and their ends are stored.
    replay.settle(0).await;
    let (events, api) = presence.split_last().expect("exchanges");
    replay.presence(api, events).await;
    assert_eq!(
        replay.differences,
        documented(name),
        "the document and what was found"
    );
}

/// The rows of the document: page, numbers, what.
fn documented(name: &str) -> BTreeSet<String> {
    let rows = DIFFERENCES
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    let mut found = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.split(" | ").collect();
        let [page, numbers, what, ..] = cells.as_slice() else {
            continue;
        };
        if *page != name {
            continue;
        }
        for numbers in numbers.split(", ") {
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let number = |text: &str| text.parse::<usize>().expect("a number");
            for number in number(first)..=number(last) {
                let what = what.split(", ");
                found.extend(what.map(|what| format!("{name} {number} {what}")));
            }
        }
    }
    found
}

fn start(directives: &str, variables: &[(&str, &str)]) -> Hub {
    let one_key = [("MERCURE_SUBSCRIBER_JWT_KEY", PUBLISHER_KEY)];
    let variables = [&one_key[..], variables].concat();
    let hub = Home::new().start("http://127.0.0.1:0", directives, &variables);
    hub.unwrap_or_else(|said| panic!("{said}"))
}

const NAMED: &[(&str, &str)] = &[("MERCURE_TRUSTED_ISSUERS", ISSUER)];

#[tokio::test]
async fn hub_0_24_2_under_the_classic_rule() {
    let page = include_str!("wire/hub-0.24.2.md");
    replay(start(DIRECTIVES, &[]), "0.24.2", Speaks::Older, page).await;
}

#[tokio::test]
async fn hub_1_0_in_compatibility_mode_under_the_compatible_rule() {
    let hub = start(
        &format!("{DIRECTIVES}\nprotocol_version_compatibility 8"),
        NAMED,
    );
    let page = include_str!("wire/hub-1.0.0-alpha.3-compat8.md");
    replay(hub, "compatibility 8", Speaks::Older, page).await;
}

#[tokio::test]
async fn hub_1_0_under_the_modern_rule() {
    let page = include_str!("wire/hub-1.0.0-alpha.3.md");
    replay(start(DIRECTIVES, NAMED), "1.0", Speaks::Modern, page).await;
}
