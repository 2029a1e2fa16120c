//! The subscription API: it lists the active subscriptions (specification, "Subscription API"). Paths, heads
//! and documents are those of the existing hub (B-540 to B-560).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use talaria_protocol::error::Shown;
use talaria_protocol::{
    Action, EARLIEST, Generation, HUB_PATH, MatcherType, ProtocolError, Subscription, Topic,
};

use talaria_transport::Frame as UpdateFrame;

use crate::access::Access;
use crate::engine::active::{
    Context, Document, Members, MembersFrom, NAMESPACE, collection_of, quoted, topic_of,
};
use crate::engine::cursor::CHUNK_BYTES;
use crate::http::request::Incoming;
use crate::http::respond::Refused;
use crate::http::shared::Shared;

/// The number of documents that are judged before other tasks have their turn.
const LOOKS: usize = 1_024;

/// The characters of an event id that are percent-encoded in an entity tag (B-547).
const TAG: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Which subscriptions a path names.
#[derive(Debug, PartialEq, Eq)]
enum Selected {
    All,
    /// The subscriptions with this matcher.
    Matching(Subscription),
    /// The subscription of one subscriber.
    One(Subscription, String),
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
    let access = request.authorise(hub, false).await?;
    if let Some(access) = &access
        && !may_read(hub, access, path, parts.uri.query())
    {
        return Err(Refused::Scope {
            action: Action::Subscribe,
            topic: path.to_owned(),
        });
    }
    let present = hub.router.present();
    let (newest, members) = (present.newest, present.members);
    let one = match &selected {
        Selected::One(asked, subscriber) => {
            let found = members.active(&topic_of(asked, subscriber)).cloned();
            Some(found.ok_or_else(|| Refused::NotFound(path.to_owned()))?)
        }
        Selected::All | Selected::Matching(_) => None,
    };
    let cursor = cursor_of(hub, newest.as_deref());
    let answers = request.answers();
    let tag = tag_of(&cursor, present.digest, answers);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    put(headers, ETAG, &tag);
    // A body that a proxy changes is no longer the one that the tag names.
    put(
        headers,
        CACHE_CONTROL,
        "private, must-revalidate, no-transform",
    );
    put(headers, LINK, &link_to_hub(&cursor));
    let known = parts.headers.get(IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    put(
        response.headers_mut(),
        CONTENT_TYPE,
        match answers {
            Generation::V0 => "application/ld+json",
            Generation::V1 => "application/json",
        },
    );
    let body = match one {
        Some(document) => Body::from(document.json(true, 0, Context::AnsweredAt(&cursor))),
        None => {
            let id = match (answers, parts.uri.query()) {
                (Generation::V0, Some(query)) => format!("{path}?{query}"),
                _ => path.to_owned(),
            };
            Body::new(Collection::new(&id, &cursor, members, selected, answers))
        }
    };
    *response.body_mut() = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        body
    };
    Ok(response)
}

/// The event id at which the list stands, from which a client that read it subscribes.
fn cursor_of(hub: &Shared, newest: Option<&UpdateFrame>) -> String {
    // Before anything was routed, the newest update is one of an earlier run.
    let at_start = || {
        let presence = hub.presence()?;
        presence.newest_at_start().map(str::to_owned)
    };
    newest
        .map(|newest| newest.event_id.to_string())
        .or_else(at_start)
        .unwrap_or_else(|| EARLIEST.to_owned())
}

/// The entity tag of the list at a cursor, and with what tells it apart from others there.
fn tag_of(cursor: &str, digest: Option<u64>, answers: Generation) -> String {
    let digest = digest.map_or_else(String::new, |digest| format!("-{digest:016x}"));
    match answers {
        Generation::V0 => format!("{cursor}{digest}"),
        Generation::V1 => format!("\"{}{digest}\"", utf8_percent_encode(cursor, TAG)),
    }
}

/// The link to the hub, with the cursor to subscribe from.
fn link_to_hub(cursor: &str) -> String {
    let cursor = cursor.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "<{HUB_PATH}>; rel=\"mercure\"; last-event-id=\"{cursor}\"; type=\"mercure\"; content-type=\"application/json\""
    )
}

/// Sets a field. Ids have no control characters; an imported one that has is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

/// Whether a token grants the list. The topic is the path as sent, or, for 0.x tokens, the path with its
/// query (B-559).
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
        let asked = |matcher_type, text: &str| {
            let text = decoded(text)?;
            Ok::<_, Refused>(Subscription { matcher_type, text })
        };
        match (segments.as_slice(), oldest) {
            ([], _) => Ok(Self::All),
            (segments, _) if segments.contains(&"") => Err(Refused::NotFound(path.to_owned())),
            ([topic], Generation::V0) => Ok(Self::Matching(asked(MatcherType::Selector, topic)?)),
            ([topic, subscriber], Generation::V0) if MatcherType::from_name(topic).is_none() => {
                let asked = asked(MatcherType::Selector, topic)?;
                Ok(Self::One(asked, decoded(subscriber)?))
            }
            ([kind, text], _) => Ok(Self::Matching(asked(matcher_type(kind)?, text)?)),
            ([kind, text, subscriber], _) => {
                let asked = asked(matcher_type(kind)?, text)?;
                Ok(Self::One(asked, decoded(subscriber)?))
            }
            _ => Err(Refused::NotFound(path.to_owned())),
        }
    }

    /// The prefix of the topics of all selected subscriptions.
    fn prefix(&self) -> String {
        match self {
            Self::All => NAMESPACE.to_owned(),
            Self::Matching(asked) => collection_of(asked),
            Self::One(asked, subscriber) => topic_of(asked, subscriber),
        }
    }

    /// Whether a subscription whose topic has the prefix is selected. The prefix does not decide: a topic
    /// of 0.x may be spelt as the name of a matcher type.
    fn includes(&self, document: &Document) -> bool {
        match self {
            Self::All => true,
            Self::Matching(asked) | Self::One(asked, _) => document.subscription == *asked,
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

/// A collection. It is written while it is sent, because it may name a hundred thousand subscriptions.
struct Collection {
    next: Option<String>,
    first: bool,
    selected: Selected,
    prefix: String,
    members: MembersFrom,
}

impl Collection {
    fn new(
        id: &str,
        cursor: &str,
        members: Members,
        selected: Selected,
        answers: Generation,
    ) -> Self {
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
        let prefix = selected.prefix();
        Self {
            next: Some(head),
            first: true,
            members: members.from(&prefix),
            selected,
            prefix,
        }
    }

    /// The next document, or `None` at the end of the list.
    fn document(&mut self) -> Option<Listed> {
        let (document, is_active) = self.members.next()?;
        if !document.topic.starts_with(&self.prefix) {
            return None;
        }
        let is_listed = is_active && self.selected.includes(&document);
        Some(is_listed.then_some(document))
    }
}

/// A document, `None` if it does not belong to the list.
type Listed = Option<Arc<Document>>;

impl HttpBody for Collection {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(mut chunk) = self.next.take() else {
            return Poll::Ready(None);
        };
        for _ in 0..LOOKS {
            if chunk.len() >= CHUNK_BYTES {
                self.next = Some(String::new());
                return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
            }
            match self.document() {
                Some(Some(document)) => {
                    let separator = if self.first { "\n    " } else { ",\n    " };
                    self.first = false;
                    chunk.push_str(separator);
                    chunk.push_str(&document.json(true, 4, Context::Listed));
                }
                Some(None) => {}
                None => {
                    chunk.push_str(if self.first { "]\n}" } else { "\n  ]\n}" });
                    return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
                }
            }
        }
        self.next = Some(chunk);
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
