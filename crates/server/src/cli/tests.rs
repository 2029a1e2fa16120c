//! What the command line understands.

use std::ffi::OsString;

use clap::CommandFactory as _;

use super::Cli;
use super::arguments::with_two_dashes;

fn understood(line: &str) -> String {
    let arguments = line.split(' ').map(OsString::from).collect();
    let understood = with_two_dashes(Cli::command(), arguments);
    let texts: Vec<_> = understood
        .iter()
        .map(|text| text.to_string_lossy())
        .collect();
    texts.join(" ")
}

#[test]
fn one_dash_before_a_long_option_is_understood() {
    for (written, meant) in [
        ("talaria -config x", "talaria --config x"),
        ("talaria run -config x", "talaria run --config x"),
        ("talaria run -config=x", "talaria run --config=x"),
        (
            "talaria validate -envfile x",
            "talaria validate --envfile x",
        ),
        ("talaria dev -port 1", "talaria dev --port 1"),
        ("talaria run -confg x", "talaria run --confg x"),
        ("talaria run -envfle=x", "talaria run --envfle=x"),
        (
            "talaria token check - -url u",
            "talaria token check - --url u",
        ),
        ("talaria bench run -url u", "talaria bench run --url u"),
    ] {
        assert_eq!(understood(written), meant);
    }
    for fine in [
        "talaria run -c config",
        "talaria run --config x",
        "talaria run --config -",
        "talaria publish u --topic t --data -topic",
        "talaria dev -p 1",
        "talaria run -c/etc/caddy/Caddyfile",
        "talaria run -cCaddyfile",
        "talaria run -c=x",
    ] {
        assert_eq!(understood(fine), fine);
    }
}
