//! A publication: from a request to an acknowledged update.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Response, StatusCode};
use talaria_protocol::{Action, Topic, Update, form};
use talaria_transport::AppendError;

use crate::access::{Role, Source, check_source_origin, present};
use crate::body::{essence, read_body};
use crate::hub::Shared;
use crate::respond::{self, FORM, Refused};

/// Answers `POST` on the hub's path (specification, "Publication"). The order of checks is the
/// design's: whoever is refused learns of the first fault only, and a body is read for the
/// authorised alone.
pub(crate) async fn publish(
    hub: &Shared,
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let presented =
        present(&parts.headers, hub.cookie_names(parts)).map_err(Refused::Presentation)?;
    let presented = presented.ok_or(Refused::NoToken)?;
    if presented.source == Source::Cookie {
        // A browser sends the cookie by itself, so the page that made it do so must be trusted.
        let (scheme, host) = Shared::origin(parts).unwrap_or_default();
        check_source_origin(&parts.headers, scheme, host, &hub.options.publish_origins)
            .map_err(Refused::Origin)?;
    }
    let audience = hub.audience(parts);
    let access = hub
        .verifier
        .verify(
            &presented.token,
            Role::Publisher,
            &[audience],
            hub.clock.unix_time(),
        )
        .map_err(Refused::Token)?;
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
    if let Some(topic) = refused {
        return Err(Refused::Scope {
            topic: topic.clone(),
        });
    }
    match hub.transport.append(update).await {
        Ok(appended) => Ok(respond::plain(StatusCode::OK, appended.event_id)),
        Err(AppendError::Refused(reason)) => Err(Refused::NotStored(reason)),
        Err(AppendError::Unknown) => Err(Refused::Unknown),
    }
}
