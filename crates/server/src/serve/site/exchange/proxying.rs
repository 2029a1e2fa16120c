//! The directive `reverse_proxy` for a request on its way.

use axum::body::Body;
use http::{HeaderMap, Response};
use talaria_config::settings::{FieldChange, Placeholder};

use super::Exchange;
use crate::serve::handlers::proxy::{Forwarded, Unreached, Upstreams};
use crate::serve::site::fields::{change_request, filled};

impl Exchange {
    /// Lets another server answer.
    pub(super) async fn pass_on(
        &mut self,
        upstreams: &Upstreams,
        up: &[FieldChange],
    ) -> Response<Body> {
        let up: Vec<_> = up
            .iter()
            .filter_map(|change| filled(&self.view(), change))
            .collect();
        let peer = self.connection.and_then(|connection| connection.peer);
        let forwarded = Forwarded {
            peer: peer.map(|peer| peer.ip()),
            is_trusted: self.is_of_proxy,
            scheme: self.view().scheme(),
            host: self.view().value(&Placeholder::HostPort),
        };
        let change = |headers: &mut HeaderMap| {
            for (name, change) in up {
                change_request(headers, name, change);
            }
        };
        let answer = upstreams.proxy(self.take(), forwarded, change).await;
        match answer.extensions().get::<Unreached>() {
            Some(Unreached(sentence)) => self.fail(answer.status(), sentence),
            None => answer,
        }
    }
}
