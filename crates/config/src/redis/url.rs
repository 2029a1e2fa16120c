//! The server as a URL (B-260), which is read as the lines of a block that it stands for.

use url::form_urlencoded;

use crate::error::Error;
use crate::lexer::Word;
use crate::shown::show;
use crate::source::Place;
use crate::tree::Line;

/// The schemes, whether TLS is spoken, and whether the URL names a socket in the file system.
const SCHEMES: &[(&str, bool, bool)] = &[
    ("redis", false, false),
    ("rediss", true, false),
    ("valkey", false, false),
    ("valkeys", true, false),
    ("redis+unix", false, true),
    ("valkey+unix", false, true),
    ("unix", false, true),
];

/// The parameters that have another name in a block.
const ALIASES: &[(&str, &str)] = &[("max_len_approx", "max_length"), ("db", "database")];

/// Options that a URL says without a parameter.
const NOT_PARAMETERS: &[&str] = &["url", "address", "addresses"];

const REMEDY: &str = "write redis://[[<user>:]<password>@]<host>[:<port>][/<database>], rediss://… for TLS, or unix:/<path>; \
     percent-encode what else stands in a password than letters and digits";

/// A line of a block that a URL stands for.
pub(crate) struct Part {
    pub(crate) line: Line,
    /// Whether it is a parameter of the URL.
    pub(crate) is_parameter: bool,
}

/// Whether a text has the scheme of such a URL.
pub(crate) fn is_one(text: &str) -> bool {
    let scheme = text.split(':').next().unwrap_or_default();
    SCHEMES
        .iter()
        .any(|(known, ..)| scheme.eq_ignore_ascii_case(known))
}

/// The lines that a URL stands for. The line of `place` is never shown.
///
/// # Errors
///
/// It is not such a URL. What is shown of it holds no password.
pub(crate) fn parts(place: &Place, text: &str) -> Result<Vec<Part>, Error> {
    let place = place.hidden();
    let wrong = |problem: &str| Error::at(&place, problem).remedy(REMEDY);
    let (scheme, rest) = text
        .split_once(':')
        .ok_or_else(|| wrong("this is not the URL of a Redis server"))?;
    let known = SCHEMES
        .iter()
        .find(|(known, ..)| scheme.eq_ignore_ascii_case(known));
    let (_, is_encrypted, is_socket) = *known.ok_or_else(|| {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        match rest.starts_with("//") && scheme.chars().all(is_scheme) {
            true => wrong(&format!(
                "{} is not the scheme of a Redis server",
                show(scheme)
            )),
            false => wrong("this is not the URL of a Redis server"),
        }
    })?;
    let rest = match (rest.strip_prefix("//"), is_socket) {
        (Some(rest), _) => rest,
        (None, true) => rest,
        (None, false) => return Err(wrong("this is not the URL of a Redis server")),
    };
    let pieces = Pieces::of(rest, &wrong)?;
    let lines = Lines { place: &place };
    let mut parts = pieces.server(&lines, is_socket, &wrong)?;
    parts.extend(pieces.credentials(&lines, &wrong)?);
    let mut encrypted = is_encrypted;
    for (name, value) in form_urlencoded::parse(pieces.query.as_bytes()) {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(&*name, |(_, name)| name);
        if NOT_PARAMETERS.contains(&name) {
            return Err(wrong(&format!("{} is not a parameter", show(name))));
        }
        match name {
            // Taken with the hosts.
            "sentinel" => {}
            "tls" => match (&*value, is_encrypted) {
                ("" | "1" | "true" | "on" | "yes", _) => encrypted = true,
                ("0" | "false" | "off" | "no", false) => {}
                ("0" | "false" | "off" | "no", true) => {
                    return Err(wrong(
                        "the scheme says TLS, and the parameter `tls` says none",
                    ));
                }
                _ => return Err(wrong("`tls` is neither 1 nor 0")),
            },
            _ => parts.push(lines.parameter(name, &value)),
        }
    }
    if encrypted {
        parts.push(lines.part("tls", Vec::new()));
    }
    Ok(parts)
}

/// Makes the lines.
struct Lines<'a> {
    place: &'a Place,
}

impl Lines<'_> {
    fn word(&self, text: &str) -> Word {
        Word {
            text: text.to_owned(),
            place: self.place.clone(),
            quoted: true,
            line: 0,
            end_line: 0,
        }
    }

    fn part(&self, name: &str, args: Vec<&str>) -> Part {
        let line = Line {
            name: self.word(name),
            args: args.into_iter().map(|text| self.word(text)).collect(),
            block: None,
        };
        Part {
            line,
            is_parameter: false,
        }
    }

    fn parameter(&self, name: &str, value: &str) -> Part {
        let args = match name {
            // The one option of several words.
            "client_certificate" => value.split_whitespace().collect(),
            _ if value.is_empty() => Vec::new(),
            _ => vec![value],
        };
        Part {
            is_parameter: true,
            ..self.part(name, args)
        }
    }
}

type Wrong<'a> = &'a dyn Fn(&str) -> Error;

/// The pieces of a URL after its scheme, as they are written.
struct Pieces<'a> {
    user: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Pieces<'a> {
    fn of(rest: &'a str, wrong: Wrong<'_>) -> Result<Self, Error> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        if tail.contains('#') {
            return Err(wrong("the URL holds a `#`"));
        }
        // Then the other pieces would be parts of a password.
        if tail.contains('@') {
            return Err(wrong("an `@` stands behind a `/` or a `?` of the URL"));
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        Ok(Self {
            user,
            hosts,
            path,
            query,
        })
    }

    /// The lines that name the server.
    fn server(
        &self,
        lines: &Lines<'_>,
        is_socket: bool,
        wrong: Wrong<'_>,
    ) -> Result<Vec<Part>, Error> {
        let sentinel = form_urlencoded::parse(self.query.as_bytes());
        let sentinel = sentinel.filter(|(name, _)| name == "sentinel").last();
        if is_socket {
            let path = decoded(self.path, wrong)?;
            if !self.hosts.is_empty() || !path.starts_with('/') {
                return Err(wrong("the path of a socket must be absolute"));
            }
            if sentinel.is_some() {
                return Err(wrong("a socket is not the address of a Sentinel"));
            }
            return Ok(vec![lines.part("address", vec![&format!("unix:{path}")])]);
        }
        if self.hosts.is_empty() {
            return Err(wrong("the URL names no host"));
        }
        let hosts = self.hosts.split(',');
        let mut parts = vec![match &sentinel {
            Some((_, name)) => {
                lines.part("sentinel", std::iter::once(&**name).chain(hosts).collect())
            }
            None => lines.part("addresses", hosts.collect()),
        }];
        match self.path.strip_prefix('/').unwrap_or(self.path) {
            "" => {}
            number if number.parse::<u32>().is_ok() => {
                parts.push(lines.part("database", vec![number]));
            }
            other => {
                return Err(wrong(&format!(
                    "the database {} of the URL is not a number",
                    show(other)
                )));
            }
        }
        Ok(parts)
    }

    /// The lines with the user and the password.
    fn credentials(&self, lines: &Lines<'_>, wrong: Wrong<'_>) -> Result<Vec<Part>, Error> {
        let Some(user) = self.user else {
            return Ok(Vec::new());
        };
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user, None),
        };
        let mut parts = Vec::new();
        for (name, text) in [("username", Some(user)), ("password", password)] {
            let text = text.filter(|text| !text.is_empty());
            if let Some(text) = text {
                parts.push(lines.part(name, vec![&decoded(text, wrong)?]));
            }
        }
        Ok(parts)
    }
}

fn decoded(text: &str, wrong: Wrong<'_>) -> Result<String, Error> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded =
        decoded.map_err(|_| wrong("the URL holds percent-encoded text that is not UTF-8"));
    decoded.map(|text| text.into_owned())
}
