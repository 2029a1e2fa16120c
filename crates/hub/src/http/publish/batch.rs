//! Several updates in one request: one JSON object in each line, and one result for each.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use serde_json::{Value, json};
use talaria_protocol::Update;

use super::publisher::{Arrival, Publisher, store};
use super::traced;
use crate::http::noted::note_topics;
use crate::http::request::Incoming;
use crate::http::respond::Refused;
use crate::http::shared::Shared;
use crate::limits::{BodyCharge, Client, Held};

/// The media type of request and response.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// The most updates of one request.
const MOST: usize = 10_000;
/// What a line is charged besides its bytes, for its update and its result.
const LINE_BYTES: usize = 256;
/// What a topic is charged besides its bytes, for its string and the allocation that holds it.
const TOPIC_BYTES: usize = 48;

/// Publishes the valid updates with one commit. The answer has a result for each line: `status` and `id`,
/// or `error`. A line is as in [`Update::from_json`]; empty lines do not count.
pub(super) async fn publish(
    hub: &Shared,
    request: &Incoming<'_>,
    (publisher, client): (&Publisher, &Client),
    (body, mut charge): (Bytes, BodyCharge<'_>),
    arrival: Arrival,
) -> Result<Response<Body>, Refused> {
    let mut turn = hub.router.turns().turn_of(client.number()).await;
    let mut count = 0;
    for line in body.split(|byte| *byte == b'\n') {
        turn = turn.rest().await;
        count += usize::from(!line.trim_ascii().is_empty());
    }
    if count > MOST {
        return Err(Refused::TooManyUpdates { count, most: MOST });
    }
    let more = count.saturating_sub(1);
    hub.budgets.publishes_more(client, more, hub.clock.now());
    let mut held = body.len() + count * LINE_BYTES;
    charge.grow_to(held as u64)?;
    let answers = request.answers();
    let mut updates = Vec::new();
    let mut results: Vec<Option<Value>> = Vec::with_capacity(count);
    for line in body.split(|byte| *byte == b'\n') {
        turn = turn.rest().await;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match judge(hub, publisher, line) {
            Ok(update) => {
                held += update.topics.len() * TOPIC_BYTES;
                charge.grow_to(held as u64)?;
                updates.push(update);
                results.push(None);
            }
            Err(refused) => {
                let status = refused.status_for(answers);
                refused.count(&hub.options.statistics, status, hub.clock.unix_time());
                results.push(Some(refused.as_result(answers)));
            }
        }
    }
    drop((body, turn));
    note_topics(
        request.parts,
        updates.iter().flat_map(|update| &update.topics),
    );
    traced::several(request, &mut updates);
    let mut ids = store(hub, publisher, updates, arrival).await?.into_iter();
    let mut text = String::new();
    let mut turn = hub.router.turns().turn_of(client.number()).await;
    for result in results {
        turn = turn.rest().await;
        let stored = || json!({ "status": StatusCode::OK.as_u16(), "id": ids.next() });
        text.push_str(&result.unwrap_or_else(stored).to_string());
        text.push('\n');
    }
    drop(turn);
    let results = Results {
        text: Full::from(text),
        _held: charge.into(),
    };
    let mut response = Response::new(Body::new(results));
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(response)
}

/// The results of a request. They are charged to the publisher until they are sent, because it may be slow
/// to read them.
struct Results {
    text: Full<Bytes>,
    _held: Held,
}

impl HttpBody for Results {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.text).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.text.size_hint()
    }
}

fn judge(hub: &Shared, publisher: &Publisher, line: &[u8]) -> Result<Update, Refused> {
    let bound = publisher.bound(hub);
    if line.len() > bound.bytes {
        let declared = Some(line.len() as u64);
        return Err(Refused::BodyTooLarge { bound, declared });
    }
    let checks = publisher.checks(hub);
    let update = Update::from_json(line, checks, &hub.base, &hub.options.limits)?;
    publisher.check_topics(hub, &update)?;
    Ok(update)
}
