//! One request on its way through the routes of a site (B-284, B-285).

mod answers;
mod proxying;
mod traced;

use std::future::Future;
use std::pin::Pin;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use talaria_config::settings::{Coding, Rewrite, Simple};
use talaria_hub::{Connection, Unanswered, refusal};

use super::body::{bounded, is_longer};
use super::fields::{Filled, change_answer, change_request, filled};
use super::fixed::{for_error_page, redirect, respond};
use super::log_notes::LogNotes;
use super::matching::fits;
use super::plan::{Act, Step, pages_for};
use super::target::rewritten;
use super::values::{Failure, Notes, View};
use crate::serve::handlers::encode::encode;
use crate::serve::metrics::Handler;
use crate::serve::traces::RequestSpan;

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
    /// What the routes want done with the request's line in the access log.
    log: LogNotes,
    /// Whether the peer is a trusted proxy.
    is_of_proxy: bool,
    accept_encoding: Option<HeaderValue>,
    codings: Vec<Coding>,
    changes: Vec<(HeaderName, Filled)>,
    /// The type of the answer, unless `header` sets another one.
    text_type: Option<&'static str>,
    /// Whether the answer is a file, whose type `header` may set.
    is_file: bool,
    /// Whether a folder lacked the file.
    has_missed: bool,
    /// Whether the body turned out to be longer than it may be.
    is_too_long: Option<Arc<AtomicBool>>,
    pub notes: Notes,
    /// The name of what has answered.
    handler: &'static str,
    /// The spans that the routes so far have begun, each below the one before.
    spans: Vec<RequestSpan>,
}

type Answered<'a> = Pin<Box<dyn Future<Output = Option<Response<Body>>> + Send + 'a>>;

impl Exchange {
    /// A request that has passed no route.
    pub(super) fn new(
        parts: Parts,
        body: Body,
        connection: Option<Connection>,
        is_of_proxy: bool,
        log: LogNotes,
    ) -> Self {
        Self {
            parts,
            body,
            connection,
            log,
            is_of_proxy,
            accept_encoding: None,
            codings: Vec::new(),
            changes: Vec::new(),
            text_type: None,
            is_file: false,
            has_missed: false,
            is_too_long: None,
            notes: Notes::default(),
            handler: "subroute",
            spans: Vec::new(),
        }
    }

    /// What has answered.
    pub(super) fn handler(&self) -> Handler {
        Handler {
            name: self.handler,
            has_failed: self.notes.failure.is_some(),
        }
    }

    /// Asks the routes of a site, until one answers. If that is an error, asks those for errors.
    pub(super) async fn pass(
        &mut self,
        steps: &[Step],
        hub: &(impl AskHub + Sync),
    ) -> Option<Response<Body>> {
        let has_pages = steps
            .iter()
            .any(|step| matches!(step.act, Act::Errors { .. }));
        // What answers takes the request.
        let head = has_pages.then(|| self.parts.clone());
        let mut answer = self.walk(steps, hub).await;
        let Some(head) = head else {
            return answer;
        };
        if answer.is_none() && self.has_missed {
            answer = Some(self.fail(StatusCode::NOT_FOUND, ""));
        }
        let Some(failure) = &self.notes.failure else {
            return answer;
        };
        let status = failure.status;
        let Some(steps) = pages_for(steps, status) else {
            return answer;
        };
        self.parts = for_error_page(head);
        self.body = Body::empty();
        self.text_type = None;
        self.is_file = false;
        match self.enter(steps, hub).await {
            Some(mut page) => {
                if self.is_file {
                    *page.status_mut() = status;
                }
                Some(page)
            }
            None => answer,
        }
    }

    /// Asks routes in their order, until one answers.
    async fn walk(&mut self, steps: &[Step], hub: &(impl AskHub + Sync)) -> Option<Response<Body>> {
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
            let rewrites = matches!(step.act, Act::Simple(Simple::Rewrite(Rewrite::To(_))));
            if is_exclusive && is_taken || rewrites && is_rewritten || !self.fits(step) {
                continue;
            }
            is_taken |= is_exclusive;
            // Of several `rewrite` beside each other too.
            is_rewritten |= rewrites;
            let answer = match &step.act {
                Act::Hub(own) => hub.ask(*own, self).await,
                Act::Group { steps, .. } => self.enter(steps, hub).await,
                Act::Files(files) => self.file(files).await,
                Act::TryFiles {
                    files,
                    targets,
                    otherwise,
                } => self.try_files(files, targets, *otherwise).await,
                Act::Users(users) => self.let_in(users).await,
                Act::Proxy { upstreams, up } => Some(self.pass_on(upstreams, up).await),
                Act::Encode(codings) => {
                    self.accept_encoding = self.parts.headers.get(ACCEPT_ENCODING).cloned();
                    self.codings.clone_from(codings);
                    None
                }
                Act::Errors { .. } => None,
                Act::Metrics {
                    metrics,
                    may_be_open,
                } => Some(metrics.answer(&self.parts.headers, *may_be_open).await),
                Act::Tracing(step) => {
                    self.trace(step);
                    None
                }
                Act::Simple(simple) => self.act(simple),
            };
            let Some(answer) = answer else { continue };
            self.handler = step.act.handler().unwrap_or(self.handler);
            let is_too_long = self.is_too_long.take();
            return Some(match is_too_long {
                Some(flag) if flag.load(Ordering::Relaxed) => self.too_long(),
                _ => answer,
            });
        }
        None
    }

    /// Whether a step is for this request; what its condition captured is kept.
    fn fits(&mut self, step: &Step) -> bool {
        let mut captured = Vec::new();
        let fits = fits(&step.condition, &self.view(), &mut captured);
        for captured in captured {
            self.notes.keep(captured);
        }
        fits
    }

    /// Passes the routes of a group. Boxed, because groups stand in groups.
    fn enter<'a>(&'a mut self, steps: &'a [Step], hub: &'a (impl AskHub + Sync)) -> Answered<'a> {
        Box::pin(self.walk(steps, hub))
    }

    /// Ends the request with an error; the answer is its text, unless `handle_errors` gives another one.
    fn fail(&mut self, status: StatusCode, message: &str) -> Response<Body> {
        self.notes.failure = Some(Failure {
            status,
            message: message.to_owned(),
        });
        match message {
            "" => refusal(status, status.canonical_reason().unwrap_or_default()),
            message => refusal(status, message),
        }
    }

    fn too_long(&mut self) -> Response<Body> {
        self.fail(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is longer than this site takes",
        )
    }

    /// Takes the request out; nothing is asked after that.
    pub(super) fn take(&mut self) -> Request<Body> {
        let (parts, ()) = Request::new(()).into_parts();
        let parts = std::mem::replace(&mut self.parts, parts);
        Request::from_parts(parts, std::mem::take(&mut self.body))
    }

    /// Does what needs nothing but the request.
    fn act(&mut self, simple: &Simple) -> Option<Response<Body>> {
        match simple {
            Simple::Respond {
                status,
                body,
                closes,
            } => {
                let (answer, text_type) = respond(&self.view(), *status, body, *closes);
                self.text_type = text_type;
                return Some(answer);
            }
            Simple::Redirect { status, to } => return Some(redirect(&self.view(), *status, to)),
            Simple::Fail { status, message } => {
                let status =
                    StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let message = self.view().fill(message);
                return Some(self.fail(status, &message));
            }
            Simple::Abort => {
                let mut unanswered = Response::new(Body::empty());
                // Nothing is sent; the access log says what other servers say then.
                *unanswered.status_mut() = StatusCode::from_u16(444).unwrap_or_default();
                unanswered.extensions_mut().insert(Unanswered);
                return Some(unanswered);
            }
            Simple::Rewrite(rewrite) => match rewritten(&self.view(), rewrite) {
                Some(uri) => self.parts.uri = uri,
                None => {
                    let sentence = "the rewritten target is not a path";
                    return Some(refusal(StatusCode::BAD_REQUEST, sentence));
                }
            },
            Simple::Header(changes) => {
                for change in changes {
                    let filled = filled(&self.view(), change);
                    self.changes.extend(filled);
                }
            }
            Simple::RequestHeader(changes) => {
                for change in changes {
                    if let Some((name, change)) = filled(&self.view(), change) {
                        change_request(&mut self.parts.headers, name, change);
                    }
                }
            }
            Simple::Method(method) => {
                if let Ok(method) = Method::try_from(method.as_str()) {
                    self.parts.method = method;
                }
            }
            Simple::Variables(pairs) => {
                for (name, value) in pairs {
                    let value = self.view().fill(value);
                    self.notes.variables.insert(name.clone(), value);
                }
            }
            Simple::BodyLimit(most) => return self.limit_body(*most),
            Simple::SkipLog => self.log.skip(),
            Simple::AppendLog { name, value } => self.log.append(name, self.view().fill(value)),
            Simple::NameLog(names) => self.log.name(self.view().fill_all(names)),
        }
        None
    }

    /// Refuses a body that says that it is longer, and bounds one that does not say.
    fn limit_body(&mut self, most: u64) -> Option<Response<Body>> {
        if is_longer(&self.parts.headers, most) {
            return Some(self.too_long());
        }
        let (body, is_too_long) = bounded(std::mem::take(&mut self.body), most);
        self.body = body;
        self.is_too_long = Some(is_too_long);
        None
    }

    /// Makes the changes to the answer that the routes asked for.
    pub(super) async fn finish(&mut self, mut answer: Response<Body>) -> Response<Body> {
        let changes = self.changes.drain(..);
        change_answer(answer.headers_mut(), changes, self.is_file);
        if let Some(text_type) = self.text_type {
            let text_type = HeaderValue::from_static(text_type);
            answer
                .headers_mut()
                .entry(CONTENT_TYPE)
                .or_insert(text_type);
        }
        if !self.codings.is_empty() {
            answer = encode(answer, self.accept_encoding.as_ref(), &self.codings).await;
        }
        self.end_spans(&answer);
        answer
    }

    fn view(&self) -> View<'_> {
        View {
            parts: &self.parts,
            connection: self.connection.as_ref(),
            notes: &self.notes,
        }
    }
}
