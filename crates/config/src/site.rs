//! The shape of a whole Caddyfile: one site with one `mercure` block (B-280 to B-286).

use crate::error::Error;
use crate::lexer::Word;
use crate::tree::{Document, Line};
use crate::unknown::refuse;

/// Site directives of the existing server that are not supported yet (B-284, B-285).
pub(crate) const LATER_SITE: &[&str] = &[
    "abort",
    "basic_auth",
    "basicauth",
    "encode",
    "error",
    "file_server",
    "forward_auth",
    "handle",
    "handle_errors",
    "handle_path",
    "header",
    "invoke",
    "log",
    "log_append",
    "log_skip",
    "map",
    "method",
    "metrics",
    "php",
    "php_fastcgi",
    "php_server",
    "push",
    "redir",
    "request_body",
    "request_header",
    "respond",
    "reverse_proxy",
    "rewrite",
    "root",
    "route",
    "skip_log",
    "templates",
    "tracing",
    "try_files",
    "uri",
    "vars",
    "vulcain",
];

/// The parts of a file that are used.
#[derive(Debug)]
pub(crate) struct Site {
    /// The words of its addresses; at least one.
    pub addresses: Vec<Word>,
    /// The lines of its `mercure` block.
    pub mercure: Vec<Line>,
    /// Its `tls` line.
    pub tls: Option<Line>,
    /// Its `bind` line.
    pub bind: Option<Line>,
}

/// Finds the site and its `mercure` block. What is wrong beside that block is added to `errors`: directives
/// of the existing server are refused as not supported yet.
///
/// # Errors
///
/// There is no site, or it has no `mercure` block.
pub(crate) fn site(document: Document, errors: &mut Vec<Error>) -> Result<Site, Error> {
    let mut lines = document.lines.into_iter();
    let mut addresses: Vec<Word> = Vec::new();
    let mut body = None;
    for line in lines.by_ref() {
        top_level(&line.name)?;
        addresses.push(line.name);
        addresses.extend(line.args);
        body = line.block;
        // A comma at the line's end continues the list of addresses (B-282).
        if body.is_some()
            || !addresses
                .last()
                .is_some_and(|word| word.text.ends_with(','))
        {
            break;
        }
    }
    let Some(first) = addresses.first() else {
        return Err(Error::new("the configuration file has no site")
            .remedy("write for example: :80 { mercure { … } }, each brace at its line's end"));
    };
    let first = first.clone();
    if first.is("mercure") {
        return Err(first
            .error("the site's address is missing before `mercure`")
            .remedy("write it on a line above, for example :80"));
    }
    let body = match body {
        // Without braces the rest of the file is the one site (B-281).
        None => lines.collect(),
        Some(body) => match lines.next() {
            None => body,
            Some(line) => {
                top_level(&line.name)?;
                errors.push(
                    line.name
                        .error("several sites in one file are not supported yet")
                        .remedy("list the addresses before one site, separated by spaces"),
                );
                body
            }
        },
    };
    let (tls, body) = take(body, "tls", "keep one of the two", errors);
    let (bind, body) = take(body, "bind", "write all addresses on one line", errors);
    Ok(Site {
        addresses,
        mercure: mercure(body, &first, errors)?,
        tls,
        bind,
    })
}

/// Takes out the line of a directive that may occur once.
fn take(
    body: Vec<Line>,
    name: &str,
    remedy: &str,
    errors: &mut Vec<Error>,
) -> (Option<Line>, Vec<Line>) {
    let (found, others): (Vec<Line>, Vec<Line>) =
        body.into_iter().partition(|line| line.name.text == name);
    if let [_, second, ..] = found.as_slice() {
        let error = second.name.error(format!("`{name}` occurs twice"));
        errors.push(error.remedy(remedy));
    }
    (found.into_iter().next(), others)
}

/// Refuses the things besides sites that a file may have at its top level.
fn top_level(name: &Word) -> Result<(), Error> {
    if name.quoted || !name.text.starts_with("&(") {
        return Ok(());
    }
    Err(name
        .error("named routes are not supported yet")
        .remedy("write the lines of the route where it is used"))
}

fn mercure(body: Vec<Line>, site: &Word, errors: &mut Vec<Error>) -> Result<Vec<Line>, Error> {
    let mut found: Option<Line> = None;
    let mut wrong = None;
    for line in body {
        let name = &line.name;
        let error = if name.text.starts_with('@') {
            name.error("matchers are not supported yet")
                .remedy("remove the matcher")
        } else if name.text != "mercure" {
            let known = ["bind", "mercure", "tls"];
            refuse(name, "site directive", LATER_SITE, &known)
        } else if found.is_some() {
            name.error("several `mercure` blocks are not supported yet")
                .remedy("merge them into one")
        } else {
            let matcher = line.args.first().map(|matcher| {
                matcher
                    .error("matchers before the `mercure` block are not supported yet")
                    .remedy("write `mercure {`")
            });
            errors.extend(matcher);
            found = Some(line);
            continue;
        };
        errors.extend(wrong.replace(error));
    }
    match (found, wrong) {
        (Some(line), wrong) => {
            errors.extend(wrong);
            Ok(line.block.unwrap_or_default())
        }
        // The block may stand in one of the lines that are wrong, or be misspelt.
        (None, Some(error)) => Err(error),
        (None, None) => Err(site
            .error("this site has no `mercure` block")
            .remedy("add `mercure { … }`, or leave the file out to configure by variables alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tests::text;
    use crate::tree::parse;

    fn find(source: &str) -> Result<(usize, Vec<String>), String> {
        let document = parse(&text(source)).map_err(|error| error.to_string())?;
        let mut errors = Vec::new();
        let site = site(document, &mut errors);
        Error::all(errors)
            .and(site)
            .map(|site| {
                let names = site
                    .mercure
                    .into_iter()
                    .map(|line| line.name.text)
                    .collect();
                (site.addresses.len(), names)
            })
            .map_err(|error| error.to_string())
    }

    /// A site is read with or without braces, and behind an empty global block (B-281).
    #[test]
    fn one_site() {
        let expected = Ok((1, vec!["anonymous".to_owned()]));
        assert_eq!(find(":80 {\n mercure {\n anonymous\n }\n}"), expected);
        assert_eq!(find("{\n}\n:80\nmercure {\n anonymous\n}\n"), expected);
        assert_eq!(find(":80, :81,\n:82 {\n mercure\n}"), Ok((3, vec![])));
    }

    /// Directives of the existing server are refused by name, unknown ones with a suggestion.
    #[test]
    fn nothing_is_ignored() {
        let cases = [
            (
                "&(a) {\n}\n:80\nmercure",
                "named routes are not supported yet",
            ),
            (
                ":80\nencode gzip\nmercure",
                "the site directive `encode` is not supported yet",
            ),
            (":80\nencoed gzip\nmercure", "did you mean `encode`?"),
            (":80\nmercur {\n}", "did you mean `mercure`?"),
            (":80\n@a path /x\nmercure", "matchers are not supported yet"),
            (
                ":80\nmercure /x {\n}",
                "matchers before the `mercure` block are not supported yet",
            ),
            (
                ":80 {\n mercure\n}\n:81 {\n mercure\n}",
                "several sites in one file are not supported yet",
            ),
            (
                ":80\nmercure\nmercure",
                "several `mercure` blocks are not supported yet",
            ),
            (":80", "this site has no `mercure` block"),
            ("mercure {\n}", "the site's address is missing"),
            ("", "the configuration file has no site"),
        ];
        for (source, expected) in cases {
            let error = find(source).unwrap_err();
            assert!(error.contains(expected), "{source:?} gave {error}");
        }
    }
}
