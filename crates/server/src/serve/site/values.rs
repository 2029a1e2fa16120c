//! What the placeholders of a request stand for (B-284).

use std::collections::HashMap;

use http::request::Parts;
use http::{StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use talaria_config::settings::{Placeholder, Template};
use talaria_hub::{Connection, host_of};

use crate::serve::log::Clean;

/// What is encoded in a decoded text, so that it can stand in a path or a query.
pub(super) const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What the routes so far have learnt of a request.
#[derive(Default)]
pub(super) struct Notes {
    /// What `vars` set.
    pub variables: HashMap<String, String>,
    /// What regular expressions captured, the latest last.
    pub captured: Vec<Captured>,
    /// The user that `basic_auth` let in.
    pub user: Option<String>,
    /// The error that ends the request.
    pub failure: Option<Failure>,
}

impl Notes {
    /// Keeps what a regular expression captured; what one of the same name captured before is forgotten.
    pub(super) fn keep(&mut self, captured: Captured) {
        self.captured.retain(|known| known.name != captured.name);
        self.captured.push(captured);
    }
}

/// What a regular expression captured.
pub(super) struct Captured {
    /// The name of the regular expression.
    pub name: Option<String>,
    /// The texts, each with the name of its group.
    pub groups: Vec<(Option<String>, String)>,
}

impl Captured {
    /// What a group captured, by its number or its name.
    fn group(&self, group: &str) -> Option<&str> {
        let found = match group.parse::<usize>() {
            Ok(number) => self.groups.get(number),
            Err(_) => self
                .groups
                .iter()
                .find(|(name, _)| name.as_deref() == Some(group)),
        };
        found.map(|(_, text)| text.as_str())
    }
}

/// An error that ends a request.
pub(super) struct Failure {
    /// Its status.
    pub status: StatusCode,
    /// What it says.
    pub message: String,
}

/// A request and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// The head, as the routes so far have changed it.
    pub parts: &'a Parts,
    /// The connection, with the client's address if a trusted proxy names it.
    pub connection: Option<&'a Connection>,
    /// What the routes have learnt.
    pub notes: &'a Notes,
}

impl View<'_> {
    /// The text with its placeholders replaced.
    pub(super) fn fill(&self, template: &Template) -> String {
        match template.fixed() {
            Some(text) => text.to_owned(),
            None => template.fill(|placeholder| self.value(placeholder)),
        }
    }

    /// As [`Self::fill`], without the secrets that a log leaves out.
    pub(super) fn fill_public(&self, template: &Template) -> String {
        let filled = template.fill(|placeholder| {
            let value = self.value(placeholder);
            let clean = match placeholder {
                Placeholder::Field(name) => Clean::of_field(name, &value),
                Placeholder::Parameter(name) => Clean::of_parameter(name, &value),
                _ => Clean::of(&value),
            };
            clean.into()
        });
        // Values beside each other may make a secret, too.
        Clean::of(&filled).into()
    }

    /// The same of several texts.
    pub(super) fn fill_all(&self, templates: &[Template]) -> Vec<String> {
        templates
            .iter()
            .map(|template| self.fill(template))
            .collect()
    }

    /// A target: what was decoded is encoded again, so that it cannot end the path.
    pub(super) fn fill_target(&self, template: &Template) -> String {
        template.fill(|placeholder| match placeholder {
            Placeholder::Captured { .. }
            | Placeholder::Variable(_)
            | Placeholder::Parameter(_)
            | Placeholder::Field(_) => {
                utf8_percent_encode(&self.value(placeholder), PATH).to_string()
            }
            _ => self.value(placeholder),
        })
    }

    /// The target of a redirect: what a regular expression captured is encoded again, so that it cannot name a host.
    pub(super) fn fill_location(&self, template: &Template) -> String {
        template.fill(|placeholder| match placeholder {
            Placeholder::Captured { .. } => {
                utf8_percent_encode(&self.value(placeholder), PATH).to_string()
            }
            _ => self.value(placeholder),
        })
    }

    /// What a placeholder stands for; nothing if it is not known.
    pub(super) fn value(&self, placeholder: &Placeholder) -> String {
        let uri = &self.parts.uri;
        let authority = || host_of(self.parts).ok().flatten();
        let peer = || self.connection.and_then(|connection| connection.peer);
        match placeholder {
            Placeholder::Host => authority().map(|host| host.host()),
            Placeholder::HostPort => authority().map(|host| match host.port() {
                Some(port) => format!("{}:{port}", host.host()),
                None => host.host(),
            }),
            Placeholder::Port => authority().and_then(|host| Some(host.port()?.to_string())),
            Placeholder::Method => Some(self.parts.method.to_string()),
            Placeholder::Path => Some(one_slash(uri.path())),
            Placeholder::Query => uri.query().map(str::to_owned),
            Placeholder::Uri => uri
                .path_and_query()
                .map(|target| one_slash(target.as_str())),
            Placeholder::Scheme => Some(self.scheme().to_owned()),
            Placeholder::RemoteHost => peer().map(|peer| peer.ip().to_canonical().to_string()),
            Placeholder::ClientIp => self
                .connection
                .and_then(|connection| connection.client)
                .or_else(|| peer().map(|peer| peer.ip()))
                .map(|address| address.to_canonical().to_string()),
            Placeholder::Field(name) => self.field(name),
            Placeholder::Parameter(name) => parameter(uri, name),
            Placeholder::Variable(name) => self.notes.variables.get(name).cloned(),
            Placeholder::Captured { name, group } => self.captured(name.as_deref(), group),
            Placeholder::User => self.notes.user.clone(),
            Placeholder::ErrorStatus => self
                .failure()
                .map(|failure| failure.status.as_str().to_owned()),
            Placeholder::ErrorText => {
                let text = self
                    .failure()
                    .and_then(|failure| failure.status.canonical_reason());
                text.map(str::to_owned)
            }
            Placeholder::ErrorMessage => self.failure().map(|failure| failure.message.clone()),
        }
        .unwrap_or_default()
    }

    fn captured(&self, name: Option<&str>, group: &str) -> Option<String> {
        let mut latest = self.notes.captured.iter().rev();
        let captured = match name {
            Some(name) => latest.find(|captured| captured.name.as_deref() == Some(name)),
            None => latest.next(),
        };
        captured?.group(group).map(str::to_owned)
    }

    fn failure(&self) -> Option<&Failure> {
        self.notes.failure.as_ref()
    }

    /// `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls() { "https" } else { "http" }
    }

    /// Whether the client used HTTPS.
    pub(super) fn tls(&self) -> bool {
        self.connection.is_some_and(|connection| connection.tls)
    }

    /// All values of a field, as one.
    fn field(&self, name: &str) -> Option<String> {
        let values = self.parts.headers.get_all(name).iter();
        let texts: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }
}

/// The first value of a parameter of the query, decoded.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    let found = pairs.find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned())
}

/// A target that cannot name another host where it is written behind nothing.
fn one_slash(target: &str) -> String {
    // Browsers read a backslash as a slash.
    format!("/{}", target.trim_start_matches(['/', '\\']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket for both families gives IPv4 clients addresses of IPv6; a field has all its values, whatever their
    /// bytes.
    #[test]
    fn addresses_and_fields_are_whole() {
        let request = http::Request::builder()
            .header("x-a", "1")
            .header("x-a", http::HeaderValue::from_bytes(b"\xe9").unwrap());
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut connection = Connection {
            peer: Some("[::ffff:203.0.113.9]:7".parse().unwrap()),
            ..Connection::default()
        };
        let notes = Notes::default();
        let fill = |connection: &Connection, text: &str| {
            let view = View {
                parts: &parts,
                connection: Some(connection),
                notes: &notes,
            };
            view.fill(&Template::new(text))
        };
        let both = "{remote_host} {client_ip}";
        assert_eq!(fill(&connection, both), "203.0.113.9 203.0.113.9");
        connection.client = Some("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(fill(&connection, both), "203.0.113.9 192.0.2.1");
        let field = fill(&connection, "{header.X-A}|{header.X-B}");
        assert_eq!(field, "1,\u{fffd}|");
    }
}
