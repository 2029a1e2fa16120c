//! How an event stream leaves hyper.
//!
//! hyper writes the head of the answer, and asks its body for the first bytes. Instead of giving them, the body
//! is offered here. Once the kernel has taken the head, what drives hyper takes the connection out of it, and the
//! stream goes on without.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Request, Response, Version};
use hyper::body::Body as HttpBody;
use talaria_hub::{Handover, Outflow};

use super::leaving::Leaving;
use crate::serve::lock::lock;

/// What the layer below hyper, the body above it and what drives it know of one connection.
pub(crate) struct Exit {
    outflow: Outflow,
    /// Heads that hyper could read.
    heads: AtomicU32,
    /// Requests that it has handed over.
    requests: AtomicU32,
    /// Whether the layer below hyper holds the beginning of a head.
    is_held: AtomicBool,
    offered: Mutex<Option<Offered>>,
}

struct Offered {
    stream: Leaving,
    /// The head of the answer has left when the outflow has passed this.
    mark: u64,
}

impl Exit {
    /// The exit of a connection.
    pub(crate) fn new(outflow: Outflow) -> Arc<Self> {
        Arc::new(Self {
            outflow,
            heads: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            is_held: AtomicBool::new(false),
            offered: Mutex::default(),
        })
    }

    /// The layer below hyper: another head can be read.
    pub(crate) fn head(&self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
    }

    /// The layer below hyper: whether the beginning of a head is held back.
    pub(crate) fn holds(&self, is_held: bool) {
        self.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Notes a request that hyper has handed over. Returns what can let its answer leave, if the request is one
    /// after which nothing comes.
    pub(crate) fn request<B: HttpBody>(self: &Arc<Self>, request: &Request<B>) -> Option<Asked> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let is_usual = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream()
            && !request.headers().contains_key(UPGRADE);
        is_usual.then(|| Asked {
            exit: Arc::clone(self),
            closes: closes(request.headers()),
        })
    }

    /// Whether the client has sent nothing but the requests that hyper has handed over.
    pub(crate) fn is_free(&self) -> bool {
        let heads = self.heads.load(Ordering::Relaxed);
        heads == self.requests.load(Ordering::Relaxed) && !self.is_held.load(Ordering::Relaxed)
    }

    /// The body: offers its stream. hyper has the head, and will write it.
    pub(crate) fn offer(&self, stream: Leaving) {
        let mark = self.outflow.mark();
        *lock(&self.offered) = Some(Offered { stream, mark });
    }

    /// The body: takes its stream back.
    pub(crate) fn reclaim(&self) -> Option<Leaving> {
        lock(&self.offered).take().map(|offered| offered.stream)
    }

    /// What drives hyper: takes the stream once the kernel has the head.
    pub(crate) fn take(&self) -> Option<Leaving> {
        let mut offered = lock(&self.offered);
        let taken = offered.take_if(|offered| self.outflow.has_passed(offered.mark));
        taken.map(|offered| offered.stream)
    }

    /// What drives hyper: whether a stream is offered that must stay, because the client has sent more meanwhile.
    pub(crate) fn must_stay(&self) -> bool {
        !self.is_free() && lock(&self.offered).is_some()
    }
}

/// A request whose answer may leave.
pub(crate) struct Asked {
    exit: Arc<Exit>,
    closes: bool,
}

/// An answer that may leave.
pub(crate) struct May {
    /// Where.
    pub exit: Arc<Exit>,
    /// Whether the connection is closed after it.
    pub closes: bool,
    /// Whether the stream is offered.
    pub has_offered: bool,
}

impl Asked {
    /// Lets the answer leave if it is a stream of chunks.
    pub(crate) fn answer(self, answer: &Response<Body>) -> Option<May> {
        let fields = answer.headers();
        let is_stream = answer.extensions().get::<Handover>().is_some()
            && !fields.contains_key(CONTENT_LENGTH)
            && !fields.contains_key(TRANSFER_ENCODING);
        is_stream.then(|| May {
            exit: self.exit,
            closes: self.closes || closes(fields),
            has_offered: false,
        })
    }
}

/// Whether a head asks for the end of its connection (RFC 9112, section 9.6).
fn closes(fields: &HeaderMap) -> bool {
    let values = fields.get_all(CONNECTION).iter();
    let mut options = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    options.any(|option| option.trim().eq_ignore_ascii_case("close"))
}
