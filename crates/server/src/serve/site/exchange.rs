//! One request on its way through the routes of a site (B-284, B-285).

use std::future::Future;
use std::pin::Pin;

use axum::body::Body;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use talaria_config::settings::{
    Action, Change, Coding, FieldChange, Placeholder, Rewrite, Template,
};
use talaria_hub::{Connection, host_of, plain, refusal};

use super::fields::{Filled, change_answer, change_request};
use super::matching::fits;
use super::plan::{Act, Step};
use crate::serve::handlers::encode::encode;
use crate::serve::handlers::proxy::{Forwarded, Upstreams};

/// What asks a hub: it gets the request if the request is the hub's.
pub(super) trait AskHub {
    /// The answer of the hub at this place; `None` if the request does not belong to it.
    fn ask(
        &self,
        hub: usize,
        exchange: &mut Exchange,
    ) -> impl Future<Output = Option<Response<Body>>> + Send;
}

/// A request, and what the routes that it passed want done with its answer.
pub(super) struct Exchange {
    /// The head of the request, as the routes so far have changed it.
    pub parts: Parts,
    /// Its body, until something takes it.
    pub body: Body,
    /// The connection, with the client's address if a trusted proxy names it.
    pub connection: Option<Connection>,
    /// Whether the request is left out of the access log.
    pub skips_log: bool,
    /// Whether the peer is a trusted proxy.
    is_of_proxy: bool,
    accept_encoding: Option<HeaderValue>,
    codings: Vec<Coding>,
    changes: Vec<(HeaderName, Filled)>,
    /// The type of the answer, unless `header` sets another one.
    text_type: Option<&'static str>,
}

type Answered<'a> = Pin<Box<dyn Future<Output = Option<Response<Body>>> + Send + 'a>>;

impl Exchange {
    /// A request that has passed no route.
    pub(super) fn new(
        parts: Parts,
        body: Body,
        connection: Option<Connection>,
        is_of_proxy: bool,
    ) -> Self {
        Self {
            parts,
            body,
            connection,
            skips_log: false,
            is_of_proxy,
            accept_encoding: None,
            codings: Vec::new(),
            changes: Vec::new(),
            text_type: None,
        }
    }

    /// Asks the routes in their order, until one answers.
    pub(super) async fn pass(
        &mut self,
        steps: &[Step],
        hub: &(impl AskHub + Sync),
    ) -> Option<Response<Body>> {
        // Of the exclusive groups beside each other only the first that fits is asked.
        let mut is_taken = false;
        let mut is_rewritten = false;
        for step in steps {
            let is_exclusive = matches!(
                step.act,
                Act::Group {
                    is_exclusive: true,
                    ..
                }
            );
            let rewrites = matches!(step.act, Act::Own(Action::Rewrite(Rewrite::To(_))));
            if is_exclusive && is_taken
                || rewrites && is_rewritten
                || !fits(&step.condition, &self.parts, self.tls())
            {
                continue;
            }
            is_taken |= is_exclusive;
            // Of several `rewrite` beside each other too.
            is_rewritten |= rewrites;
            let answer = match &step.act {
                Act::Hub(own) => hub.ask(*own, self).await,
                Act::Group { steps, .. } => self.enter(steps, hub).await,
                Act::Files(files) => files.serve(&self.parts).await,
                Act::Proxy { upstreams, up } => Some(self.pass_on(upstreams, up).await),
                Act::Encode(codings) => {
                    self.accept_encoding = self.parts.headers.get(ACCEPT_ENCODING).cloned();
                    self.codings.clone_from(codings);
                    None
                }
                Act::Own(action) => self.act(action),
            };
            if answer.is_some() {
                return answer;
            }
        }
        None
    }

    /// Passes the routes of a group. Boxed, because groups stand in groups.
    fn enter<'a>(&'a mut self, steps: &'a [Step], hub: &'a (impl AskHub + Sync)) -> Answered<'a> {
        Box::pin(self.pass(steps, hub))
    }

    /// Lets another server answer.
    async fn pass_on(&mut self, upstreams: &Upstreams, up: &[FieldChange]) -> Response<Body> {
        let up: Vec<_> = up.iter().filter_map(|change| self.filled(change)).collect();
        let peer = self.connection.and_then(|connection| connection.peer);
        let forwarded = Forwarded {
            peer: peer.map(|peer| peer.ip()),
            is_trusted: self.is_of_proxy,
            scheme: self.scheme(),
            host: self.value(&Placeholder::HostPort),
        };
        let change = |headers: &mut HeaderMap| {
            for (name, change) in up {
                change_request(headers, name, change);
            }
        };
        upstreams.proxy(self.take(), forwarded, change).await
    }

    /// Takes the request out; nothing is asked after that.
    pub(super) fn take(&mut self) -> Request<Body> {
        let (parts, ()) = Request::new(()).into_parts();
        let parts = std::mem::replace(&mut self.parts, parts);
        Request::from_parts(parts, std::mem::take(&mut self.body))
    }

    /// Does what needs neither the hub nor other routes.
    fn act(&mut self, action: &Action) -> Option<Response<Body>> {
        match action {
            Action::Respond {
                status,
                body,
                closes,
            } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
                let text = self.fill(body);
                self.text_type = type_of(&text);
                let mut answer = plain(status, text);
                answer.headers_mut().remove(CONTENT_TYPE);
                if *closes {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                Some(answer)
            }
            Action::Redirect { status, to } => Some(self.redirect(*status, to)),
            Action::Header(changes) => {
                for change in changes {
                    let filled = self.filled(change);
                    self.changes.extend(filled);
                }
                None
            }
            Action::RequestHeader(changes) => {
                for change in changes {
                    if let Some((name, filled)) = self.filled(change) {
                        change_request(&mut self.parts.headers, name, filled);
                    }
                }
                None
            }
            Action::Rewrite(rewrite) => self.rewrite(rewrite),
            Action::SkipLog => {
                self.skips_log = true;
                None
            }
            // The steps of a plan have these themselves.
            Action::Hub(_)
            | Action::Encode(_)
            | Action::Files(_)
            | Action::Proxy(_)
            | Action::Group { .. } => None,
        }
    }

    fn redirect(&self, status: u16, to: &Template) -> Response<Body> {
        let Ok(location) = HeaderValue::try_from(self.fill(to)) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "the target of the redirect holds a character that no header field can carry",
            );
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
        let mut answer = plain(status, "");
        answer.headers_mut().remove(CONTENT_TYPE);
        answer.headers_mut().insert(LOCATION, location);
        answer
    }

    /// Changes the target for the routes that follow; gives an answer only if that is impossible.
    fn rewrite(&mut self, rewrite: &Rewrite) -> Option<Response<Body>> {
        let (path, query) = (self.parts.uri.path(), self.parts.uri.query());
        let (path, query) = match rewrite {
            Rewrite::To(to) => {
                let target = self.fill(to);
                match target.split_once('?') {
                    Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
                    None => (target, query.map(str::to_owned)),
                }
            }
            Rewrite::WithoutPrefix(prefix) => {
                let rest = path.strip_prefix(prefix.as_str()).unwrap_or(path);
                (rest.to_owned(), query.map(str::to_owned))
            }
            Rewrite::WithoutSuffix(suffix) => {
                let rest = path.strip_suffix(suffix.as_str()).unwrap_or(path);
                (rest.to_owned(), query.map(str::to_owned))
            }
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let target = match query.filter(|query| !query.is_empty()) {
            Some(query) => format!("{slash}{path}?{query}"),
            None => format!("{slash}{path}"),
        };
        let mut uri = self.parts.uri.clone().into_parts();
        let rewritten = PathAndQuery::try_from(target).ok().and_then(|target| {
            uri.path_and_query = Some(target);
            Uri::from_parts(uri).ok()
        });
        match rewritten {
            Some(uri) => {
                self.parts.uri = uri;
                None
            }
            None => Some(refusal(
                StatusCode::BAD_REQUEST,
                "the rewritten target is not a path",
            )),
        }
    }

    fn filled(&self, change: &FieldChange) -> Option<(HeaderName, Filled)> {
        let name = HeaderName::try_from(change.name.as_str()).ok()?;
        // A value that a client has spoilt is left out.
        let value = |template| HeaderValue::try_from(self.fill(template)).ok();
        let filled = match &change.change {
            Change::Set(template) => Filled::Set(value(template)?),
            Change::Override(template) => Filled::Override(value(template)?),
            Change::Default(template) => Filled::Default(value(template)?),
            Change::Add(template) => Filled::Add(value(template)?),
            Change::Remove => Filled::Remove,
        };
        Some((name, filled))
    }

    /// Makes the changes to the answer that the routes asked for.
    pub(super) async fn finish(&mut self, mut answer: Response<Body>) -> Response<Body> {
        // What is a stream stays one, for what follows it and for its client.
        let is_stream = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let changes = self.changes.drain(..);
        let changes = changes.filter(|(name, _)| !is_stream || name != CONTENT_TYPE);
        change_answer(answer.headers_mut(), changes);
        if let Some(text_type) = self.text_type {
            let text_type = HeaderValue::from_static(text_type);
            answer
                .headers_mut()
                .entry(CONTENT_TYPE)
                .or_insert(text_type);
        }
        match self.codings.is_empty() {
            true => answer,
            false => encode(answer, self.accept_encoding.as_ref(), &self.codings).await,
        }
    }

    fn fill(&self, template: &Template) -> String {
        match template.fixed() {
            Some(text) => text.to_owned(),
            None => template.fill(|placeholder| self.value(placeholder)),
        }
    }

    fn value(&self, placeholder: &Placeholder) -> String {
        let uri = &self.parts.uri;
        let authority = || host_of(&self.parts).ok().flatten();
        let connection = self.connection.as_ref();
        let peer = || connection.and_then(|connection| connection.peer);
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
            Placeholder::RemoteHost => peer().map(|peer| peer.ip().to_string()),
            Placeholder::ClientIp => connection
                .and_then(|connection| connection.client)
                .or_else(|| peer().map(|peer| peer.ip()))
                .map(|address| address.to_string()),
            Placeholder::Field(name) => self.field(name).map(str::to_owned),
        }
        .unwrap_or_default()
    }

    fn scheme(&self) -> &'static str {
        if self.tls() { "https" } else { "http" }
    }

    fn tls(&self) -> bool {
        self.connection.is_some_and(|connection| connection.tls)
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

/// A target that cannot name another host where it is written behind nothing.
fn one_slash(target: &str) -> String {
    format!("/{}", target.trim_start_matches('/'))
}

/// The type of a fixed text.
fn type_of(text: &str) -> Option<&'static str> {
    let is_json =
        text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(text).is_ok();
    match (text.is_empty(), is_json) {
        (true, _) => None,
        (false, true) => Some("application/json"),
        (false, false) => Some("text/plain; charset=utf-8"),
    }
}
