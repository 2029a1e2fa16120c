//! Answers the requests of one connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use http::header::{ALT_SVC, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use hyper::body::Body as HttpBody;
use talaria_config::settings::HeadSettings;
use talaria_hub::{Connection, Outflow, Unanswered};
use tokio_util::sync::CancellationToken;

use crate::serve::admission::Place;
use crate::serve::incoming::Fault;
use crate::serve::sites::{HEALTH_PATH, Sites};
use crate::serve::tls::Session;

/// The memory of a header field besides its bytes: its place in a map, and the free places beside it.
const FIELD_BYTES: usize = 128;

/// The response must not be sent: the connection closes, on HTTP/2 the stream is reset.
#[derive(Debug, thiserror::Error)]
#[error("unanswered")]
pub(crate) struct Closed;

/// Why a connection ends with its first answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Once {
    /// It is not encrypted but should be; every request is refused.
    WrongPort,
    /// There is no room for it, or it came too fast; every request but that for `/healthz` is refused.
    Refused(Fault),
}

/// What answers the requests of one connection.
pub(crate) struct Requests {
    /// The sites that are asked.
    pub sites: Arc<ArcSwap<Sites>>,
    /// The bounds of each head.
    pub head: HeadSettings,
    /// How far the connection's bytes have got.
    pub outflow: Outflow,
    /// The connection, for the hub.
    pub connection: Connection,
    /// What its TLS handshake has agreed on.
    pub session: Option<Arc<Session>>,
    /// Its place among all.
    pub place: Option<Place>,
    /// Why it ends with its first answer, if it does.
    pub once: Option<Once>,
    /// Cancelled by the first request, if the connection ends with its first answer.
    pub answered: Option<CancellationToken>,
    /// What each answer says about HTTP/3, if the client could use that instead.
    pub alt_svc: Option<HeaderValue>,
}

/// The answer to come.
pub(crate) type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Closed>> + Send>>;

impl Requests {
    /// Answers a request.
    pub(crate) fn answer<B>(self: Arc<Self>, mut request: Request<B>) -> Answered
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let has_no_body = request.method() == Method::HEAD && request.version() >= Version::HTTP_2;
        let alt_svc = self.alt_svc.clone();
        let finish = move |mut response: Response<Body>| {
            if let Some(alt_svc) = alt_svc {
                response.headers_mut().entry(ALT_SVC).or_insert(alt_svc);
            }
            match has_no_body {
                true => without_body(response),
                false => response,
            }
        };
        let memory = match &self.place {
            Some(place) => place.head(head_bytes(&request)),
            None => Ok(None),
        };
        let fault = match (self.once, &memory) {
            (Some(Once::WrongPort), _) => Some(Fault::Plain),
            (Some(Once::Refused(fault)), _) if request.uri().path() != HEALTH_PATH => {
                Some(Fault::of(request.uri().path()).unwrap_or(fault))
            }
            (_, Err(_)) => Some(Fault::Busy),
            _ => Fault::of(request.uri().path()),
        };
        if let Some(answered) = &self.answered {
            answered.cancel();
        }
        if let Some(fault) = fault {
            let Connection { tls, peer, .. } = self.connection;
            let mut answer = fault.refuse(request.version(), tls, peer, &self.head);
            if fault.is_passing() {
                let why = fault.sentence(tls, &self.head);
                let later = self.sites.load().subscribe_later(&request, &why);
                if let Some(mut later) = later {
                    if let Some(close) = answer.headers().get(CONNECTION) {
                        later.headers_mut().insert(CONNECTION, close.clone());
                    }
                    answer = later;
                }
            }
            return Box::pin(std::future::ready(Ok(finish(answer))));
        }
        request.extensions_mut().insert(self.outflow.clone());
        request.extensions_mut().insert(self.connection);
        if let Some(session) = &self.session {
            request.extensions_mut().insert(Arc::clone(session));
        }
        // Boxed, because hyper keeps the memory of this future as long as the connection.
        Box::pin(async move {
            let sites = self.sites.load_full();
            let response = sites.answer(request.map(Body::new)).await;
            drop(sites);
            drop(memory);
            match response.extensions().get::<Unanswered>() {
                Some(Unanswered) => Err(Closed),
                None => Ok(finish(response)),
            }
        })
    }
}

/// About how many bytes of memory a request's head takes.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let fields = |headers: &HeaderMap| -> usize {
        let each = headers.iter();
        each.map(|(name, value)| FIELD_BYTES + name.as_str().len() + value.len())
            .sum()
    };
    target + fields(request.headers())
}

/// Whether an answer is an event stream, which does not end by itself.
pub(crate) fn is_event_stream<B>(response: &Response<B>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Removes the body of an answer to `HEAD`. Over HTTP/2 and HTTP/3 it would be sent (RFC 9110, section 9.3.2).
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(parts, Body::empty())
}
