//! The page `docs/metrics.md`, the endpoint, the dashboard and the alerts have the same series, and Prometheus accepts
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::servers::{Postgres, Postgresql};
use talaria_conformance::token::exact;
use talaria_conformance::{free_port, within};

use super::{Scrape, publisher};
use crate::running::Running;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// A family of series: its type and the labels that its series may have.
type Family = (String, BTreeSet<String>);

/// The families of the page, by the name of their series.
fn documented() -> BTreeMap<String, Family> {
    let page = read("docs/metrics.md");
    let mut families = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else {
            continue;
        };
        if !["counter", "gauge", "histogram"].contains(&kind) {
            continue;
        }
        assert!(!meaning.is_empty(), "{name}");
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        let name = name.trim_matches('`').to_owned();
        let before = families.insert(name.clone(), (kind.to_owned(), labels));
        assert!(before.is_none(), "{name} is there twice");
    }
    families
}

/// The families of a scrape.
fn exported(scrape: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in scrape.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            let family = (kind.to_owned(), BTreeSet::new());
            assert!(
                families.insert(name.to_owned(), family).is_none(),
                "{name} is there twice"
            );
        }
    }
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = family_of(name, &families);
        let family = families
            .get_mut(&family.unwrap_or_else(|| panic!("{line}")))
            .unwrap();
        for label in labels.trim_end_matches('}').split("\",") {
            let (label, _) = label.split_once('=').unwrap_or_default();
            if !label.is_empty() && label != "le" {
                family.1.insert(label.to_owned());
            }
        }
    }
    families
}

/// The family of a name, which is its own or that of a part of a histogram.
fn family_of(name: &str, families: &BTreeMap<String, Family>) -> Option<String> {
    if families.contains_key(name) {
        return Some(name.to_owned());
    }
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part))?;
    let (kind, _) = families.get(base)?;
    (kind == "histogram").then(|| base.to_owned())
}

/// A hub that has every series: with HTTPS, a history, and requests that are counted.
async fn everything() -> (Running, String) {
    let (http, https) = (free_port(), free_port());
    let text = format!(
        "{{\nskip_install_trust\nmetrics {{\nper_host\n}}\n}}\nhttp://127.0.0.1:{http} {{\nmercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\nsubscriptions\ntransport bolt\n}}\n}}\nhttps://localhost:{https} {{\ntls internal\nrespond hi\n}}\n"
    );
    let mut hub = Running::start(&text, &[]);
    hub.address.set_port(http);
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    publisher(&hub)
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    stream.data().await;
    hub.client().get("/missing").await;
    hub.admin().get("/missing").await;
    let scrape = Scrape::of(&hub).await.0;
    (hub, scrape)
}

/// What a hub on a log of several nodes exports.
async fn of_several_nodes() -> BTreeMap<String, Family> {
    let server = Postgres::start(Postgresql::V15);
    let (http, address) = (free_port(), server.address());
    let text = format!(
        "http://127.0.0.1:{http} {{\nmercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\ntransport postgres {{\nurl postgres://postgres@{address}/postgres?sslmode=disable\nlease 3s\n}}\n}}\n}}\n"
    );
    let mut hub = Running::start(&text, &[]);
    hub.address.set_port(http);
    publisher(&hub)
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    within("a beat that says what the log takes", async {
        loop {
            let scrape = Scrape::of(&hub).await.0;
            if scrape.contains("talaria_cluster_log_bytes{") {
                return exported(&scrape);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

/// Each series of the page is at the endpoint, with its type and labels, and none is there that is not on the page.
#[tokio::test]
async fn the_page_and_the_endpoint_agree() {
    let (_hub, scrape) = everything().await;
    let (documented, mut exported) = (documented(), exported(&scrape));
    let names =
        |families: &BTreeMap<String, Family>| -> Vec<String> { families.keys().cloned().collect() };
    assert_eq!(names(&exported), names(&documented));
    let several = of_several_nodes().await;
    // Positions of a shared log have their run in the upper half.
    for name in ["newest", "floor"] {
        let (_, labels) = &several[&format!("talaria_history_{name}_position")];
        assert!(labels.is_empty(), "{name} has a series");
    }
    let several = several.into_iter();
    exported.extend(several.filter(|(name, _)| name.starts_with("talaria_cluster_")));
    for (name, (kind, labels)) in documented {
        let (its_kind, its_labels) = exported.remove(&name).unwrap();
        assert_eq!(its_kind, kind, "{name}");
        assert_eq!(its_labels, labels, "{name}");
    }
}

/// The codes of reasons that the page lists are those that are counted.
#[tokio::test]
async fn the_page_has_each_reason_of_disconnects() {
    let (_hub, scrape) = everything().await;
    let page = read("docs/metrics.md");
    let (_, part) = page.split_once("## Reasons of disconnects").unwrap();
    let (part, _) = part.split_once("\n## ").unwrap();
    let listed: BTreeSet<&str> = part
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|reason| *reason != "reason")
        .collect();
    let counted: BTreeSet<&str> = scrape
        .lines()
        .filter(|line| line.starts_with("talaria_hub_disconnects_total{"))
        .filter_map(|line| line.split("reason=\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(listed, counted);
}

/// Each reason of a refusal that is counted is on the page, or on that of tokens.
#[tokio::test]
async fn each_reason_of_refusals_is_explained() {
    let (_hub, scrape) = everything().await;
    let pages = read("docs/metrics.md") + &read("docs/tokens.md");
    let is_explained = |reason: &str| {
        let beginning = reason.split('_').next().unwrap_or_default();
        pages.contains(&format!("`{reason}`")) || pages.contains(&format!("`{beginning}_…`"))
    };
    let mut count = 0;
    for line in scrape.lines() {
        let is_of_refusals = line.starts_with("talaria_hub_refusals_total{")
            || line.starts_with("talaria_requests_refused_total{");
        let reason = line.split("reason=\"").nth(1).filter(|_| is_of_refusals);
        if let Some(reason) = reason.and_then(|rest| rest.split('"').next()) {
            assert!(is_explained(reason), "{reason}");
            count += 1;
        }
    }
    assert!(count > 80, "{count} reasons");
}

/// Each limit of `docs/limits.md` that has a directive has a series.
#[tokio::test]
async fn each_limit_has_a_series() {
    let (_hub, scrape) = everything().await;
    let page = read("docs/limits.md");
    let mut count = 0;
    for line in page.lines().take_while(|line| !line.starts_with("## ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, directives, _] = cells[..] else {
            continue;
        };
        for directive in directives.split('`').skip(1).step_by(2) {
            let label = format!("limit=\"{directive}\"");
            let mut series = scrape
                .lines()
                .filter(|line| line.starts_with("talaria_limit_"));
            assert!(series.any(|line| line.contains(&label)), "{directive}");
            count += 1;
        }
    }
    assert!(count > 20, "{count} directives");
}

/// The names in an expression of Prometheus that are ours.
fn names_in(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c: char| !is_part(c));
    let of_series = ["mercure_", "talaria_", "caddy_", "process_"];
    words
        .filter(|word| of_series.iter().any(|begin| word.starts_with(begin)))
        .map(str::to_owned)
        .collect()
}

fn collect(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == key => found.push(text.clone()),
                    other => collect(other, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, found)),
        _ => {}
    }
}

/// The dashboard and the alerts ask for series that the page has; the alerts name parts of the page that there are.
#[test]
fn dashboards_ask_for_what_there_is() {
    let families = documented();
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/talaria.json")).unwrap();
    let mut expressions = Vec::new();
    for key in ["expr", "query"] {
        collect(&dashboard, key, &mut expressions);
    }
    let rules = read("deploy/prometheus/talaria.rules.yml");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    expressions.extend(alerts.map(str::to_owned));
    assert!(expressions.len() > 50, "{} expressions", expressions.len());
    let mut asked = BTreeSet::new();
    for expression in &expressions {
        for name in names_in(expression) {
            let family = family_of(&name, &families);
            asked.insert(family.unwrap_or_else(|| panic!("{name} in {expression}")));
        }
    }
    assert!(asked.len() > 30, "{asked:?}");
    let page = read("docs/metrics.md");
    let headings: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_lowercase)
        .collect();
    let mut books = 0;
    for line in rules.lines().filter(|line| line.contains("runbook_url: ")) {
        let (url, part) = line.split_once('#').unwrap();
        assert!(url.ends_with("/docs/metrics.md"), "{url}");
        assert!(headings.contains(part), "no part {part}");
        books += 1;
    }
    assert_eq!(books, rules.matches("- alert: ").count());
}

/// `promtool` accepts the page and the alerts; without Prometheus on the machine there is nothing to ask.
#[tokio::test]
async fn prometheus_accepts_them() {
    let (_hub, scrape) = everything().await;
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        assert!(
            !talaria_conformance::full(),
            "install the package prometheus"
        );
        return;
    };
    use std::io::Write as _;
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(scrape.as_bytes())
        .unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}");
    assert_eq!(said, "");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checked = Command::new("promtool")
        .args(["check", "rules"])
        .arg(root.join("deploy/prometheus/talaria.rules.yml"))
        .output()
        .unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}
