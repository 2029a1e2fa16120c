//! The order in which the directives of a block are asked, whatever order they are written in (B-285).

use crate::error::Error;
use crate::shown::show;
use crate::tree::Line;

/// The order that holds unless the global option `order` changes it.
const USUAL: [&str; 33] = [
    "tracing",
    "map",
    "vars",
    "root",
    "log_append",
    "log_skip",
    "log_name",
    "header",
    "request_body",
    "redir",
    "method",
    "rewrite",
    "uri",
    "try_files",
    "basic_auth",
    "forward_auth",
    "request_header",
    "encode",
    "mercure",
    "push",
    "templates",
    "invoke",
    "handle",
    "handle_path",
    "route",
    "abort",
    "error",
    "respond",
    "metrics",
    "reverse_proxy",
    "php_fastcgi",
    "php_server",
    "file_server",
];

/// The order of directives.
#[derive(Debug, Clone)]
pub(crate) struct Order(Vec<String>);

impl Default for Order {
    fn default() -> Self {
        Self(USUAL.iter().map(|&name| name.to_owned()).collect())
    }
}

impl Order {
    /// The place of a directive.
    pub(super) fn rank(&self, name: &str) -> usize {
        let found = self.0.iter().position(|other| other == name);
        found.unwrap_or(self.0.len())
    }

    /// Applies a line `order <directive> first|last`, or `order <directive> before|after <directive>` (B-299).
    ///
    /// # Errors
    /// The line has another form, or names a directive that has no place.
    pub(crate) fn apply(&mut self, line: &Line) -> Result<(), Error> {
        let form = "write order <directive> first, last, before <directive> or after <directive>";
        let words = &line.without_block()?.args;
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let (name, side, other) = match texts.as_slice() {
            [name, side @ ("first" | "last")] => (*name, *side, None),
            [name, side @ ("before" | "after"), other] => (*name, *side, Some(*other)),
            _ => {
                return Err(line.name.error("`order` has another form").remedy(form));
            }
        };
        self.0.retain(|known| known != name);
        let at = match (side, other) {
            ("first", _) => 0,
            ("last", _) => self.0.len(),
            (_, other) => {
                let other = other.unwrap_or_default();
                let found = self.0.iter().position(|known| known == other);
                let Some(found) = found else {
                    let word = words.last().unwrap_or(&line.name);
                    let problem = format!("{} is not a directive that has a place", show(other));
                    return Err(word.error(problem).remedy(form));
                };
                found + usize::from(side == "after")
            }
        };
        self.0.insert(at, name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tests::text;
    use crate::tree::parse;

    fn after(lines: &str) -> Result<Order, String> {
        let mut order = Order::default();
        for line in parse(&text(lines)).unwrap().lines {
            order.apply(&line).map_err(|error| error.to_string())?;
        }
        Ok(order)
    }

    /// `order` moves one directive, also one that has no usual place.
    #[test]
    fn directives_are_moved() {
        let order = after("order mercure first\norder respond after mercure").unwrap();
        assert_eq!((order.rank("mercure"), order.rank("respond")), (0, 1));
        let order = after("order mercure after encode\norder x before encode").unwrap();
        assert!(order.rank("x") < order.rank("encode"));
        assert_eq!(order.rank("mercure"), order.rank("encode") + 1);
        let order = after("order mercure last").unwrap();
        assert!(order.rank("mercure") > order.rank("file_server"));
        assert!(after("order mercure").unwrap_err().contains("another form"));
        assert!(after("order mercure after x").unwrap_err().contains("`x`"));
    }
}
