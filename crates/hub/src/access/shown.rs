//! Values of strangers in log lines and errors.

use std::fmt;

use talaria_protocol::topic::is_forbidden;

/// Shows a value that a client sent: quoted, escaped, cut after 64 characters, so that it can
/// neither forge a log line nor fill the log.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        f.write_str("\"")?;
        for c in chars.by_ref().take(64) {
            if is_forbidden(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else if matches!(c, '"' | '\\') {
                write!(f, "\\{c}")?;
            } else {
                write!(f, "{c}")?;
            }
        }
        f.write_str(if chars.next().is_some() {
            "…\""
        } else {
            "\""
        })
    }
}

/// Shows a list of values, each as [`Shown`], and at most eight of them.
pub(crate) struct ShownList<'a>(pub(crate) &'a [String]);

impl fmt::Display for ShownList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, value) in self.0.iter().take(8).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", Shown(value))?;
        }
        match self.0.len().checked_sub(8) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}
