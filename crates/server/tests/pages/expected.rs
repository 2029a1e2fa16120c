//! What a command printed against what the page shows.

use std::collections::BTreeMap;

use regex::Regex;

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// Which UUID came for each of a page.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<String, String>);

impl Seen {
    /// Whether the lines of a page show this text; then its UUIDs are remembered.
    pub fn matches(&mut self, shown: &[String], printed: &str) -> bool {
        let printed: Vec<&str> = printed.trim_end().lines().collect();
        match self.lines(shown, &printed) {
            Some(seen) => {
                *self = seen;
                true
            }
            None => false,
        }
    }

    /// A command of the page, with the UUIDs that came.
    pub fn to_here(&self, text: &str) -> String {
        let pairs = self.0.iter();
        pairs.fold(text.to_owned(), |text, (of_page, came)| {
            text.replace(of_page, came)
        })
    }

    fn lines(&self, shown: &[String], printed: &[&str]) -> Option<Self> {
        let Some((first, others)) = shown.split_first() else {
            return printed.is_empty().then(|| self.clone());
        };
        if first == "…" {
            return (0..=printed.len()).find_map(|skipped| self.lines(others, &printed[skipped..]));
        }
        let (line, rest) = printed.split_first()?;
        self.line(first, line)?.lines(others, rest)
    }

    fn line(&self, shown: &str, printed: &str) -> Option<Self> {
        let uuid = Regex::new(UUID).unwrap();
        let mut pattern = "^".to_owned();
        let mut names = Vec::new();
        let mut from = 0;
        let spaces = Regex::new(" {2,}").unwrap();
        let text = |pattern: &mut String, text: &str| {
            let parts: Vec<String> = text.split('…').map(regex::escape).collect();
            pattern.push_str(&spaces.replace_all(&parts.join(".*"), " +"));
        };
        for found in uuid.find_iter(shown) {
            text(&mut pattern, &shown[from..found.start()]);
            pattern.push_str(&format!("({UUID})"));
            names.push(found.as_str());
            from = found.end();
        }
        text(&mut pattern, &shown[from..]);
        pattern.push('$');
        let captures = Regex::new(&pattern).unwrap().captures(printed.trim_end())?;
        let mut seen = self.clone();
        for (name, value) in names.into_iter().zip(captures.iter().skip(1)) {
            let value = value?.as_str().to_owned();
            let known = seen
                .0
                .entry(name.to_owned())
                .or_insert_with(|| value.clone());
            if *known != value {
                return None;
            }
        }
        Some(seen)
    }
}

#[cfg(test)]
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// An ellipsis stands for text, alone on a line for lines; nothing else is left out.
#[test]
fn ellipses_stand_for_text() {
    let cases = [
        ("a b c", "a b c\n", true),
        ("a … c", "a b c", true),
        ("a … c", "a b d", false),
        ("a\n…\nz", "a\nb\nc\nz", true),
        ("a\n…\nz", "a\nz", true),
        ("a\n…\nz", "a\nb", false),
        ("a", "a\nb", false),
        ("a\nb", "a", false),
        ("a.c", "abc", false),
        ("a   …   -", "a  1  -", true),
        ("a  b", "ab", false),
        ("…", "", true),
    ];
    for (shown, printed, expected) in cases {
        let found = Seen::default().matches(&lines(shown), printed);
        assert_eq!(found, expected, "{shown} {printed}");
    }
}

/// A UUID of the page is the same one everywhere.
#[test]
fn uuids_are_remembered() {
    let page = "id: urn:uuid:00000000-0000-0000-0000-000000000001";
    let one = page.replace("0001", "00aa");
    let other = page.replace("0001", "00bb");
    let mut seen = Seen::default();
    assert!(seen.matches(&lines(page), &one));
    assert!(!seen.matches(&lines(page), &other));
    assert!(seen.matches(&lines(page), &one));
    assert_eq!(seen.to_here(page), one);
}
