//! Names in SQL.

use talaria_transport::shared::backend::BackendError;

use crate::fault::fatal;

/// The longest name that the server keeps whole, in bytes.
const LONGEST_NAME: usize = 63;

/// A name as SQL quotes it.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Refuses a name that a schema cannot have, or that ends the text of a function.
///
/// # Errors
/// [`BackendError::Fatal`] if it is such a name.
pub(crate) fn check_name(name: &str) -> Result<(), BackendError> {
    let is_odd = name.contains(|c: char| c.is_control() || c == '$' || c == '{');
    if matches!(name, "public" | "information_schema") {
        return Err(fatal(
            format!("the log cannot be in the schema \"{name}\", which others use too"),
            "set a name that no other program uses",
        ));
    }
    if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with("pg_") || is_odd {
        return Err(fatal(
            format!("the name of the schema is \"{name}\""),
            "set a name of at most 63 bytes that does not begin with `pg_` and has no `$` or `{`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_end_a_function_are_refused() {
        for name in ["", "public", "a$talaria$", "pg_a", "a\n", &"x".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("Änderungen \"1\"").is_ok());
    }
}
