//! Publishing: from a request to acknowledged updates.

mod batch;
mod publisher;
mod traced;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use talaria_protocol::{Update, form};

use self::publisher::{Arrival, Publisher, store};
use crate::access::{OwnOrigin, Role, Source, check_source_origin};
use crate::http::body::bound::BodyBound;
use crate::http::body::{check_coding, essence, read_body, received};
use crate::http::host::HostError;
use crate::http::identity;
use crate::http::noted::note_topics;
use crate::http::request::Incoming;
use crate::http::respond::{self, FORM, Refused};
use crate::http::shared::Shared;
use crate::statistics::Protocol;

/// A body of more bytes than this waits for its turn to be read: it may have a thousand topics.
const LONG: usize = 16 * 1024;

/// Answers `POST` on the hub's path (specification, "Publication"). A refused client learns of the first
/// fault only, and the body is read last, so that only authorised clients make the hub hold one.
pub(crate) async fn publish(
    hub: &Shared,
    request: &Incoming<'_>,
    body: &mut Body,
) -> Result<Response<Body>, Refused> {
    let parts = request.parts;
    let arrival = Arrival {
        began: hub.clock.now(),
        protocol: Protocol::of(parts.version),
    };
    let presented = request.presented()?.ok_or(Refused::NoToken)?;
    if presented.source == Source::Cookie {
        // A browser sends the cookie by itself, so the page that sent the request must be trusted.
        let (scheme, host) =
            identity::scheme_and_authority(parts).ok_or(Refused::Host(HostError::Missing))?;
        let host = host.as_str();
        let own = OwnOrigin {
            scheme,
            authority: host,
            https_only: identity::is_https_only(&hub.options),
        };
        check_source_origin(&parts.headers, own, &hub.options.publish_origins)
            .map_err(Refused::Origin)?;
    }
    let publisher = Publisher(request.verify(hub, presented, Role::Publisher).await?);
    let client = request.client(Some(&publisher.0));
    let media_type = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|field| field.to_str().ok());
    let is_batch = match media_type.map(essence).as_deref() {
        Some(FORM) => false,
        Some(batch::MEDIA_TYPE) => true,
        _ => {
            let received = received(&parts.headers, &CONTENT_TYPE);
            return Err(Refused::PublishMediaType(received));
        }
    };
    check_coding(&parts.headers)?;
    hub.budgets.publishes(&client, hub.clock.now())?;
    // Held until all is published, because the updates are made of the body.
    let mut charge = hub.budgets.body(&client);
    let bound = match is_batch {
        // Each of its lines is an update.
        true => BodyBound::of_requests(&hub.options),
        false => publisher.bound(hub),
    };
    let body = read_body(body, bound, &mut charge).await?;
    if is_batch {
        let charged = (body, charge);
        return batch::publish(hub, request, (&publisher, &client), charged, arrival).await;
    }
    let turn = match body.len() > LONG {
        true => Some(hub.router.turns().turn_of(client.number()).await),
        false => None,
    };
    let pairs = form::parse(&body, &hub.options.limits)?;
    let checks = publisher.checks(hub);
    let mut update = Update::from_form(&pairs, checks, &hub.base, &hub.options.limits)?;
    note_topics(parts, update.topics.iter());
    publisher.check_topics(hub, &update)?;
    traced::one(request, &mut update);
    // The update has what it needs of the body, and the charge is for one of them.
    drop(pairs);
    drop((body, turn));
    let ids = store(hub, &publisher, vec![update], arrival).await?;
    traced::stored(request, &ids);
    Ok(respond::plain(StatusCode::OK, ids.concat()))
}
