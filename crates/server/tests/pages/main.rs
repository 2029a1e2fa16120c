//! The pages as a new user reads them: every command is run, and every file is what it should be (`docs/style.md`).

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot read the pages or run the program fails"
)]

mod blocks;
mod commands;
mod expected;
mod languages;
mod links;
mod page;
mod ports;
mod shell;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use page::Report;

/// How many pages are run at a time.
const AT_A_TIME: usize = 4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each page and its text: `README.md` and all of `docs/`, but for the decisions. `PAGE` names one.
fn pages() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    let only = std::env::var("PAGE").ok();
    names.retain(|name| only.as_ref().is_none_or(|only| name == only));
    let read = |name: &String| std::fs::read_to_string(root().join(name)).unwrap();
    names
        .into_iter()
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

/// Every command of every page does what the page shows; what cannot run here says why, and is counted.
#[test]
fn every_command_works_as_shown() {
    let pages = Mutex::new(pages());
    let total = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = pages.lock().unwrap().pop();
                    let Some((name, text)) = next else { return };
                    let report = page::run(&name, &text);
                    let mut total = total.lock().unwrap();
                    total.commands += report.commands;
                    total.faults.extend(report.faults);
                    for (reason, count) in report.not_run {
                        *total.not_run.entry(reason).or_default() += count;
                    }
                }
            });
        }
    });
    let report = total.into_inner().unwrap();
    tell(&report);
    let is_whole = std::env::var_os("PAGE").is_none();
    assert!(
        !is_whole || report.commands >= 100,
        "there are too few commands: the pages are not read"
    );
    let faults = report.faults.join("\n\n");
    assert!(report.faults.is_empty(), "{faults}");
}

/// Says how much was run, also where the test harness keeps what passing tests print.
fn tell(report: &Report) {
    let sum: usize = report.not_run.values().sum();
    let reasons: Vec<String> = report
        .not_run
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    let line = format!(
        "pages: {} commands run, {sum} blocks not run ({})\n",
        report.commands,
        reasons.join(", ")
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// JSON, YAML and programs have no fault of syntax, and excerpts are what their files hold.
#[test]
fn blocks_of_other_languages_are_valid() {
    let faults: Vec<String> = pages()
        .iter()
        .flat_map(|(name, text)| languages::faults(&root(), name, text))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A link to a heading of a page leads to one that is there.
#[test]
fn links_lead_to_headings() {
    let pages = pages();
    let faults: Vec<String> = pages
        .iter()
        .flat_map(|(name, text)| links::faults(&pages, name, text))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The page of style has the reasons that the test accepts, and no other.
#[test]
fn reasons_are_those_of_the_page_of_style() {
    let page = std::fs::read_to_string(root().join("docs/style.md")).unwrap();
    let (_, table) = page.split_once("| Reason |").unwrap();
    let documented: Vec<&str> = table
        .lines()
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(documented, blocks::REASONS);
}

/// A page whose command fails, prints something else or ends without its server is found out.
#[test]
fn wrong_pages_are_found_out() {
    for wrong in [
        "```console\n$ false\n```\n",
        "```console\n$ echo a\nb\n```\n",
        "```console\n$ echo a\nerror: a\n```\n",
        "<!-- fails -->\n```console\n$ true\n```\n",
        "```console\n$ talaria no-such-verb\n```\n",
        "```console\n$ exit 0\n$ true\n```\n",
        "```console\n^C\n```\n",
        "```sh\nfalse\n```\n",
        "```sh\nif\n```\n",
        "<!-- not run: root -->\n```sh\nif\n```\n",
    ] {
        let report = page::run("page", wrong);
        assert!(!report.faults.is_empty(), "{wrong}");
    }
    let right = "<!-- file: a -->\n```text\n:3000\n```\n```console\n$ A=1\n$ cat a\n:3000\n$ echo $A…\n1…\n```\n\
                 <!-- not run: docker -->\n```console\n$ docker ps\n```\n";
    let report = page::run("page", right);
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.commands, 3);
    assert_eq!(report.not_run, BTreeMap::from([("docker".to_owned(), 1)]));
}
