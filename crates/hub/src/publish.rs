//! A publication: from a request to an acknowledged update.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use talaria_protocol::{Action, Generation, Topic, Update, form};
use talaria_transport::AppendError;

use crate::access::{Access, Role, Source, check_source_origin};
use crate::body::{essence, read_body};
use crate::hub::{Incoming, Shared};
use crate::respond::{self, FORM, Refused};

/// Answers `POST` on the hub's path (specification, "Publication"). The order of checks is the
/// design's: whoever is refused learns of the first fault only, and a body is read for the
/// authorised alone.
pub(crate) async fn publish(
    hub: &Shared,
    request: &Incoming<'_>,
    body: &mut Body,
) -> Result<Response<Body>, Refused> {
    let parts = request.parts;
    let presented = request.presented()?.ok_or(Refused::NoToken)?;
    if presented.source == Source::Cookie {
        // A browser sends the cookie by itself, so the page that made it do so must be trusted.
        let (scheme, host) = Shared::origin(parts).unwrap_or_default();
        check_source_origin(&parts.headers, scheme, host, &hub.options.publish_origins)
            .map_err(Refused::Origin)?;
    }
    let access = hub.verify(parts, presented, Role::Publisher).await?;
    let media_type = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|field| field.to_str().ok());
    if media_type.map(essence).as_deref() != Some(FORM) {
        return Err(Refused::PublishMediaType);
    }
    let body = read_body(body, hub.options.max_request_body_size).await?;
    let update = Update::from_form(&form::parse(&body)?, &hub.base, &hub.options.limits)?;
    let refused = update.topics.iter().find(|topic| {
        !access
            .details
            .grants(Action::Publish, &Topic::new(topic, &hub.base))
    });
    if let Some(topic) = refused
        && !may_publish_ungranted(hub, &access, &update)
    {
        return Err(Refused::Scope {
            action: Action::Publish,
            topic: topic.clone(),
        });
    }
    let appended = match (&hub.repeats, &access.subject) {
        (Some(repeats), Some(subject)) => {
            let now = hub.clock.now();
            // Two issuers may give the same `sub` to different publishers.
            let publisher = [access.issuer.as_str(), subject];
            repeats.append(publisher, update, &hub.transport, now).await
        }
        _ => hub
            .transport
            .append(update)
            .await
            .map(|appended| appended.event_id),
    };
    match appended {
        Ok(event_id) => Ok(respond::plain(StatusCode::OK, event_id)),
        Err(AppendError::Refused(reason)) => Err(Refused::NotStored(reason)),
        Err(AppendError::Unknown) => Err(Refused::Unknown),
    }
}

/// B-622: with compatibility 7 a 0.x publisher needs no grant for what is public.
fn may_publish_ungranted(hub: &Shared, access: &Access, update: &Update) -> bool {
    hub.options.publish_ungranted && access.generation == Generation::V0 && !update.private
}
