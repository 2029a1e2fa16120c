//! Texts with placeholders that a request fills in (B-284).

use crate::source::Environment;

/// A text in which placeholders stand for parts of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// A part of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// `{host}`: the host without port.
    Host,
    /// `{hostport}`: the host with its port.
    HostPort,
    /// `{port}`: the port that the client named.
    Port,
    /// `{method}`.
    Method,
    /// `{path}`: the path.
    Path,
    /// `{query}`: the query, without `?`.
    Query,
    /// `{uri}`: path and query.
    Uri,
    /// `{scheme}`: `http` or `https`.
    Scheme,
    /// `{remote_host}`: the address of the peer.
    RemoteHost,
    /// `{client_ip}`: the address of the client, which a trusted proxy names.
    ClientIp,
    /// `{header.NAME}`: a field of the request.
    Field(String),
    /// `{query.NAME}`: a parameter of the query.
    Parameter(String),
    /// `{vars.NAME}`: what the directive `vars` set.
    Variable(String),
    /// `{re.NAME.GROUP}` or `{re.GROUP}`: what a group of a regular expression captured.
    Captured {
        /// The name of the regular expression; `None` for the last one that matched.
        name: Option<String>,
        /// The number or the name of the group.
        group: String,
    },
    /// `{http.auth.user.id}`: the user that `basic_auth` let in.
    User,
    /// `{err.status_code}`: the status of the error that `handle_errors` answers.
    ErrorStatus,
    /// `{err.status_text}`: the words for that status.
    ErrorText,
    /// `{err.message}`: what the error says.
    ErrorMessage,
}

impl Placeholder {
    /// The placeholder of a name, short or long.
    fn named(name: &str) -> Option<Self> {
        if let Some(known) = Self::outside_requests(name) {
            return Some(known);
        }
        let name = name.strip_prefix("http.request.").unwrap_or(name);
        Some(match name {
            "host" => Self::Host,
            "hostport" => Self::HostPort,
            "port" => Self::Port,
            "method" => Self::Method,
            "path" | "uri.path" => Self::Path,
            "query" | "uri.query" => Self::Query,
            "uri" => Self::Uri,
            "scheme" => Self::Scheme,
            "remote_host" | "remote.host" => Self::RemoteHost,
            "client_ip" => Self::ClientIp,
            _ => match name.split_once('.')? {
                ("header", field) => Self::Field(field.to_ascii_lowercase()),
                ("query", parameter) => Self::Parameter(parameter.to_owned()),
                _ => {
                    let parameter = name.strip_prefix("uri.query.")?;
                    Self::Parameter(parameter.to_owned())
                }
            },
        })
    }

    /// The placeholder of a name that is not one of the request itself.
    fn outside_requests(name: &str) -> Option<Self> {
        let after = |short: &str, long: &str| {
            let rest = name.strip_prefix(short).or_else(|| name.strip_prefix(long));
            rest.filter(|rest| !rest.is_empty())
        };
        if let Some(variable) = after("vars.", "http.vars.") {
            return Some(Self::Variable(variable.to_owned()));
        }
        if let Some(captured) = after("re.", "http.regexp.") {
            let (name, group) = match captured.split_once('.') {
                Some((name, group)) => (Some(name.to_owned()), group),
                None => (None, captured),
            };
            return Some(Self::Captured {
                name,
                group: group.to_owned(),
            });
        }
        match after("err.", "http.error.") {
            Some("status_code") => Some(Self::ErrorStatus),
            Some("status_text") => Some(Self::ErrorText),
            Some("message") => Some(Self::ErrorMessage),
            _ => (name == "http.auth.user.id").then_some(Self::User),
        }
    }
}

/// What stands for a placeholder.
enum Found {
    /// A part of the request.
    Placeholder(Placeholder),
    /// A text that does not depend on the request.
    Text(String),
}

impl Template {
    /// Reads a text. What stands in braces and is not a placeholder is part of the text, because pages hold
    /// braces too.
    pub fn new(text: &str) -> Self {
        Self::parse(text, |name| {
            Placeholder::named(name).map(Found::Placeholder)
        })
    }

    /// A text without placeholders, whatever it holds.
    pub fn literal(text: &str) -> Self {
        Self::parse(text, |_| None)
    }

    fn parse(text: &str, find: impl Fn(&str) -> Option<Found>) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        // Without a closing brace further on, no placeholder begins.
        while let Some(open) = rest.find('{').filter(|_| rest.contains('}')) {
            let (before, from) = rest.split_at(open);
            literal.push_str(before);
            let named = from.find('}').and_then(|close| {
                let name = from.get(1..close)?;
                Some((find(name)?, from.get(close + 1..)?))
            });
            match named {
                Some((Found::Text(text), after)) => {
                    literal.push_str(&text);
                    rest = after;
                }
                Some((Found::Placeholder(placeholder), after)) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Placeholder(placeholder));
                    rest = after;
                }
                None => {
                    literal.push('{');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Self(parts)
    }

    /// Reads a text as [`Self::new`] does, unless something in it looks like a placeholder and is not one.
    /// `{env.NAME}` is a variable of the environment, empty if it is not set (B-242).
    ///
    /// # Errors
    /// The first such part.
    pub fn strict<'t>(text: &'t str, environment: Environment<'_>) -> Result<Self, &'t str> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let find = |name: &str| match name.strip_prefix("env.") {
            Some(variable) => Some(Found::Text(environment(variable).unwrap_or_default())),
            None => Placeholder::named(name).map(Found::Placeholder),
        };
        let braces = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'));
        let mut names = braces.map(|(name, _)| name).filter(|name| is_name(name));
        match names.find(|name| find(name).is_none()) {
            Some(unknown) => Err(unknown),
            None => Ok(Self::parse(text, find)),
        }
    }

    /// The text with its placeholders replaced by what `value` gives.
    pub fn fill(&self, value: impl Fn(&Placeholder) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Placeholder(placeholder) => value(placeholder),
        });
        parts.collect()
    }

    /// The parts of the request that it names.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }

    /// The whole text, if it has no placeholder.
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Placeholders are replaced, and other braces stay.
    #[test]
    fn placeholders_and_braces() {
        let fill = |text: &str| Template::new(text).fill(|one| format!("<{one:?}>"));
        assert_eq!(fill("https://{host}{uri}"), "https://<Host><Uri>");
        assert_eq!(fill("{http.request.uri.path}"), "<Path>");
        assert_eq!(fill("{header.X-A}"), "<Field(\"x-a\")>");
        for text in [
            "a{b:c}d",
            "{",
            "{}",
            "}{",
            "{unknown}",
            "",
            "{{",
            "body {color:red}",
        ] {
            assert_eq!(fill(text), text);
        }
        assert_eq!(fill("{{host}}"), "{<Host>}");
        assert_eq!(Template::new("a{b}").fixed(), Some("a{b}"));
        assert_eq!(Template::new("{host}").fixed(), None);
        let strict =
            |text| Template::strict(text, &|name| (name == "A").then(|| "{host}".to_owned()));
        assert_eq!(strict("{host}{unknown}"), Err("unknown"));
        assert!(strict("{\"a\": 1} {} {host}").is_ok());
        // The text of a variable is not read again.
        assert_eq!(
            strict("<{env.A}{env.B}>").unwrap().fixed(),
            Some("<{host}>")
        );
    }

    /// Some placeholders have a short and a long name.
    #[test]
    fn placeholders_have_two_names() {
        for (short, long) in [
            ("{vars.a}", "{http.vars.a}"),
            ("{re.a.1}", "{http.regexp.a.1}"),
            ("{re.1}", "{http.regexp.1}"),
            ("{err.status_code}", "{http.error.status_code}"),
            ("{err.message}", "{http.error.message}"),
            ("{query.a}", "{http.request.uri.query.a}"),
        ] {
            let template = Template::new(short);
            assert_eq!(template, Template::new(long), "{short}");
            assert_eq!(template.fixed(), None, "{short}");
        }
        assert_eq!(Template::new("{err.x}{re.}").fixed(), Some("{err.x}{re.}"));
    }
}
