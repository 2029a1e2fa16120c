//! The shape of a whole Caddyfile: one site with one `mercure` block (B-280 to B-286).

use crate::error::Error;
use crate::lexer::Word;
use crate::tree::{Document, Line};

/// The parts of a file that are used.
#[derive(Debug)]
pub(crate) struct Site {
    /// The words of its addresses; at least one.
    pub addresses: Vec<Word>,
    /// Its directives.
    pub body: Vec<Line>,
}

/// Finds the site. What is wrong beside it is added to `errors`.
///
/// # Errors
///
/// There is none.
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
    Ok(Site { addresses, body })
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

/// The error for a site without a hub.
pub(crate) fn without_hub(site: &Word) -> Error {
    site.error("this site has no `mercure` block")
        .remedy("add `mercure { … }`, or leave the file out to configure by variables alone")
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
                let names = site.body.into_iter().map(|line| line.name.text).collect();
                (site.addresses.len(), names)
            })
            .map_err(|error| error.to_string())
    }

    /// A site is read with or without braces, and behind an empty global block (B-281).
    #[test]
    fn one_site() {
        let expected = Ok((1, vec!["mercure".to_owned()]));
        assert_eq!(find(":80 {\n mercure {\n anonymous\n }\n}"), expected);
        assert_eq!(find("{\n}\n:80\nmercure {\n anonymous\n}\n"), expected);
        assert_eq!(find(":80, :81,\n:82 {\n mercure\n}").unwrap().0, 3);
    }

    #[test]
    fn what_is_not_one_site_is_refused() {
        let cases = [
            (
                ":80 {\n mercure\n}\n:81 {\n mercure\n}",
                "several sites in one file are not supported yet",
            ),
            (
                "&(a) {\n}\n:80\nmercure",
                "named routes are not supported yet",
            ),
            ("mercure {\n}", "the site's address is missing"),
            ("", "the configuration file has no site"),
        ];
        for (source, expected) in cases {
            let error = find(source).unwrap_err();
            assert!(error.contains(expected), "{source:?} gave {error}");
        }
    }
}
