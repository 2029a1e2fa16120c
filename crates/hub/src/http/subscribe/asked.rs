//! What a subscription asks for: reading it is costly, so clients take turns with it.

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method};
use talaria_protocol::{Generation, ProtocolError, Reading, SubscribeRequest, form};

use super::traced;
use crate::http::accept::{self, EventStream};
use crate::http::body::bound::BodyBound;
use crate::http::body::{check_coding, essence, read_body, received};
use crate::http::request::Incoming;
use crate::http::respond::{FORM, Refused};
use crate::http::shared::Shared;
use crate::limits::Client;

/// A query and a body of more bytes than this wait for their turn to be read.
const LONG: usize = 1024;

/// Reads what a request asks for, in its query and in the body of a `QUERY`.
pub(super) async fn read_request(
    hub: &Shared,
    request: &Incoming<'_>,
    body: &mut Body,
    has_access: bool,
    client: &Client,
) -> Result<SubscribeRequest, Refused> {
    let parts = request.parts;
    // Dropped with the body, once the matchers are made of it.
    let mut charge = hub.budgets.body(client);
    let body = match parts.method {
        Method::QUERY => {
            check_query_media_type(&parts.headers)?;
            check_coding(&parts.headers)?;
            let bound = match has_access {
                true => BodyBound::of_requests(&hub.options),
                false => BodyBound::of_anonymous(&hub.options),
            };
            read_body(body, bound, &mut charge).await?
        }
        _ => Bytes::new(),
    };
    // Clients of 0.x may send any `Accept` (B-1013).
    if accept::event_stream(&parts.headers) == EventStream::Refused
        && request.answers() == Generation::V1
    {
        let received = received(&parts.headers, &ACCEPT).unwrap_or_default();
        return Err(Refused::NotAcceptable(received));
    }
    let options = &hub.options;
    let query = parts.uri.query().unwrap_or_default();
    let is_long = query.len() + body.len() > LONG;
    let mut turn = match is_long {
        true => Some(hub.router.turns().turn_of(client.number()).await),
        false => None,
    };
    let parse = |input| form::parse(input, &options.limits).map_err(ProtocolError::in_subscription);
    let mut pairs = parse(query.as_bytes())?;
    pairs.extend(parse(&body)?);
    let mut reading = Reading::begin(&pairs, options.rule, &hub.base, &options.limits)?;
    if turn.is_none() && reading.is_costly() {
        turn = Some(hub.router.turns().turn_of(client.number()).await);
    }
    while reading.read_next()? {
        turn = match turn {
            Some(turn) => Some(turn.rest().await),
            None => None,
        };
    }
    let asked = reading.end();
    traced::asked(request, &asked);
    Ok(asked)
}

/// Refuses a `QUERY` whose media type is not readable, or is not that of a form (B-1012).
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
