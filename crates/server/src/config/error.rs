//! What is wrong with a configuration, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;

use super::source::{Place, Unset};

/// A configuration error: `Display` is the one message for standard error, without the leading
/// `error: `. It never shows key material.
#[derive(Debug)]
pub struct ConfigError {
    place: Option<Place>,
    problem: String,
    remedy: Option<String>,
    hidden: bool,
    is_absence: bool,
    notes: Vec<String>,
}

impl ConfigError {
    /// An error at a place.
    pub fn at(place: &Place, problem: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            problem: problem.into(),
            remedy: None,
            hidden: false,
            is_absence: false,
            notes: Vec::new(),
        }
    }

    /// An error that no single place causes; the problem then names what is missing.
    pub fn general(problem: impl Into<String>) -> Self {
        Self {
            place: None,
            problem: problem.into(),
            remedy: None,
            hidden: false,
            is_absence: false,
            notes: Vec::new(),
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says that it is about something that is not there, perhaps because a variable is missing.
    #[must_use]
    pub fn absence(mut self) -> Self {
        self.is_absence = true;
        self
    }

    /// Adds what else may have caused it: `notes` where something is not there, and the variables
    /// that are missing on its line.
    #[must_use]
    pub fn explain(mut self, notes: impl IntoIterator<Item = String>, unset: &[Unset]) -> Self {
        if self.is_absence {
            self.notes.extend(notes);
        }
        let here = |unset: &&Unset| {
            let place = self.place.as_ref();
            place.is_some_and(|place| place.is_on_line_of(&unset.place))
        };
        let missing: Vec<String> = unset.iter().filter(here).map(Unset::problem).collect();
        self.notes.extend(missing);
        self
    }

    /// Leaves out the source line, because it may hold a key.
    #[must_use]
    pub fn hide_line(mut self) -> Self {
        self.hidden = true;
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.problem)?;
        let excerpt = self
            .place
            .as_ref()
            .filter(|_| !self.hidden)
            .and_then(Place::excerpt);
        if let Some(excerpt) = excerpt {
            write!(f, "\n{excerpt}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  {remedy}")?;
        }
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A word as a message shows it: in back-ticks, without control characters and user information, at
/// most 60 characters.
pub fn show(text: &str) -> String {
    let text = without_user(text);
    let mut shown = String::new();
    for c in text.chars().take(60) {
        match c {
            '"' | '\'' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The text without what precedes an `@`, which may be a password, save the scheme of a URL. A password
/// may hold any character, so the last `@` counts, and of several URLs the first scheme.
pub fn without_user(text: &str) -> Cow<'_, str> {
    let Some((user, host)) = text.rsplit_once('@') else {
        return Cow::Borrowed(text);
    };
    let scheme = user.find("://").map_or(0, |at| at + "://".len());
    Cow::Owned(format!(
        "{}…@{host}",
        user.get(..scheme).unwrap_or_default()
    ))
}

/// The candidate nearest to `word`, if it is near enough to be meant.
pub fn suggest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A long word is never near, and its distance would be costly.
    if word.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in characters: insertion, deletion, substitution, swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let get = |i: usize, j: usize| rows.get(i).and_then(|r| r.get(j)).copied();
            let mut best = get(i, j).unwrap_or(usize::MAX - 1) + usize::from(x != y);
            best = best.min(get(i, j + 1).unwrap_or(usize::MAX - 1) + 1);
            best = best.min(row.last().copied().unwrap_or(usize::MAX - 1) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped && let Some(before) = get(i - 1, j - 1) {
                best = best.min(before + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows.last()
        .and_then(|row| row.last())
        .copied()
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No message shows a password, wherever it stands in a URL; quotes stay as they are.
    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("https://u:PW@h/x", "`https://…@h/x`"),
            ("redis://PW@h", "`redis://…@h`"),
            ("https://u:P@W#/?@h", "`https://…@h`"),
            ("u:PW@h", "`…@h`"),
            ("https://a,https://u:PW@h", "`https://…@h`"),
            ("[\"a\", 'b']", "`[\"a\", 'b']`"),
            ("a\n", "`a\\n`"),
        ] {
            assert_eq!(show(text), shown);
        }
        let long = format!("https://u:{}@h", "PW".repeat(40));
        assert_eq!(show(&long), "`https://…@h`");
    }

    #[test]
    fn suggests_what_is_near_only() {
        let names = ["heartbeat", "anonymous", "ui"];
        assert_eq!(suggest("heartbeet", names.into_iter()), Some("heartbeat"));
        assert_eq!(suggest("haertbeat", names.into_iter()), Some("heartbeat"));
        assert_eq!(suggest("anonymos", names.into_iter()), Some("anonymous"));
        assert_eq!(suggest("xyzzy", names.into_iter()), None);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
