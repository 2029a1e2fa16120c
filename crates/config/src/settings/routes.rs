//! What a site does with its requests besides asking the hub (B-284).

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::settings::template::Template;

/// The routes of a site, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// Only the hub at this place among those of the program.
    pub fn of_hub(hub: usize) -> Self {
        Self(vec![Route {
            condition: Condition::Any,
            action: Action::Hub(hub),
        }])
    }

    /// The places of the hubs that are asked.
    pub fn hubs(&self) -> Vec<usize> {
        let mut hubs = Vec::new();
        collect_hubs(&self.0, &mut hubs);
        hubs
    }
}

fn collect_hubs(routes: &[Route], hubs: &mut Vec<usize>) {
    for route in routes {
        match &route.action {
            Action::Hub(hub) => hubs.push(*hub),
            Action::Group { routes, .. } => collect_hubs(routes, hubs),
            _ => {}
        }
    }
}

/// One directive: what it does, and for which requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// For which requests.
    pub condition: Condition,
    /// What it does.
    pub action: Action,
}

/// What a directive does. Those that give no answer let the request go on to the next one.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The hub at this place among those of the program answers what belongs to it (B-084).
    Hub(usize),
    /// A fixed answer.
    Respond {
        /// The status code.
        status: u16,
        /// The body.
        body: Template,
        /// Whether the connection closes.
        closes: bool,
    },
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`.
        to: Template,
    },
    /// Changes to the fields of the answer.
    Header(Vec<FieldChange>),
    /// Changes to the fields of the request.
    RequestHeader(Vec<FieldChange>),
    /// Another target for the directives that follow.
    Rewrite(Rewrite),
    /// The answers of the directives that follow are compressed, by the first of these that the client accepts.
    Encode(Vec<Coding>),
    /// A file of a folder, if the path names one.
    Files(FileSettings),
    /// The answer of another server.
    Proxy(ProxySettings),
    /// The request is left out of the access log.
    SkipLog,
    /// All of these, in this order; `handle` and `route`.
    Group {
        /// The routes within.
        routes: Vec<Route>,
        /// Whether no other exclusive group beside it is asked (`handle`).
        is_exclusive: bool,
    },
}

/// The files that `file_server` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// The folder.
    pub root: PathBuf,
    /// The names of files that stand for their folder.
    pub index: Vec<String>,
    /// Names and paths that are not shown.
    pub hidden: Vec<String>,
}

/// The servers that `reverse_proxy` asks.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxySettings {
    /// At least one.
    pub upstreams: Vec<UpstreamSettings>,
    /// Whether they are asked in turn, and not by chance.
    pub is_in_turn: bool,
    /// Changes to the fields of the request that they get, made last (`header_up`).
    pub up: Vec<FieldChange>,
}

/// A server behind this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Whether it speaks HTTPS.
    pub tls: bool,
    /// Its name or address, an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How an answer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `zstd`.
    Zstd,
    /// `br`.
    Brotli,
    /// `gzip`.
    Gzip,
}

/// Another target of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Rewrite {
    /// The path, and the query if there is one in it; else the query stays.
    To(Template),
    /// The path without this prefix, if it has it.
    WithoutPrefix(String),
    /// The path without this suffix, if it has it.
    WithoutSuffix(String),
}

/// A change to one field of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The name of the field, in lower case.
    pub name: String,
    /// What happens to it.
    pub change: Change,
}

/// What happens to a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It has this value, unless what answers sets it.
    Set(Template),
    /// It has this value, whatever what answers has set.
    Override(Template),
    /// It has this value if it is missing.
    Default(Template),
    /// It has this value besides others.
    Add(Template),
    /// It is removed.
    Remove,
}

/// Which requests a directive is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All requests.
    Any,
    /// The path is one of these (case is ignored).
    Path(Vec<PathPattern>),
    /// The host is one of these, in lower case, without port; `*.` stands for one label.
    Host(Vec<String>),
    /// The method is one of these.
    Method(Vec<String>),
    /// A field has a value; `None` for any value.
    Field {
        /// Its name, in lower case.
        name: String,
        /// Its values, of which one suffices; `None` if the field must be missing.
        values: Option<Vec<ValuePattern>>,
    },
    /// Each parameter that is named here has one of its values.
    Query(Vec<(String, ValuePattern)>),
    /// The client used HTTPS, or did not.
    Protocol {
        /// Whether HTTPS.
        tls: bool,
    },
    /// All of them hold.
    All(Vec<Condition>),
    /// The condition does not hold.
    Not(Box<Condition>),
}

/// A text in which `*` at the beginning or the end stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePattern {
    /// What stands between the asterisks.
    text: String,
    /// Whether anything may precede it.
    open_start: bool,
    /// Whether anything may follow it.
    open_end: bool,
}

impl ValuePattern {
    /// The pattern that a text stands for.
    pub fn new(text: &str) -> Self {
        let (text, open_end) = match text.strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (text, open_start) = match text.strip_prefix('*') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        Self {
            text: text.to_owned(),
            open_start,
            open_end,
        }
    }

    /// Whether a value fits.
    pub fn fits(&self, value: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => value == self.text,
            (false, true) => value.starts_with(&self.text),
            (true, false) => value.ends_with(&self.text),
            (true, true) => value.contains(&self.text),
        }
    }
}

/// A pattern of paths: `*` within it stands for anything but a slash, at its ends for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
}

impl PathPattern {
    /// The pattern that a text stands for. Percent-encoded characters stand for themselves.
    pub fn new(text: &str) -> Self {
        let text = percent_decode_str(text).decode_utf8_lossy();
        Self {
            text: text.to_ascii_lowercase(),
        }
    }

    /// How many characters it has; of two directives, the one whose pattern is longer is asked first.
    pub fn length(&self) -> usize {
        self.text.trim_end_matches('*').len()
    }

    /// Whether a path fits.
    pub fn fits(&self, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        let inner = self.text.trim_start_matches('*').trim_end_matches('*');
        if inner.contains('*') {
            return fits_parts(&self.text, &path);
        }
        ValuePattern::new(&self.text).fits(&path)
    }
}

/// Whether a path fits a pattern with asterisks within it. Each asterisk takes as little as it can, and an
/// asterisk at the end takes all that is left, so the costs grow with the path only.
fn fits_parts(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if is_last && part.is_empty() {
            return true;
        }
        let reach = rest.find('/').unwrap_or(rest.len());
        if is_last {
            let Some(taken) = rest.strip_suffix(part) else {
                return false;
            };
            return taken.len() <= reach;
        }
        match rest.find(part) {
            Some(at) if at <= reach => rest = rest.get(at + part.len()..).unwrap_or_default(),
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path is compared as a whole, without regard to case; asterisks as B-282 has them.
    #[test]
    fn paths_fit_patterns() {
        for (pattern, path, fits) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/A", "/a", true),
            ("/a", "/a/", false),
            ("/a*", "/abc/d", true),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", true),
            ("*.php", "/a/b.php", true),
            ("*.php", "/a/b.php/c", false),
            ("*/x/*", "/a/x/b", true),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/*/c", "/a//c", true),
            ("/a/*/c*", "/a/b/cd/e", true),
            ("/a*b*c", "/axbyc", true),
            ("/a*b*c", "/axbyd", false),
            ("*", "/anything", true),
        ] {
            assert_eq!(
                PathPattern::new(pattern).fits(path),
                fits,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn values_fit_patterns() {
        for (pattern, value, fits) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a*", "ab", true),
            ("*a", "ba", true),
            ("*a*", "bab", true),
            ("*", "", true),
        ] {
            assert_eq!(
                ValuePattern::new(pattern).fits(value),
                fits,
                "{pattern} {value}"
            );
        }
    }
}
