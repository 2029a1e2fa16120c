//! The shape of a whole Caddyfile: sites, each with its addresses and directives (B-280 to B-286).

use crate::error::Error;
use crate::lexer::Word;
use crate::tree::Line;

/// The parts of a site.
#[derive(Debug)]
pub(crate) struct Site {
    /// The words of its addresses; at least one.
    pub addresses: Vec<Word>,
    /// Its directives.
    pub body: Vec<Line>,
}

/// Finds the sites among the lines at the top of a file. What is wrong beside them is added to `errors`.
///
/// # Errors
///
/// There is none, or where one begins and ends cannot be told.
pub(crate) fn sites(lines: Vec<Line>, errors: &mut Vec<Error>) -> Result<Vec<Site>, Error> {
    let mut lines = lines.into_iter();
    let mut sites: Vec<Site> = Vec::new();
    while let Some(first) = lines.next() {
        let mut addresses = vec![first.name];
        addresses.extend(first.args);
        let mut block = first.block;
        // A comma at the line's end continues the list of addresses (B-282).
        while block.is_none()
            && addresses
                .last()
                .is_some_and(|word| word.text.ends_with(','))
        {
            let Some(line) = lines.next() else { break };
            addresses.push(line.name);
            addresses.extend(line.args);
            block = line.block;
        }
        let Some(first) = addresses.first() else {
            continue;
        };
        top_level(first)?;
        if first.is("mercure") {
            return Err(first
                .error("the site's address is missing before `mercure`")
                .remedy("write it on a line above, for example :80"));
        }
        let body = match block {
            Some(body) => body,
            // Without braces the rest of the file is the one site (B-281).
            None if sites.is_empty() => lines.by_ref().collect(),
            None => {
                errors.push(
                    first
                        .error("this site has no block")
                        .remedy("each of several sites needs its braces: write `{` behind its addresses, and `}` on a line after its directives"),
                );
                continue;
            }
        };
        sites.push(Site { addresses, body });
    }
    if sites.is_empty() && errors.is_empty() {
        return Err(Error::new("the configuration file has no site")
            .remedy("write for example: :80 { mercure { … } }, each brace at its line's end"));
    }
    Ok(sites)
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

/// The error for a configuration without a hub.
pub(crate) fn without_hub(site: &Word) -> Error {
    site.error("this site has no `mercure` block")
        .remedy("add `mercure { … }`, or leave the file out to configure by variables alone")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tests::text;
    use crate::tree::parse;

    /// The number of addresses of each site, and its directives.
    fn find(source: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
        let document = parse(&text(source)).map_err(|error| error.to_string())?;
        let mut errors = Vec::new();
        let sites = sites(document.lines, &mut errors);
        let names = |body: Vec<Line>| body.into_iter().map(|line| line.name.text).collect();
        Error::all(errors)
            .and(sites)
            .map(|sites| {
                let sites = sites.into_iter();
                sites
                    .map(|site| (site.addresses.len(), names(site.body)))
                    .collect()
            })
            .map_err(|error| error.to_string())
    }

    /// A site is read with or without braces, and behind an empty global block (B-281).
    #[test]
    fn one_site() {
        let expected = Ok(vec![(1, vec!["mercure".to_owned()])]);
        assert_eq!(find(":80 {\n mercure {\n anonymous\n }\n}"), expected);
        assert_eq!(find("{\n}\n:80\nmercure {\n anonymous\n}\n"), expected);
        assert_eq!(find(":80, :81,\n:82 {\n mercure\n}").unwrap()[0].0, 3);
    }

    /// Each of several sites has its block (B-282).
    #[test]
    fn several_sites() {
        let found = find(":80 {\n mercure\n}\na.example, b.example {\n respond 200\n}").unwrap();
        assert_eq!(
            found,
            [
                (1, vec!["mercure".to_owned()]),
                (2, vec!["respond".to_owned()])
            ]
        );
    }

    #[test]
    fn what_is_not_a_site_is_refused() {
        let cases = [
            (":80 {\n mercure\n}\n:81\nmercure", "this site has no block"),
            (
                "&(a) {\n}\n:80\nmercure",
                "named routes are not supported yet",
            ),
            ("mercure {\n}", "the site's address is missing"),
            (":80 {\n}\nmercure {\n}", "the site's address is missing"),
            ("", "the configuration file has no site"),
        ];
        for (source, expected) in cases {
            let error = find(source).unwrap_err();
            assert!(error.contains(expected), "{source:?} gave {error}");
        }
    }
}
