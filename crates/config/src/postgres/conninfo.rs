//! The server as libpq names it: a URI, or `keyword=value` pairs.

use crate::error::Error;
use crate::shown::show;
use crate::source::Place;

const SCHEMES: &[&str] = &["postgres", "postgresql"];

const REMEDY: &str = "write postgres://<user>[:<password>]@<host>[:<port>][,<host>…]/<database>[?<parameter>=<value>&…], \
     percent-encode what else stands in a password than letters and digits; or write 'host=<host> user=<user> dbname=<database>'";

/// A name and its value.
pub(crate) type Pair = (String, String);

/// Whether a text has the scheme of such a URI.
pub(crate) fn is_uri(text: &str) -> bool {
    let scheme = text.split(':').next().unwrap_or_default();
    text.contains(':')
        && SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// The parameters that a text names, in the order of their precedence: the last of a name counts.
///
/// # Errors
///
/// It is neither form. What is shown of it holds no password.
pub(crate) fn pairs(place: &Place, text: &str) -> Result<Vec<Pair>, Error> {
    let wrong = |problem: &str| Error::at(&place.hidden(), problem).remedy(REMEDY);
    if is_uri(text) {
        let (_, rest) = text.split_once(':').unwrap_or_default();
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| wrong("this is not the URL of a PostgreSQL server"))?;
        return of_uri(rest, &wrong);
    }
    match text.split_once("://") {
        Some((scheme, _))
            if scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            Err(wrong(&format!(
                "{} is not the scheme of a PostgreSQL server",
                show(scheme)
            )))
        }
        _ => of_keywords(text, &wrong),
    }
}

type Wrong<'a> = &'a dyn Fn(&str) -> Error;

fn of_uri(rest: &str, wrong: Wrong<'_>) -> Result<Vec<Pair>, Error> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('#') {
        return Err(wrong("the URL holds a `#`"));
    }
    // Then the other pieces would be parts of a password.
    if tail.contains('@') {
        return Err(wrong("an `@` stands behind a `/` or a `?` of the URL"));
    }
    let mut pairs = Vec::new();
    let mut push = |name: &str, value: &str| -> Result<(), Error> {
        if !value.is_empty() {
            pairs.push((name.to_owned(), decoded(value, wrong)?));
        }
        Ok(())
    };
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    push("user", user)?;
    push("password", password)?;
    let (hosts, ports) = hosts_and_ports(hosts, wrong)?;
    push("host", &hosts)?;
    push("port", &ports)?;
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    push("dbname", path.strip_prefix('/').unwrap_or(path))?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter
            .split_once('=')
            .ok_or_else(|| wrong("a parameter of the URL has no `=`"))?;
        let (name, value) = (decoded(name, wrong)?, decoded(value, wrong)?);
        // As other libraries write it, and libpq reads it.
        match (&*name, &*value) {
            ("ssl", "true") => pairs.push(("sslmode".to_owned(), "require".to_owned())),
            _ => pairs.push((name, value)),
        }
    }
    Ok(pairs)
}

/// The lists of hosts and ports; of the ports none if no host has one.
fn hosts_and_ports(text: &str, wrong: Wrong<'_>) -> Result<(String, String), Error> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for each in text.split(',') {
        let (host, port) = match each.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest
                    .split_once(']')
                    .ok_or_else(|| wrong("a bracket of the URL is not closed"))?;
                let port = match port {
                    "" => "",
                    port => port
                        .strip_prefix(':')
                        .ok_or_else(|| wrong("something else than a port follows a bracket"))?,
                };
                (host, port)
            }
            None => each.split_once(':').unwrap_or((each, "")),
        };
        // It may be the password of a user whose `@` is missing.
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("what follows the colon behind a host is not a port"));
        }
        hosts.push(host);
        ports.push(port);
    }
    let ports = match ports.iter().all(|port| port.is_empty()) {
        true => String::new(),
        false => ports.join(","),
    };
    Ok((hosts.join(","), ports))
}

/// `keyword=value …`; a value in single quotes may hold spaces, and a backslash stands before a quote or a backslash.
fn of_keywords(text: &str, wrong: Wrong<'_>) -> Result<Vec<Pair>, Error> {
    let not_one = "this is neither the URL of a PostgreSQL server nor `keyword=value` pairs";
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong(not_one));
    }
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| wrong(not_one))?;
        let name = name.trim_end();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(wrong(not_one));
        }
        let (value, after) = value(after.trim_start(), wrong)?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// A value, and what follows it.
fn value<'a>(text: &'a str, wrong: Wrong<'_>) -> Result<(String, &'a str), Error> {
    let mut value = String::new();
    let is_quoted = text.starts_with('\'');
    let mut chars = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if is_quoted => {
                let after = text.get(at + 1..).unwrap_or_default();
                return Ok((value, after));
            }
            c if c.is_whitespace() && !is_quoted => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            c => value.push(c),
        }
    }
    match is_quoted {
        true => Err(wrong("a quote of the value is not closed")),
        false => Ok((value, "")),
    }
}

fn decoded(text: &str, wrong: Wrong<'_>) -> Result<String, Error> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded =
        decoded.map_err(|_| wrong("the URL holds percent-encoded text that is not UTF-8"))?;
    match decoded.contains('\0') {
        true => Err(wrong("the URL holds %00")),
        false => Ok(decoded.into_owned()),
    }
}
