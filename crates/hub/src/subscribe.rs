//! A subscription: from a request to a cursor and the head of its stream.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use talaria_protocol::{EARLIEST, Generation, ProtocolError, SubscribeRequest, Subscription, form};
use talaria_transport::{Lookup, Position, Unavailable};
use tokio::time::timeout;

use crate::accept::{self, EventStream};
use crate::access::{Access, Role};
use crate::body::{BodyBound, check_coding, essence, read_body, received};
use crate::cursor::{Cursor, Deadlines};
use crate::hub::{Incoming, Shared};
use crate::interest::Selection;
use crate::limits::Client;
use crate::outflow::Outflow;
use crate::presence::Announced;
use crate::respond::{self, FORM, Refused};
use crate::stream::{Handover, Stream};
use crate::{Connection, Rule, UnknownCursor};

/// How long the head of a stream waits for its cursor to be looked up.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const MERCURE_LAST_EVENT_ID: HeaderName = HeaderName::from_static("mercure-last-event-id");

/// Answers `GET`, `HEAD` and `QUERY` on the hub's path (specification, "Subscription").
pub(crate) async fn subscribe(
    hub: &Shared,
    request: &Incoming<'_>,
    body: &mut Body,
) -> Result<Response<Body>, Refused> {
    let parts = request.parts;
    let accepts = accept::event_stream(&parts.headers);
    let access = authorise(hub, request, hub.options.anonymous).await?;
    // A malformed token was refused, or tokens are not looked at.
    let presented = request.presented().ok().flatten();
    let client = Client::new(parts, presented.zip(access.as_ref()));
    let answers = request.answers();
    let mut charge = hub.budgets.body(&client);
    let body = match parts.method {
        Method::QUERY => {
            check_query_media_type(&parts.headers)?;
            check_coding(&parts.headers)?;
            let bound = match access {
                Some(_) => BodyBound::of_requests(&hub.options),
                None => BodyBound::of_anonymous(&hub.options),
            };
            read_body(body, bound, &mut charge).await?
        }
        _ => Bytes::new(),
    };
    // Clients of 0.x send anything (B-1013).
    if accepts == EventStream::Refused && answers == Generation::V1 {
        let received = received(&parts.headers, &ACCEPT).unwrap_or_default();
        return Err(Refused::NotAcceptable(received));
    }
    let query = parts.uri.query().unwrap_or_default();
    let parse =
        |input| form::parse(input, &hub.options.limits).map_err(ProtocolError::in_subscription);
    let mut pairs = parse(query.as_bytes())?;
    pairs.extend(parse(&body)?);
    let asked =
        SubscribeRequest::from_pairs(&pairs, hub.options.rule, &hub.base, &hub.options.limits)?;
    drop(pairs);
    drop((body, charge));
    let requested = requested_cursor(&parts.headers, &asked);
    let refuse_for_now = |refused: Refused| {
        let mut response = respond::refuse_for_now(refused, parts, accepts)?;
        put_cursor(&mut response, answers, requested.as_deref());
        Ok(response)
    };
    if hub.drain.is_under_way() {
        return refuse_for_now(Refused::Draining);
    }
    let selection = Selection {
        matchers: asked.matchers,
        grants: access
            .as_ref()
            .map(|access| access.details.read_grants())
            .unwrap_or_default(),
    };
    let held = match hub.budgets.stream(&client, &selection) {
        Ok(held) => held,
        Err(exceeded) => return refuse_for_now(exceeded.into()),
    };
    // Joined first, resolved second: what is committed in between is in the lane.
    let membership = hub.router.join(selection, client.number());
    let Ok((position, resolved)) = resolve(hub, requested.as_deref()).await else {
        return refuse_for_now(Refused::Unavailable);
    };
    let deadlines = deadlines(hub, access.as_ref());
    let mut response = if parts.method == Method::HEAD {
        respond::event_stream(Body::empty())
    } else {
        let drain = Arc::clone(&hub.drain);
        // A client that lists the subscriptions once its stream is open finds its own, unless the
        // log is slow to store the beginning (design §7).
        let announced = announce(hub, request, &asked.subscriptions, access.as_ref()).await?;
        let cursor = Cursor::new(membership, drain, position, deadlines)
            .announced(announced)
            .holding(held);
        let handover = Handover::new(cursor);
        let stream = Stream::new(
            handover.clone(),
            Arc::clone(&hub.transport),
            Arc::clone(&hub.clock),
            parts.extensions.get::<Outflow>().cloned(),
            parts.version,
        );
        let mut response = respond::event_stream(Body::new(stream));
        response.extensions_mut().insert(handover);
        response
    };
    put_cursor(&mut response, answers, resolved.as_deref());
    tracing::debug!(
        subscriptions = asked.subscriptions.len(),
        last_event_id = requested.as_deref().map(respond::field),
        position = position.0,
        "new subscriber"
    );
    Ok(response)
}

/// Publishes that the subscriptions begin, each matcher once, if the hub does that.
async fn announce(
    hub: &Shared,
    request: &Incoming<'_>,
    subscriptions: &[Subscription],
    access: Option<&Access>,
) -> Result<Option<Announced>, ProtocolError> {
    let Some(presence) = hub.presence.as_ref() else {
        return Ok(None);
    };
    let connection = request.parts.extensions.get::<Connection>();
    let answers_older = hub.options.rule == Rule::Classic;
    let Some(mut visit) = presence.visit(access, connection, answers_older) else {
        return Ok(None);
    };
    let mut seen = HashSet::new();
    for asked in subscriptions {
        if !seen.insert((asked.matcher_type, asked.text.as_str())) {
            continue;
        }
        let payload = access.and_then(|access| access.details.payload_for(&asked.text, &hub.base));
        visit.add(asked.clone(), payload)?;
    }
    Ok(Some(presence.begin(visit, Arc::clone(&hub.drain)).await))
}

/// The access that a presented token gives; `None` for an anonymous subscriber, where these are
/// let in, and where there is no subscriber key at all.
pub(crate) async fn authorise(
    hub: &Shared,
    request: &Incoming<'_>,
    anonymous: bool,
) -> Result<Option<Access>, Refused> {
    if !hub.options.issuers.serves(Role::Subscriber) {
        // Nobody can be authorised, so tokens are not looked at (B-334).
        return Ok(None);
    }
    match request.presented()? {
        None if anonymous => Ok(None),
        None => Err(Refused::NoToken),
        Some(presented) => {
            let access = hub
                .verify(request.parts, presented, Role::Subscriber)
                .await?;
            Ok(Some(access))
        }
    }
}

/// B-1012: `QUERY` bodies need a readable media type, and it must be the form's.
fn check_query_media_type(headers: &HeaderMap) -> Result<(), Refused> {
    let field = headers
        .get(CONTENT_TYPE)
        .and_then(|field| field.to_str().ok());
    match field.map(essence) {
        Some(essence) if essence == FORM => Ok(()),
        essence => {
            let parts =
                |essence: String| essence.split('/').filter(|part| !part.is_empty()).count();
            Err(Refused::QueryMediaType {
                received: received(headers, &CONTENT_TYPE),
                unreadable: essence.map(parts) != Some(2),
            })
        }
    }
}

/// The cursor as asked: the header, else the parameter, whichever is first not empty; `Some` of
/// nothing if one is there but empty (B-350).
fn requested_cursor(headers: &HeaderMap, asked: &SubscribeRequest) -> Option<String> {
    // HTTP/1.1 removes the white space around a value, HTTP/2 leaves that to us. Browsers send
    // UTF-8, other clients a byte for each character.
    let header = headers.get(LAST_EVENT_ID).map(|value| {
        let bytes = value.as_bytes().trim_ascii();
        match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        }
    });
    let parameter = asked
        .last_event_id
        .as_ref()
        .map(|parameter| parameter.0.clone());
    match (header, parameter) {
        (Some(header), Some(parameter)) if header.is_empty() => Some(parameter),
        (header, parameter) => header.or(parameter),
    }
}

/// Where a cursor starts, and the field that says so (specification, "Reconnection").
async fn resolve(
    hub: &Shared,
    requested: Option<&str>,
) -> Result<(Position, Option<String>), Unavailable> {
    let Some(requested) = requested else {
        return Ok((hub.router.visible(), None));
    };
    let mut lookup = match requested {
        "" => Lookup::Unknown,
        EARLIEST => Lookup::Deleted,
        id => look_up(hub, id).await?,
    };
    let mut requested = Cow::Borrowed(requested);
    if matches!(lookup, Lookup::Unknown)
        && let Some(text) = undo_isomorphic_decoding(&requested)
    {
        lookup = look_up(hub, &text).await?;
        requested = text.into();
    }
    // What is committed and not yet visible is news to everybody.
    let everything = || hub.transport.bounds().floor.min(hub.router.visible());
    let (position, field) = match lookup {
        Lookup::Found(position) => (position, &*requested),
        // What followed was lost, so the client learns where it is now.
        Lookup::Past {
            position,
            ref event_id,
        } => (position, event_id.as_str()),
        Lookup::Deleted => (everything(), EARLIEST),
        Lookup::Unknown if hub.options.unknown_cursor == UnknownCursor::Replay => {
            (everything(), EARLIEST)
        }
        Lookup::Unknown | Lookup::Unsupported => (hub.router.visible(), EARLIEST),
    };
    Ok((position, Some(field.to_owned())))
}

/// Looks an id up, for so long as a client can be expected to wait for the head of its stream.
async fn look_up(hub: &Shared, id: &str) -> Result<Lookup, Unavailable> {
    let looked_up = timeout(LOOK_UP_TIMEOUT, hub.transport.position_of(id)).await;
    looked_up.unwrap_or_else(|_| {
        tracing::warn!(
            seconds = LOOK_UP_TIMEOUT.as_secs(),
            "looking up the last event id of a subscriber takes too long; it is told to come back"
        );
        Err(Unavailable)
    })
}

/// The id that a client read from a response field as one character for each byte, as scripts do
/// (Fetch standard, "isomorphic decode"), and sent back as text; `None` if it cannot be that.
fn undo_isomorphic_decoding(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    String::from_utf8(bytes.ok()?).ok()
}

fn deadlines(hub: &Shared, access: Option<&Access>) -> Deadlines {
    let now = hub.clock.now();
    let expires_at = access.and_then(|access| access.expires_at);
    let expiry = expires_at.map(|expires_at| {
        let left = (expires_at - hub.clock.unix_time()).clamp(0.0, 1e9);
        now + Duration::from_secs_f64(left)
    });
    // Jittered, so that clients never come back all at once.
    let share = rand::random_range(0.8..=1.0);
    Deadlines {
        heartbeat: hub.options.heartbeat,
        rotation: hub
            .options
            .write_timeout
            .map(|lifetime| now + lifetime.mul_f64(share)),
        expiry,
    }
}

/// Names the cursor; to 0.x clients under their name too (B-639, B-660).
fn put_cursor(response: &mut Response<Body>, answers: Generation, cursor: Option<&str>) {
    if let Some(value) = cursor.and_then(|cursor| HeaderValue::from_bytes(cursor.as_bytes()).ok()) {
        if answers == Generation::V0 {
            response.headers_mut().insert(LAST_EVENT_ID, value.clone());
        }
        response.headers_mut().insert(MERCURE_LAST_EVENT_ID, value);
    }
}
