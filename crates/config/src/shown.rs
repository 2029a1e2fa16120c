//! How a message shows a word of the configuration without showing a password.

use std::borrow::Cow;

/// A word as a message shows it: in backticks, without control characters and user information, at
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

/// The text without what precedes an `@`, which may be a password, but with the scheme of a URL. A
/// password may hold any character, so the last `@` counts, and of several URLs the first scheme.
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
}
