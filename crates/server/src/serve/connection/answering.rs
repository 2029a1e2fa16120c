//! Hands the requests of a connection on, and follows their answers.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http::header::UPGRADE;
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use talaria_hub::statistics::{Departure, Parting};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::serve::admission::{Place, UnderWay};
use crate::serve::direct::{Asked, Exit};
use crate::serve::requests::{Closed, Requests, is_event_stream};
use crate::serve::streams::{Answer, Followed, Streams};

/// What hyper asks for the answers of one connection.
pub(super) struct Answering {
    /// What answers.
    pub requests: Arc<Requests>,
    /// The streams of HTTP/2.
    pub streams: Option<Streams>,
    /// Counts the answers under way.
    pub open: TaskTracker,
    /// Set if an answer makes the connection a tunnel.
    pub is_tunnel: Arc<AtomicBool>,
    /// Where event streams leave hyper.
    pub exit: Option<Arc<Exit>>,
}

impl Answering {
    /// Answers a request.
    pub(super) fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Closed>> + Send + use<> {
        let place = self.requests.place.clone();
        let exit = self.exit.as_ref();
        let begun = Begun {
            under_way: place.as_ref().map(Place::request),
            place,
            followed: self.streams.as_ref().and_then(Streams::begin),
            open: self.open.token(),
            is_tunnel: Arc::clone(&self.is_tunnel),
            asked: exit.and_then(|exit| exit.request(&request)),
        };
        begun.mark(&mut request);
        let answered = Arc::clone(&self.requests).answer(request);
        async move { begun.answer(answered.await?) }
    }
}

/// A request whose answer is to come.
struct Begun {
    place: Option<Place>,
    under_way: Option<UnderWay>,
    followed: Option<Followed>,
    open: TaskTrackerToken,
    /// Set if the answer makes the connection a tunnel.
    is_tunnel: Arc<AtomicBool>,
    /// What can let the answer leave hyper.
    asked: Option<Asked>,
}

impl Begun {
    /// Gives a tunnel what keeps the place of its connection, and a stream of HTTP/2 what tells why it ended.
    fn mark(&self, request: &mut Request<Incoming>) {
        if request.version() == Version::HTTP_2 {
            let followed = self.followed.as_ref().map(Followed::parting);
            let parting = followed.unwrap_or_else(|| Parting::otherwise(Departure::ResetByClient));
            request.extensions_mut().insert(parting);
        }
        let under_way = self.under_way.clone();
        if let Some(under_way) = under_way.filter(|_| request.headers().contains_key(UPGRADE)) {
            request.extensions_mut().insert(under_way);
        }
    }

    /// Follows the answer until it has left.
    fn answer(self, answered: Response<Body>) -> Result<Response<Answer>, Closed> {
        if answered.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.is_tunnel.store(true, Ordering::Release);
        }
        let is_stream = is_event_stream(&answered);
        if let Some(place) = self.place.filter(|_| is_stream) {
            place.streams();
        }
        // A file or the answer of another server may take its time, too.
        let open = Some(self.open).filter(|_| !answered.body().is_end_stream());
        let may = self.asked.and_then(|asked| asked.answer(&answered));
        Ok(answered
            .map(|body| Answer::new(body, self.followed, self.under_way, open).that_may(may)))
    }
}
