//! Texts with placeholders that a request fills in (B-284).

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
}

impl Placeholder {
    /// The placeholder of a name, short or long.
    fn named(name: &str) -> Option<Self> {
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
            _ => Self::Field(name.strip_prefix("header.")?.to_ascii_lowercase()),
        })
    }
}

impl Template {
    /// Reads a text. What stands in braces and is not a placeholder is part of the text, because pages hold
    /// braces too.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        // Without a closing brace further on, no placeholder begins.
        while let Some(open) = rest.find('{').filter(|_| rest.contains('}')) {
            let (before, from) = rest.split_at(open);
            literal.push_str(before);
            let named = from.find('}').and_then(|close| {
                let name = from.get(1..close)?;
                Some((Placeholder::named(name)?, from.get(close + 1..)?))
            });
            match named {
                Some((placeholder, after)) => {
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
    ///
    /// # Errors
    /// The first such part.
    pub fn strict(text: &str) -> Result<Self, &str> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let braces = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'));
        let mut names = braces.map(|(name, _)| name).filter(|name| is_name(name));
        match names.find(|name| Placeholder::named(name).is_none()) {
            Some(unknown) => Err(unknown),
            None => Ok(Self::new(text)),
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
        assert_eq!(Template::strict("{host}{unknown}"), Err("unknown"));
        assert_eq!(Template::strict("{env.A}"), Err("env.A"));
        assert!(Template::strict("{\"a\": 1} {} {host}").is_ok());
    }
}
