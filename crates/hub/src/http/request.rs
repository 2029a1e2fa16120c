//! A request, the token that it presents, and what that token allows.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use http::Response;
use http::request::Parts;
use talaria_protocol::Generation;

use crate::access::{Access, PresentationError, Presented, Role, present};
use crate::http::accept::EventStream;
use crate::http::connection::{Connection, Sender};
use crate::http::identity::{self, Reached};
use crate::http::noted::note_subject;
use crate::http::respond::{self, Refused, field};
use crate::http::shared::Shared;
use crate::limits::Client;
use crate::rule::{self, Rule};
use crate::trace::{ActiveSpan, SpanKind};

/// A request and the token that it presents.
pub(crate) struct Incoming<'a> {
    pub(crate) parts: &'a Parts,
    presented: Result<Option<Presented>, PresentationError>,
    rule: Rule,
    /// What is recorded of it, if it is traced.
    span: Mutex<ActiveSpan>,
}

impl<'a> Incoming<'a> {
    /// Finds the token in a request.
    pub(crate) fn new(hub: &Shared, parts: &'a Parts) -> Self {
        let names = &hub.cookie_names[usize::from(identity::is_tls(parts))];
        let query = match hub.options.rule.oldest() {
            Generation::V0 => parts.uri.query(),
            Generation::V1 => None,
        };
        Self {
            parts,
            presented: present(&parts.headers, query, names),
            rule: hub.options.rule,
            span: Mutex::default(),
        }
    }

    /// Begins its span, if the request is traced.
    pub(crate) fn begin_span(&self, name: &'static str, kind: SpanKind) {
        self.with_span(|span| *span = ActiveSpan::of(self.parts, name, kind));
    }

    /// Calls `change` with its span.
    pub(crate) fn with_span<T>(&self, change: impl FnOnce(&mut ActiveSpan) -> T) -> T {
        change(&mut self.span.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`respond::refuse_for_now`], and the span of the request has failed.
    pub(crate) fn refuse_for_now(
        &self,
        refused: Refused,
        accepts: EventStream,
        hub: &Shared,
    ) -> Result<Response<Body>, Refused> {
        self.with_span(|span| span.fail(|| refused.as_failure()));
        let statistics = &hub.options.statistics;
        respond::refuse_for_now(
            refused,
            self.parts,
            accepts,
            statistics,
            hub.clock.unix_time(),
        )
    }

    /// Ends its span, with the reason why the request is refused, if it is.
    pub(crate) fn end_span(&self, refused: Option<&Refused>) {
        let mut span = self.with_span(std::mem::take);
        if let Some(refused) = refused {
            span.fail(|| refused.as_failure());
        }
        span.end();
    }

    /// The token, if one is presented.
    pub(crate) fn presented(&self) -> Result<Option<&Presented>, Refused> {
        match &self.presented {
            Ok(presented) => Ok(presented.as_ref()),
            Err(error) => Err(Refused::Presentation(*error)),
        }
    }

    /// The generation in which the request is answered. This may read the token, as the verifier does, so
    /// it is called only where the answers of the two generations differ.
    pub(crate) fn answers(&self) -> Generation {
        let presented = self.presented.as_ref().ok().and_then(Option::as_ref);
        rule::answers(self.rule, self.parts, presented)
    }

    /// What a presented token allows.
    pub(crate) async fn verify(
        &self,
        hub: &Shared,
        presented: &Presented,
        role: Role,
    ) -> Result<Access, Refused> {
        let reached = Reached::of(self.parts);
        let audiences = identity::audiences(&hub.options, reached.as_ref());
        let verdict = hub
            .verifier
            .verify_or_refresh(&presented.token, role, &audiences, &*hub.clock)
            .await;
        if verdict
            .as_ref()
            .is_ok_and(|access| access.ignores_older_claim)
        {
            log_ignored_claim(self.parts);
        }
        if let Ok(access) = &verdict {
            note_subject(self.parts, access.subject.as_deref());
        }
        verdict.map_err(Refused::Token)
    }

    /// The access that the token gives; `None` for an anonymous subscriber, if these are permitted, and if
    /// there is no subscriber key at all.
    pub(crate) async fn authorise(
        &self,
        hub: &Shared,
        anonymous: bool,
    ) -> Result<Option<Access>, Refused> {
        if !hub.options.issuers.serves(Role::Subscriber) {
            // No subscriber can be authorised, so tokens are ignored (B-334).
            return Ok(None);
        }
        match self.presented()? {
            None if anonymous => Ok(None),
            None => Err(Refused::NoToken),
            Some(presented) => {
                let access = self.verify(hub, presented, Role::Subscriber).await?;
                Ok(Some(access))
            }
        }
    }

    /// Who makes the request, of which `access` is what its token allows.
    pub(crate) fn client(&self, access: Option<&Access>) -> Client {
        let connection = self.parts.extensions.get::<Connection>();
        let presented = self.presented.as_ref().ok().and_then(Option::as_ref);
        Client::new(
            connection.and_then(Connection::client_address),
            connection.and_then(|connection| connection.number),
            presented.zip(access),
        )
    }
}

/// Logs for the operator why a token that is accepted grants nothing.
fn log_ignored_claim(parts: &Parts) {
    let connection = parts.extensions.get::<Connection>();
    let Sender { peer, client } = Sender::of(connection);
    tracing::info!(
        name: "token_grants_nothing",
        reason = "older_token",
        method = field(parts.method.as_str()),
        path = field(parts.uri.path()),
        peer,
        client,
        "token accepted, but it grants nothing: its claim \"mercure\" is of Mercure 0.x, and this hub reads the grants of Mercure 1.0 only; write `protocol_version_compatibility 8` to accept both, or have the application issue 1.0 tokens"
    );
}
