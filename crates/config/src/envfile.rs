//! Files of environment variables (`--envfile`).

use std::collections::HashMap;

/// Parses lines `NAME=value`, `export NAME=value`, `# comment`. A value in double quotes may span
/// lines and escape `\"`, `\\` and `\n`; one in single quotes is taken as it is.
///
/// # Errors
///
/// The number (from 1) of the line that is wrong, and what is wrong with it; never the value.
pub fn parse(text: &str) -> Result<HashMap<String, String>, (usize, &'static str)> {
    let mut variables = HashMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let number = text.len() - rest.len();
        let number = text.get(..number).unwrap_or_default().matches('\n').count() + 1;
        let line_end = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..line_end).unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            rest = rest.get(line_end + 1..).unwrap_or_default();
            continue;
        }
        let (name, value) = rest
            .split_once('=')
            .filter(|(name, _)| name.len() < line_end)
            .ok_or((number, "there is no `=`; write NAME=value"))?;
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim);
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err((number, "the variable's name is empty or holds spaces"));
        }
        let value = value.trim_start_matches([' ', '\t']);
        let (parsed, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(value.get(1..).unwrap_or_default(), quote)
                .ok_or((number, "a quote is never closed"))?,
            _ => {
                let end = value.find('\n').unwrap_or(value.len());
                let (line, after) = value.split_at(end);
                let comment = line.find(" #").unwrap_or(line.len());
                (
                    line.get(..comment).unwrap_or_default().trim().to_owned(),
                    after,
                )
            }
        };
        let end = after.find('\n').unwrap_or(after.len());
        let trailing = after.get(..end).unwrap_or_default().trim();
        if !trailing.is_empty() && !trailing.starts_with('#') {
            return Err((number, "there is text after the closing quote"));
        }
        variables.insert(name.to_owned(), parsed);
        rest = after.get(end + 1..).unwrap_or_default();
    }
    Ok(variables)
}

/// The value up to the closing quote, and what follows the quote.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((value, text.get(at + c.len_utf8()..)?));
        }
        if c == '\\' && quote == '"' {
            match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            }
        } else {
            value.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_quotes_and_comments() {
        let text = "# c\nA=1 # x\nexport B=\"two\nlines \\\"q\\\"\"\n\nC='$x # y' # z\nD=\r\nE=a=b";
        let variables = parse(text).unwrap();
        assert_eq!(variables["A"], "1");
        assert_eq!(variables["B"], "two\nlines \"q\"");
        assert_eq!(variables["C"], "$x # y");
        assert_eq!(variables["D"], "");
        assert_eq!(variables["E"], "a=b");
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(parse("A=1\nB").unwrap_err().0, 2);
        assert_eq!(parse("A=\"x\nB=1").unwrap_err().0, 1);
        assert_eq!(parse("A B=1").unwrap_err().0, 1);
        assert_eq!(parse("A='x' y").unwrap_err().0, 1);
        assert_eq!(parse("novalue\nB=1").unwrap_err().0, 1);
    }
}
