//! A tree of directives as the text of a Caddyfile.

use super::tree::{Adapted, Directive};
use crate::error::Error;

impl Adapted {
    /// The text of a file that has these directives.
    ///
    /// # Errors
    ///
    /// A word cannot be written: it holds both kinds of quotes and ends with a backslash.
    pub fn to_text(&self) -> Result<String, Error> {
        let mut text = String::new();
        if !self.global.is_empty() {
            text.push_str("{\n");
            write(&self.global, 1, &mut text)?;
            text.push_str("}\n");
        }
        write(&self.lines, 0, &mut text)?;
        Ok(text)
    }
}

fn write(lines: &[Directive], depth: usize, text: &mut String) -> Result<(), Error> {
    for line in lines {
        text.extend(std::iter::repeat_n('\t', depth));
        text.push_str(&word(&line.name)?);
        for arg in &line.args {
            text.push(' ');
            text.push_str(&word(arg)?);
        }
        if let Some(block) = &line.block {
            text.push_str(" {\n");
            write(block, depth + 1, text)?;
            text.extend(std::iter::repeat_n('\t', depth));
            text.push('}');
        }
        text.push('\n');
    }
    Ok(())
}

/// A word, in quotes where it needs them.
fn word(text: &str) -> Result<String, Error> {
    let is_bare = !text.is_empty()
        && !text.starts_with(['#', '"', '`', '\\', '('])
        && !text.starts_with("<<")
        && !text.ends_with(['{', '\\'])
        && text != "}"
        && !text.contains(char::is_whitespace);
    if is_bare {
        return Ok(text.to_owned());
    }
    if !text.contains('`') {
        return Ok(format!("`{text}`"));
    }
    if text.ends_with('\\') {
        return Err(Error::new(
            "a word that holds a backquote and ends with a backslash cannot be written",
        )
        .remedy("write the file by hand"));
    }
    Ok(format!("\"{}\"", text.replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::lexer::lex;
    use crate::lexer::tests::text;

    proptest! {
        /// Any word reads as itself.
        #[test]
        fn words_are_read_as_written(word in "([\\PC\n\t\"`\\\\{}#<(a])*") {
            if let Ok(written) = super::word(&word) {
                // What stands between the braces of a variable is replaced.
                prop_assume!(!word.contains("{$"));
                let words = lex(&text(&written)).unwrap();
                prop_assert_eq!(words.len(), 1, "{}", written);
                prop_assert_eq!(&words[0].text, &word);
            }
        }
    }
}
