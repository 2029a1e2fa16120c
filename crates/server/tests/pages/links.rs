//! Links to headings: the heading is there.

use std::collections::BTreeMap;

use regex::Regex;

/// The anchors of a page, as forges make them from its headings.
fn anchors(page: &str) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut is_in_block = false;
    let mut anchors = Vec::new();
    for line in page.lines() {
        is_in_block ^= line.trim_start().starts_with("```");
        let text = line.trim_start_matches('#');
        if is_in_block || text == line || !text.starts_with(' ') {
            continue;
        }
        let anchor: String = text
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                _ => c.is_alphanumeric().then_some(c),
            })
            .collect();
        let count = counts.entry(anchor.clone()).or_default();
        anchors.push(match *count {
            0 => anchor,
            number => format!("{anchor}-{number}"),
        });
        *count += 1;
    }
    anchors
}

/// The links of a page whose heading is not there. Links to other files are checked elsewhere.
pub fn faults(pages: &[(String, String)], name: &str, text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([a-z0-9./-]*)#([^)\s]+)\)").unwrap();
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let wrong = link.captures_iter(text).filter_map(|found| {
        let (page, anchor) = (&found[1], &found[2]);
        let path = match (page, folder) {
            ("", _) => name.to_owned(),
            (page, "") => page.to_owned(),
            (page, folder) => format!("{folder}/{page}"),
        };
        let (_, target) = pages.iter().find(|(name, _)| *name == path)?;
        let is_there = target.contains(&format!("id=\"{anchor}\""))
            || anchors(target).iter().any(|known| known == anchor);
        (!is_there).then(|| format!("{name}: {path} has no heading #{anchor}"))
    });
    wrong.collect()
}

/// Anchors are those of forges, and a missing one is found.
#[test]
fn missing_headings_are_found() {
    let page = "# A `b` (c): d_e\n```text\n# no\n```\n## Twice\n## Twice\n";
    assert_eq!(anchors(page), ["a-b-c-d_e", "twice", "twice-1"]);
    let pages = [("docs/a.md".to_owned(), page.to_owned())];
    let right = "[x](a.md#twice-1) [y](#twice) [z](other.md#any)";
    assert_eq!(faults(&pages, "docs/a.md", right), Vec::<String>::new());
    assert_eq!(faults(&pages, "docs/a.md", "[x](#no)").len(), 1);
    assert_eq!(faults(&pages, "README.md", "[x](docs/a.md#no)").len(), 1);
}
