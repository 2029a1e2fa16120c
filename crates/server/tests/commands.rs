//! `docs/commands.md` is what the program says of its verbs.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::fmt::Write as _;
use std::process::Command;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");

const INTRODUCTION: &str = "\
# Commands

What `talaria help` and `talaria help <verb>` print. This page is made from that; to renew it:
`RENEW=1 cargo test -p talaria-server --test commands`
";

/// What the program prints for these arguments, without spaces at the ends of lines.
fn help(verbs: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_talaria"))
        .arg("help")
        .args(verbs)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{verbs:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The verbs below one, as its help lists them.
fn verbs(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let names = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn section(page: &mut String, path: &[String]) {
    let text = help(path);
    let heading = "#".repeat(path.len() + 1).replace("###", "##");
    let name = ["talaria"]
        .into_iter()
        .chain(path.iter().map(String::as_str))
        .collect::<Vec<_>>();
    if !path.is_empty() {
        write!(page, "\n{heading} {}\n", name.join(" ")).unwrap();
    }
    write!(page, "\n```text\n{text}\n```\n").unwrap();
    for verb in verbs(&text) {
        let below: Vec<String> = path.iter().cloned().chain([verb]).collect();
        section(page, &below);
    }
}

/// Every verb and option stands on the page as `--help` shows it.
#[test]
fn the_page_of_commands_is_up_to_date() {
    let mut page = INTRODUCTION.to_owned();
    section(&mut page, &[]);
    assert!(page.contains("\n## talaria history export\n"), "{page}");
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let stored = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page == stored,
        "docs/commands.md is out of date; run: RENEW=1 cargo test -p talaria-server --test commands"
    );
}
