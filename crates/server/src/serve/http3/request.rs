//! One request: its head, its answer, and the end of its stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use axum::body::Body;
use h3::error::{Code, StreamError};
use h3::server::{RequestResolver, RequestStream};
use http::header::{CONNECTION, DATE, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Response};
use hyper::body::Body as _;
use talaria_config::settings::HeadSettings;
use talaria_hub::Connection;
use talaria_hub::statistics::{Departure, Parting};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::body::RequestBody;
use super::flow::{Chunk, Cut, Flow};
use super::quic::{self, Opened, SendStream};
use crate::serve::admission::Place;
use crate::serve::clock;
use crate::serve::requests::{Requests, is_event_stream};
use crate::serve::sites::Sites;
use crate::serve::tls::Session;

/// Fields about the connection, which are not allowed in HTTP/3 (RFC 9114, section 4.2).
const OF_CONNECTIONS: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];
/// How much later than its deadline a head may come to h3, as what stands for it.
const SPARE: Duration = Duration::from_secs(5);

/// What the requests of a connection are answered with.
pub(super) struct Answering {
    pub sites: Arc<ArcSwap<Sites>>,
    pub head: HeadSettings,
    pub connection: Connection,
    pub session: Arc<Session>,
    pub place: Place,
    pub dispatch_timeout: Option<Duration>,
    /// Holds a token for each request that is under way.
    pub requests: TaskTracker,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was answered.
    Answered,
    /// Its client left before there was an answer.
    Abandoned,
    /// There was no request, or a malformed one.
    Malformed,
}

type Sending = RequestStream<SendStream<Chunk>, Chunk>;

/// Answers the request of a stream.
pub(super) async fn serve(
    resolver: RequestResolver<quic::Connection, Chunk>,
    opened: Opened,
    with: Arc<Answering>,
) -> Ended {
    let most = with.head.timeout + SPARE;
    let (request, stream) = match timeout(most, Box::pin(resolver.resolve_request())).await {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a stream without a request");
            return Ended::Malformed;
        }
        Err(_) => return Ended::Malformed,
    };
    let _open = with.requests.token();
    let _under_way = with.place.request();
    let (mut sending, receiving) = stream.split();
    let body = RequestBody::new(receiving, request.headers(), opened.is_bodiless);
    let mut flow = Flow::new(
        with.dispatch_timeout,
        opened.stopped,
        opened.acknowledgements,
    );
    let requests = Arc::new(Requests {
        sites: Arc::clone(&with.sites),
        head: with.head,
        outflow: flow.outflow.clone(),
        connection: with.connection,
        session: Some(Arc::clone(&with.session)),
        place: Some(with.place.clone()),
        once: None,
        answered: None,
        alt_svc: None,
    });
    let answer = requests.answer(request.map(|()| body));
    let response = match flow.wait(answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            sending.stop_stream(Code::H3_INTERNAL_ERROR);
            return Ended::Answered;
        }
        Err(_) => return Ended::Abandoned,
    };
    if is_event_stream(&response) {
        with.place.streams();
    }
    match send(&mut sending, flow, response).await {
        Ok(()) | Err(Cut::Left) => {}
        Err(Cut::Broken) => sending.stop_stream(Code::H3_INTERNAL_ERROR),
        Err(Cut::Late) => sending.stop_stream(Code::H3_REQUEST_CANCELLED),
        Err(Cut::Stalled) => {
            tracing::info!(name: "subscriber_stalled", "a subscriber takes nothing of its stream; it is reset and can resume");
            sending.stop_stream(Code::H3_REQUEST_CANCELLED);
        }
    }
    Ended::Answered
}

/// Sends an answer, and waits until its client has it. Each chunk of the body is asked for when QUIC has taken the
/// last one.
async fn send(sending: &mut Sending, mut flow: Flow, response: Response<Body>) -> Result<(), Cut> {
    let parting = flow.outflow.parting().clone();
    let written = |outcome| written(outcome, &parting);
    let (mut parts, mut body) = response.into_parts();
    prepare(&mut parts.headers);
    let head = Response::from_parts(parts, ());
    written(flow.write(Box::pin(sending.send_response(head))).await)?;
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = match flow.wait(frame).await? {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::debug!(%error, "an answer broke off");
                return Err(Cut::Broken);
            }
        };
        match frame.into_data() {
            Ok(data) => {
                let chunk = flow.chunk(data);
                written(flow.write(sending.send_data(chunk)).await)?;
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    written(flow.write(Box::pin(sending.send_trailers(trailers))).await)?;
                }
                break;
            }
        }
    }
    written(Ok(sending.finish().await))?;
    // The body is kept until then, because it knows when the stream must have ended.
    let finished = flow.finish().await;
    drop(body);
    finished
}

/// The outcome of writing: h3 fails when the client has stopped the stream or the connection is gone.
fn written(outcome: Result<Result<(), StreamError>, Cut>, parting: &Parting) -> Result<(), Cut> {
    outcome?.map_err(|error| {
        if let StreamError::RemoteTerminate { .. } = error {
            parting.because(Departure::ResetByClient);
        }
        tracing::debug!(%error, "an answer could not be sent");
        Cut::Left
    })
}

/// Removes what HTTP/3 does not allow, and adds the date, as hyper does for the other versions.
fn prepare(headers: &mut HeaderMap) {
    for name in &OF_CONNECTIONS {
        headers.remove(name);
    }
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(clock::now())) {
        headers.entry(DATE).or_insert(date);
    }
}
