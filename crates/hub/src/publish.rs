//! A publication: from a request to acknowledged updates.

mod batch;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use talaria_protocol::{Action, Generation, Topic, Update, form};
use talaria_transport::AppendError;

use crate::access::{Access, OwnOrigin, Role, Source, check_source_origin};
use crate::body::{BodyBound, check_coding, essence, read_body, received};
use crate::host::HostError;
use crate::hub::{Incoming, Shared};
use crate::limits::Client;
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
        let (scheme, host) = Shared::origin(parts).ok_or(Refused::Host(HostError::Missing))?;
        let host = host.as_str();
        let own = OwnOrigin {
            scheme,
            authority: host,
            https_only: hub.is_https_only(),
        };
        check_source_origin(&parts.headers, own, &hub.options.publish_origins)
            .map_err(Refused::Origin)?;
    }
    let publisher = Publisher(hub.verify(parts, presented, Role::Publisher).await?);
    let client = Client::new(parts, Some((presented, &publisher.0)));
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
    // Dropped when all is published, because the updates are made of the body.
    let mut charge = hub.budgets.body(&client);
    let body = read_body(body, BodyBound::of_requests(&hub.options), &mut charge).await?;
    if is_batch {
        return batch::publish(hub, request, &publisher, &body, charge).await;
    }
    let pairs = form::parse(&body, &hub.options.limits)?;
    let checks = publisher.checks(hub);
    let update = Update::from_form(&pairs, checks, &hub.base, &hub.options.limits)?;
    publisher.check_grants(hub, &update)?;
    let ids = store(hub, &publisher, vec![update]).await?;
    Ok(respond::plain(StatusCode::OK, ids.concat()))
}

/// Whoever presented a token to publish with.
struct Publisher(Access);

impl Publisher {
    /// The generation whose checks its updates must pass.
    fn checks(&self, hub: &Shared) -> Generation {
        hub.options.rule.checks(self.0.generation)
    }

    /// Whether the token grants every topic of the update.
    fn check_grants(&self, hub: &Shared, update: &Update) -> Result<(), Refused> {
        let refused = update.topics.iter().find(|topic| {
            let topic = Topic::new(topic, &hub.base);
            !self.0.details.grants(Action::Publish, &topic)
        });
        match refused {
            Some(topic) if !self.may_publish_ungranted(hub, update) => Err(Refused::Scope {
                action: Action::Publish,
                topic: topic.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// B-622: with compatibility 7 a 0.x publisher needs no grant for what is public.
    fn may_publish_ungranted(&self, hub: &Shared, update: &Update) -> bool {
        hub.options.publish_ungranted && self.0.generation == Generation::V0 && !update.private
    }
}

/// Appends the updates with one commit: all of them, or none. Returns their ids.
async fn store(
    hub: &Shared,
    publisher: &Publisher,
    updates: Vec<Update>,
) -> Result<Vec<String>, Refused> {
    let stored = match (&hub.repeats, &publisher.0.subject) {
        (Some(repeats), Some(subject)) => {
            // Two issuers may give the same `sub` to different publishers.
            let publisher = [publisher.0.issuer.as_str(), subject];
            let now = hub.clock.now();
            repeats
                .append(publisher, updates, &hub.transport, now)
                .await
        }
        _ => hub.transport.append_all(updates).await.map(|appended| {
            let ids = appended.into_iter().map(|appended| appended.event_id);
            ids.collect()
        }),
    };
    stored.map_err(|error| match error {
        AppendError::Refused(reason) => Refused::NotStored(reason),
        AppendError::Unknown => Refused::Unknown,
    })
}
