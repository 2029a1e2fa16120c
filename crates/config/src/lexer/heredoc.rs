//! A text of several lines, between `<<NAME` and NAME (B-280).

/// What is wrong with a heredoc.
pub(super) enum Fault {
    /// No line begins with its name.
    NeverClosed,
    /// The line between these bytes lacks the white space that stands before the closing name.
    Indentation(usize, usize),
}

/// Whether `name` may stand behind `<<`.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

/// Reads a heredoc; `text` begins behind its opening word. Gives the text without its indentation, and the
/// number of bytes up to the end of the closing name.
///
/// # Errors
///
/// No line begins with `name`, or a line is indented less than that one.
pub(super) fn read(text: &str, name: &str) -> Result<(String, usize), Fault> {
    let mut start = text.find('\n').ok_or(Fault::NeverClosed)? + 1;
    let mut lines = Vec::new();
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let line = rest.split('\n').next().unwrap_or_default();
        if let Some(indentation) = before_name(line, name) {
            let end = start + indentation.len() + name.len();
            return unindent(&lines, indentation).map(|text| (text, end));
        }
        lines.push((start, line.strip_suffix('\r').unwrap_or(line)));
        start += line.len() + 1;
    }
    Err(Fault::NeverClosed)
}

/// The white space before `name`, if the line begins with that.
fn before_name<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let trimmed = line.trim_start();
    let after = trimmed.strip_prefix(name)?;
    let indentation = line.strip_suffix(trimmed)?;
    (!after.starts_with(is_of_name)).then_some(indentation)
}

/// The lines without the indentation. A line of white space alone may have less.
fn unindent(lines: &[(usize, &str)], indentation: &str) -> Result<String, Fault> {
    let mut text = String::new();
    for (index, (start, line)) in lines.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        match line.strip_prefix(indentation) {
            Some(line) => text.push_str(line),
            None if line.trim().is_empty() => {}
            None => return Err(Fault::Indentation(*start, start + line.len())),
        }
    }
    Ok(text)
}
