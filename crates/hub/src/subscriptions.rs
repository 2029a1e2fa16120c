//! The subscription API (specification, "Subscription API"; B-540 to B-560).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use talaria_protocol::error::Shown;
use talaria_protocol::{Action, EARLIEST, Generation, HUB_PATH, MatcherType, ProtocolError, Topic};

use crate::access::Access;
use crate::cursor::CHUNK_BYTES;
use crate::hub::{Incoming, Shared};
use crate::presence::{Context, Document, NAMESPACE, quoted};
use crate::respond::Refused;
use crate::subscribe::authorise;

/// What stands percent-encoded in an entity tag (B-547).
const TAG: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Which subscriptions a path names.
#[derive(Debug, PartialEq, Eq)]
enum Selected {
    All,
    /// Those with this matcher.
    Matching(MatcherType, String),
    /// That of one subscriber.
    One(MatcherType, String, String),
}

/// Whether the path belongs to the API.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(NAMESPACE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers `GET` and `HEAD`.
pub(crate) async fn answer(
    hub: &Shared,
    request: &Incoming<'_>,
) -> Result<Response<Body>, Refused> {
    let parts = request.parts;
    let path = parts.uri.path();
    let selected = Selected::parse(path, hub.options.rule.oldest())?;
    let access = authorise(hub, request, false).await?;
    if let Some(access) = &access
        && !may_read(hub, access, path, parts.uri.query())
    {
        return Err(Refused::Scope {
            action: Action::Subscribe,
            topic: path.to_owned(),
        });
    }
    let (newest, mut documents) = hub.router.present();
    documents.retain(|document| selected.includes(document));
    if matches!(selected, Selected::One(..)) && documents.is_empty() {
        return Err(Refused::NotFound(path.to_owned()));
    }
    // Before anything was routed, the newest update is one of an earlier run.
    let at_start = || {
        let presence = hub.presence.as_ref()?;
        presence.newest_at_start().map(str::to_owned)
    };
    let cursor = newest
        .or_else(at_start)
        .unwrap_or_else(|| EARLIEST.to_owned());
    let answers = request.answers();
    let tag = match answers {
        Generation::V0 => cursor.clone(),
        Generation::V1 => format!("\"{}\"", utf8_percent_encode(&cursor, TAG)),
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let mut put = |name, value: &str| {
        // Ids have no control characters; an imported one that has is left out.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    };
    put(ETAG, &tag);
    // A body that a proxy changes is no longer the one that the tag names.
    put(CACHE_CONTROL, "private, must-revalidate, no-transform");
    put(
        LINK,
        &format!(
            "<{HUB_PATH}>; rel=\"mercure\"; last-event-id=\"{}\"; type=\"mercure\"; content-type=\"application/json\"",
            cursor.replace('\\', "\\\\").replace('"', "\\\"")
        ),
    );
    let known = parts.headers.get(IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    put(
        CONTENT_TYPE,
        match answers {
            Generation::V0 => "application/ld+json",
            Generation::V1 => "application/json",
        },
    );
    let body = match (&selected, documents.first()) {
        (Selected::One(..), Some(document)) => {
            Body::from(document.json(true, 0, Context::AnsweredAt(&cursor)))
        }
        _ => {
            let id = match (answers, parts.uri.query()) {
                (Generation::V0, Some(query)) => format!("{path}?{query}"),
                _ => path.to_owned(),
            };
            Body::new(Collection::new(&id, &cursor, documents, answers))
        }
    };
    *response.body_mut() = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        body
    };
    Ok(response)
}

/// The topic to authorise is the path as sent; to 0.x tokens with its query, too (B-559).
fn may_read(hub: &Shared, access: &Access, path: &str, query: Option<&str>) -> bool {
    let grants = |topic: &str| {
        let topic = Topic::new(topic, &hub.base);
        access.details.grants(Action::Subscribe, &topic)
    };
    grants(path)
        || (access.generation == Generation::V0
            && query.is_some_and(|query| grants(&format!("{path}?{query}"))))
}

impl Selected {
    fn parse(path: &str, oldest: Generation) -> Result<Self, Refused> {
        let rest = path.strip_prefix(NAMESPACE).unwrap_or_default();
        let segments: Vec<&str> = rest.split('/').skip(1).collect();
        let matcher_type = |name: &str| {
            MatcherType::from_name(name).ok_or_else(|| {
                Refused::Content(ProtocolError::malformed(
                    "match_type",
                    format!(
                        "{} in the path is not a matcher type of this hub; use exact or urlpattern",
                        Shown(name)
                    ),
                ))
            })
        };
        match (segments.as_slice(), oldest) {
            ([], _) => Ok(Self::All),
            (segments, _) if segments.contains(&"") => Err(Refused::NotFound(path.to_owned())),
            ([topic], Generation::V0) => Ok(Self::Matching(MatcherType::Selector, decoded(topic)?)),
            ([topic, subscriber], Generation::V0) if MatcherType::from_name(topic).is_none() => {
                let (topic, subscriber) = (decoded(topic)?, decoded(subscriber)?);
                Ok(Self::One(MatcherType::Selector, topic, subscriber))
            }
            ([kind, text], _) => Ok(Self::Matching(matcher_type(kind)?, decoded(text)?)),
            ([kind, text, subscriber], _) => {
                let kind = matcher_type(kind)?;
                Ok(Self::One(kind, decoded(text)?, decoded(subscriber)?))
            }
            _ => Err(Refused::NotFound(path.to_owned())),
        }
    }

    fn includes(&self, document: &Document) -> bool {
        let asked = &document.subscription;
        match self {
            Self::All => true,
            Self::Matching(kind, text) => asked.matcher_type == *kind && asked.text == *text,
            Self::One(kind, text, subscriber) => {
                asked.matcher_type == *kind
                    && asked.text == *text
                    && *document.subscriber == **subscriber
            }
        }
    }
}

fn decoded(segment: &str) -> Result<String, Refused> {
    let broken = segment.split('%').skip(1).any(|after| {
        let digits = after.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    match percent_decode_str(segment).decode_utf8() {
        Ok(text) if !broken => Ok(text.into_owned()),
        _ => Err(Refused::Content(ProtocolError::malformed(
            "path",
            format!(
                "the segment {} is not percent-encoded UTF-8; encode it exactly once",
                Shown(segment)
            ),
        ))),
    }
}

/// A collection, written while it is sent: it may name a hundred thousand subscriptions.
struct Collection {
    next: Option<String>,
    first: bool,
    documents: std::vec::IntoIter<Arc<Document>>,
}

impl Collection {
    fn new(id: &str, cursor: &str, documents: Vec<Arc<Document>>, answers: Generation) -> Self {
        let id = quoted(id);
        let head = match answers {
            Generation::V0 => format!(
                "{{\n  \"@context\": \"https://mercure.rocks/\",\n  \"id\": {id},\n  \"type\": \"Subscriptions\",\n  \"lastEventID\": {},\n  \"subscriptions\": [",
                quoted(cursor)
            ),
            Generation::V1 => format!(
                "{{\n  \"id\": {id},\n  \"type\": \"subscriptions\",\n  \"subscriptions\": ["
            ),
        };
        Self {
            next: Some(head),
            first: true,
            documents: documents.into_iter(),
        }
    }
}

impl HttpBody for Collection {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(mut chunk) = self.next.take() else {
            return Poll::Ready(None);
        };
        while chunk.len() < CHUNK_BYTES {
            match self.documents.next() {
                Some(document) => {
                    let separator = if self.first { "\n    " } else { ",\n    " };
                    self.first = false;
                    chunk.push_str(separator);
                    chunk.push_str(&document.json(true, 4, Context::Listed));
                }
                None => {
                    chunk.push_str(if self.first { "]\n}" } else { "\n  ]\n}" });
                    return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
                }
            }
        }
        self.next = Some(String::new());
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }
}
