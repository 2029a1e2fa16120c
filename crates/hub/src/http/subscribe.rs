//! Subscribing: from a request to a cursor and the head of its stream.

mod asked;
mod connected;
mod traced;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use talaria_protocol::{
    EARLIEST, Generation, MatcherSet, ProtocolError, SubscribeRequest, Subscription,
};
use talaria_transport::{Lookup, Position, Unavailable};
use tokio::time::timeout;
use uuid::Uuid;

use self::asked::read_request;
use self::connected::Subscriber;
use crate::access::Access;
use crate::engine::cursor::{Cursor, Deadlines};
use crate::engine::interests::Selection;
use crate::engine::permit::Share;
use crate::engine::router::Membership;
use crate::http::accept;
use crate::http::connection::Connection;
use crate::http::noted::note_subscriptions;
use crate::http::outflow::Outflow;
use crate::http::request::Incoming;
use crate::http::respond::{self, Refused};
use crate::http::shared::Shared;
use crate::http::stream::{Handover, Stream};
use crate::options::UnknownCursor;
use crate::presence::{Announced, Reconciler};
use crate::rule::Rule;
use crate::statistics::Replay;
use crate::trace::Deliveries;

/// How long the head of a stream waits for the look-up of its last event id.
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
    let access = request.authorise(hub, hub.options.anonymous).await?;
    let client = request.client(access.as_ref());
    let answers = request.answers();
    let asked = read_request(hub, request, body, access.is_some(), &client).await?;
    note_subscriptions(parts, &asked.subscriptions);
    let requested = requested_cursor(&parts.headers, &asked);
    let statistics = &hub.options.statistics;
    let refuse_for_now = |refused: Refused| {
        let mut response = request.refuse_for_now(refused, accepts, hub)?;
        put_cursor(&mut response, answers, requested.as_deref());
        Ok(response)
    };
    if hub.drain.has_begun() {
        return refuse_for_now(Refused::Draining);
    }
    let selection = selection(asked.matchers, access.as_ref());
    let opens = hub.budgets.opens(&client, hub.clock.now());
    let held = match opens.and_then(|()| hub.budgets.stream(&client, &selection)) {
        Ok(held) => held,
        Err(exceeded) => return refuse_for_now(exceeded.into()),
    };
    // The reader joins before the position is resolved: what is committed in between is in the lane.
    let membership = hub.router.join(selection, client.number());
    let mut replay = traced::Replay::begin(hub, request, requested.as_deref());
    let Ok(resolved) = resolve(hub, requested.as_deref()).await else {
        statistics.replays(Replay::Unavailable, None);
        return refuse_for_now(replay.unavailable());
    };
    let position = resolved.position;
    let mut response = if parts.method == Method::HEAD {
        respond::event_stream(Body::empty())
    } else {
        // A client that lists the subscriptions once its stream is open finds its own, unless the
        // log is slow to store the beginning (ADR 0014).
        let subscriber = Subscriber::new(parts.version, answers);
        let subscriptions = &asked.subscriptions;
        let id = subscriber.id;
        replay.name(request, id);
        let announced = announce(hub, request, id, subscriptions, access.as_ref()).await?;
        count_replay(hub, &resolved);
        subscriber.log(parts, subscriptions, requested.as_deref(), position);
        let deadlines = deadlines(hub, access.as_ref());
        let share = share(hub, parts, access.as_ref(), id, &membership);
        let cursor = Cursor::new(membership, hub.drain.enter(), position, deadlines).under(share);
        let cursor = cursor.counted_by(subscriber.tally(hub, parts));
        stream_of(
            hub,
            parts,
            match announced {
                // Its end is published before what it holds is given back.
                Some(announced) => cursor.keeping((announced, held)),
                None => cursor.keeping(held),
            },
            replay.deliveries(request),
        )
    };
    put_cursor(&mut response, answers, resolved.field.as_deref());
    Ok(response)
}

/// What a stream selects, and what its token lets it read.
fn selection(matchers: MatcherSet, access: Option<&Access>) -> Selection {
    let grants = access.map(|access| access.details.read_grants());
    Selection {
        matchers,
        grants: grants.unwrap_or_default(),
    }
}

/// Counts a stream that resumes.
fn count_replay(hub: &Shared, resolved: &Resolved) {
    if let Some(replay) = resolved.replay {
        let depth = hub.router.visible().0.saturating_sub(resolved.position.0);
        hub.options.statistics.replays(replay, Some(depth));
    }
}

/// What the stream of a client rests on, whose subscriber id is `id`.
fn share(
    hub: &Shared,
    parts: &Parts,
    access: Option<&Access>,
    id: Uuid,
    membership: &Membership,
) -> Share {
    let permits = &hub.permits;
    let id = id.urn().to_string();
    let mut share = permits.for_client(parts, access, Some(&id), &hub.base, membership);
    // A revocation that came since the token was verified has not found the stream.
    let now = hub.clock.unix_time();
    let is_revoked = |access: &Access| hub.denied.find(&access.token(), now).is_some();
    if access.is_some_and(is_revoked) {
        share.end();
    }
    share
}

/// The response whose body is the stream of a cursor. Its extensions hold the cursor, too, for a
/// listener that drives it itself.
fn stream_of(
    hub: &Shared,
    parts: &Parts,
    cursor: Cursor,
    deliveries: Option<Box<Deliveries>>,
) -> Response<Body> {
    let handover = Handover::new(cursor);
    let stream = Stream::new(
        handover.clone(),
        Arc::clone(&hub.transport),
        Arc::clone(&hub.clock),
        parts.extensions.get::<Outflow>().cloned(),
        parts.version,
    )
    .traced(deliveries);
    let mut response = respond::event_stream(Body::new(stream));
    response.extensions_mut().insert(handover);
    response
}

/// Publishes that the subscriptions begin, each matcher once, if the hub does that. Returns the id of the
/// subscriber, too.
async fn announce(
    hub: &Shared,
    request: &Incoming<'_>,
    subscriber: Uuid,
    subscriptions: &[Subscription],
    access: Option<&Access>,
) -> Result<Option<Announced>, ProtocolError> {
    let Some(presence) = hub.presence() else {
        return Ok(None);
    };
    let connection = request.parts.extensions.get::<Connection>();
    let answers_older = hub.options.rule == Rule::Classic;
    let address = connection.and_then(Connection::client_address);
    let options = &hub.options.presence;
    let Some(mut visit) = Reconciler::visit(options, access, address, subscriber, answers_older)
    else {
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
    Ok(Some(presence.begin(visit, hub.drain.enter()).await))
}

/// The last event id that a client names: the first of header and parameter that is not empty; an empty
/// one if only such are there (B-350).
fn requested_cursor(headers: &HeaderMap, asked: &SubscribeRequest) -> Option<String> {
    // Over HTTP/2 a value may have white space around it, which HTTP/1.1 removes. Browsers send UTF-8,
    // other clients one byte for each character.
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

/// Where a cursor starts.
pub(crate) struct Resolved {
    pub(crate) position: Position,
    /// The field that says so, if a position was asked for.
    pub(crate) field: Option<String>,
    /// What became of that.
    replay: Option<Replay>,
}

/// Finds where a cursor starts, and the field that says so (specification, "Reconnection").
pub(crate) async fn resolve(
    hub: &Shared,
    requested: Option<&str>,
) -> Result<Resolved, Unavailable> {
    let Some(requested) = requested else {
        return Ok(Resolved {
            position: hub.router.visible(),
            field: None,
            replay: None,
        });
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
    // What is committed and not yet visible is new to every reader.
    let everything = || hub.transport.bounds().floor.min(hub.router.visible());
    let (position, field, replay) = match lookup {
        Lookup::Found(position) => (position, &*requested, Replay::Found),
        // What followed was lost, so the client is told its new position.
        Lookup::Past {
            position,
            ref event_id,
        } => (position, event_id.as_str(), Replay::Past),
        Lookup::Deleted => (everything(), EARLIEST, Replay::Earliest),
        Lookup::Unknown if hub.options.unknown_cursor == UnknownCursor::Replay => {
            (everything(), EARLIEST, Replay::Unknown)
        }
        Lookup::Unknown | Lookup::Unsupported => (hub.router.visible(), EARLIEST, Replay::Unknown),
    };
    Ok(Resolved {
        position,
        field: Some(field.to_owned()),
        replay: Some(replay),
    })
}

/// Looks an id up, for at most as long as a client can be expected to wait for the head of its stream.
async fn look_up(hub: &Shared, id: &str) -> Result<Lookup, Unavailable> {
    let looked_up = timeout(LOOK_UP_TIMEOUT, hub.transport.position_of(id)).await;
    looked_up.unwrap_or_else(|_| {
        tracing::warn!(
            name: "cursor_lookup_timeout",
            seconds = LOOK_UP_TIMEOUT.as_secs(),
            "looking up a Last-Event-ID timed out; the client is asked to retry"
        );
        Err(Unavailable)
    })
}

/// Undoes the decoding of scripts, which read a response field as one character for each byte (Fetch
/// standard, "isomorphic decode"). `None` if `text` cannot be the result of that.
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
    let expiry = expires_at.map(|expires_at| now + hub.clock.unix_time().until(expires_at));
    // Jittered, so that clients do not come back all at once.
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

/// Names the cursor in the head of the response. Clients of 0.x get it under the name that they read, too
/// (B-639, B-660).
fn put_cursor(response: &mut Response<Body>, answers: Generation, cursor: Option<&str>) {
    if let Some(value) = cursor.and_then(|cursor| HeaderValue::from_bytes(cursor.as_bytes()).ok()) {
        if answers == Generation::V0 {
            response.headers_mut().insert(LAST_EVENT_ID, value.clone());
        }
        response.headers_mut().insert(MERCURE_LAST_EVENT_ID, value);
    }
}
