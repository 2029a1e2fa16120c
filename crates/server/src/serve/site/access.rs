//! The access log: one line for each request, when its answer ends (B-082, B-711).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Response, Version};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use talaria_config::settings::{AccessLogSettings, AccessLogger};
use talaria_hub::{Connection, Noted, host_of};
use tokio::time::Instant;
use tracing::Level;

use super::log_notes::{LogNotes, Wanted};
use crate::serve::clock::unix_now;
use crate::serve::followed::{Follower, followed};
use crate::serve::log::{self, Clean, Field, Head, Record, Value};
use crate::serve::tls::Session;

/// The field by which a trusted proxy gives a request its id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most bytes of such an id.
const LONGEST_ID: usize = 128;

/// The loggers of a site. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct AccessLog(Arc<[AccessLogger]>, bool);

impl AccessLog {
    /// The loggers that the configuration names; `shows_credentials` shows header fields that hold secrets.
    pub(super) fn new(settings: &AccessLogSettings, shows_credentials: bool) -> Self {
        Self(settings.loggers.as_slice().into(), shows_credentials)
    }

    /// Notes a request, if a log has it. From then on its body and the hub tell the entry what they learn.
    pub(super) fn begin(
        &self,
        parts: &mut Parts,
        body: &mut Body,
        connection: Option<&Connection>,
        is_of_proxy: bool,
    ) -> Option<Entry> {
        let Self(loggers, shows_credentials) = self;
        if loggers.is_empty() {
            return None;
        }
        let host = host_of(parts).ok().flatten();
        let host = host.map_or_else(String::new, |host| host.host());
        let named = loggers.iter().filter(|one| one.is_for(&host));
        let named: Vec<String> = named.map(|one| one.logger.clone()).collect();
        // `log_name` may name others.
        let may_be_named = loggers.iter().any(|one| one.is_named_only);
        if !may_be_named && !named.iter().any(|logger| log::has_access(logger)) {
            return None;
        }
        let noted = Noted::default();
        parts.extensions.insert(noted.clone());
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            body: std::mem::take(body),
            bytes: Arc::clone(&read),
        };
        *body = Body::new(counted);
        let id = parts.headers.get(REQUEST_ID).filter(|_| is_of_proxy);
        let id = id.and_then(|id| id.to_str().ok());
        let id = id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
        Some(Entry(Some(Box::new(Noting {
            began: Instant::now(),
            loggers: named,
            id: id.map_or_else(|| Clean::of(&uuid::Uuid::new_v4().to_string()), Clean::of),
            request: request(parts, &host, connection, *shows_credentials),
            shows_credentials: *shows_credentials,
            read,
            noted,
            notes: LogNotes::new(),
            status: 0,
            headers: Head::default(),
            sent: 0,
        }))))
    }
}

/// The group `request`.
fn request(
    parts: &Parts,
    host: &str,
    connection: Option<&Connection>,
    shows_credentials: bool,
) -> Vec<Field> {
    let peer = connection.and_then(|connection| connection.peer);
    let address = peer.map(|peer| peer.ip().to_canonical());
    let client = connection.and_then(|connection| connection.client);
    let client = client.map(|client| client.to_canonical()).or(address);
    let text = |text: Option<String>| Value::Word(text.unwrap_or_default());
    let mut fields: Vec<Field> = vec![
        ("remote_ip".into(), text(address.map(|ip| ip.to_string()))),
        (
            "remote_port".into(),
            text(peer.map(|peer| peer.port().to_string())),
        ),
        ("client_ip".into(), text(client.map(|ip| ip.to_string()))),
        (
            "proto".into(),
            text(Some(protocol(parts.version).to_owned())),
        ),
        ("method".into(), Clean::of(parts.method.as_str()).into()),
        ("host".into(), Clean::of(host).into()),
        ("uri".into(), Clean::of_target(&parts.uri).into()),
        (
            "headers".into(),
            Head::of(&parts.headers, shows_credentials).into(),
        ),
    ];
    if let Some(session) = parts.extensions.get::<Arc<Session>>() {
        fields.push(("tls".into(), tls(session)));
    }
    fields
}

/// The group `tls`, with the numbers that the existing server writes.
fn tls(session: &Session) -> Value {
    // Zero is the suite of a handshake that has none yet.
    let suite = session.cipher_suite.unwrap_or_default();
    Value::Group(vec![
        ("resumed".into(), Value::Flag(session.resumed)),
        ("version".into(), Value::Unsigned(session.version.into())),
        ("cipher_suite".into(), Value::Unsigned(suite.into())),
        ("proto".into(), Value::Word(session.protocol.to_owned())),
        ("server_name".into(), Clean::of(&session.server_name).into()),
    ])
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// A request that is being answered. Dropping it writes its line: with status 0 if its client left before it had an
/// answer.
pub(super) struct Entry(Option<Box<Noting>>);

/// What is known of a request. Texts of the client are of types that hold no secrets.
struct Noting {
    began: Instant,
    loggers: Vec<String>,
    id: Clean,
    request: Vec<Field>,
    shows_credentials: bool,
    read: Arc<AtomicU64>,
    noted: Noted,
    /// What the routes want.
    notes: LogNotes,
    status: u16,
    headers: Head,
    sent: u64,
}

impl Entry {
    /// Where the routes note what they want done with the line.
    pub(super) fn notes(&self) -> LogNotes {
        let noting = self.0.as_ref();
        noting
            .map(|noting| noting.notes.clone())
            .unwrap_or_default()
    }

    /// Follows the answer to its end.
    pub(super) fn follow(mut self, answer: Response<Body>) -> Response<Body> {
        self.0.take_if(|noting| noting.notes.is_skipped());
        let Some(noting) = &mut self.0 else {
            return answer;
        };
        noting.status = answer.status().as_u16();
        noting.headers = Head::of(answer.headers(), noting.shows_credentials);
        followed(answer, self)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(noting) = self.0.take() {
            noting.write();
        }
    }
}

impl Noting {
    fn write(mut self) {
        let wanted = self.notes.take();
        if wanted.is_skipped {
            return;
        }
        let loggers = match &wanted.names {
            Some(names) => names
                .iter()
                .map(|name| AccessLogger::called(name))
                .collect(),
            None => std::mem::take(&mut self.loggers),
        };
        let mut loggers = loggers.into_iter().filter(|logger| log::has_access(logger));
        let Some(first) = loggers.next() else {
            return;
        };
        let mut record = self.record(wanted);
        record.logger = first.into();
        log::write_access(&record);
        for logger in loggers {
            record.logger = logger.into();
            log::write_access(&record);
        }
    }

    fn record(self, wanted: Wanted) -> Record {
        let user = wanted.user.as_deref().map(Clean::of);
        let mut fields: Vec<Field> = vec![
            ("request_id".into(), self.id.into()),
            ("request".into(), Value::Group(self.request)),
            (
                "bytes_read".into(),
                Value::Unsigned(self.read.load(Ordering::Relaxed)),
            ),
            ("user_id".into(), user.unwrap_or_default().into()),
            ("duration".into(), Value::Duration(self.began.elapsed())),
            ("size".into(), Value::Unsigned(self.sent)),
            ("status".into(), Value::Unsigned(self.status.into())),
            ("resp_headers".into(), self.headers.into()),
        ];
        let subject = self.noted.subject().map(Clean::of);
        if let Some(subject) = subject.filter(|subject| !subject.is_empty()) {
            fields.push(("subject".into(), subject.into()));
        }
        if let Some(topics) = self.noted.topics() {
            fields.push(("topics".into(), log::topics(&topics.first, topics.count)));
        }
        let appended = wanted.appended.into_iter();
        fields.extend(appended.map(|(name, value)| (name.into(), Clean::of(&value).into())));
        Record {
            level: match self.status {
                500.. => Level::ERROR,
                _ => Level::INFO,
            },
            time: unix_now(),
            logger: "".into(),
            event: "",
            message: "handled request".to_owned(),
            fields,
        }
    }
}

impl Follower for Entry {
    fn sent(&mut self, bytes: u64) {
        if let Some(noting) = &mut self.0 {
            noting.sent += bytes;
        }
    }
}

/// The body of a request, whose bytes are counted.
struct Counted {
    body: Body,
    bytes: Arc<AtomicU64>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let data = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.bytes
            .fetch_add(data.map_or(0, Bytes::len) as u64, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
