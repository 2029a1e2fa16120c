//! Each page that messages name is in `docs/`, with its heading.

use std::path::Path;

use talaria_config::guide::Page;

/// The anchor of a heading, as forges make it from its text.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[test]
fn each_address_leads_to_a_page_and_its_heading() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for page in Page::ALL {
        let text = std::fs::read_to_string(docs.join(page.file));
        let text = text.unwrap_or_else(|error| panic!("{page}: {error}"));
        let mut is_code = false;
        let headings: Vec<String> = text
            .lines()
            .filter_map(|line| {
                is_code ^= line.starts_with("```");
                let heading = line.strip_prefix('#').filter(|_| !is_code)?;
                Some(anchor(heading.trim_start_matches('#').trim()))
            })
            .collect();
        let is_there = page.heading.is_empty() || headings.iter().any(|it| it == page.heading);
        assert!(is_there, "{page} is not one of {headings:?}");
    }
}
