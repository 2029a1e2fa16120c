//! Spans: what the hub tells a tracing system about requests and deliveries.
//!
//! The hub records nothing by itself. A server that traces a request puts a [`Tracing`] into the request's
//! extensions; then the hub begins [spans](Span) below it, and hands each to the server's [`SpanSink`] when it has
//! ended. The context of a sampled publish is stored with its updates, so that their deliveries are part of the same
//! trace, also after a restart. A request without a `Tracing` costs nothing, nor does an update without a context.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::SystemTime;
//!
//! use http::Request;
//! use talaria_hub::trace::{Span, SpanSink, Tracing};
//! use talaria_hub::protocol::TraceContext;
//! use talaria_hub::transport::Position;
//!
//! /// Keeps spans; a real one bounds them, and exports them.
//! #[derive(Default)]
//! struct Kept(Mutex<Vec<Span>>);
//!
//! impl SpanSink for Kept {
//!     fn now(&self) -> SystemTime {
//!         SystemTime::now()
//!     }
//!     fn record(&self, span: Span) {
//!         self.0.lock().unwrap().push(span);
//!     }
//!     fn admits_delivery(&self, _: &TraceContext, _: Position) -> bool {
//!         true
//!     }
//! }
//!
//! let sink = Arc::new(Kept::default());
//! let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
//! let parent = TraceContext::parse(parent, "").expect("it is valid");
//! let mut request = Request::new(());
//! request.extensions_mut().insert(Tracing::new(sink, parent.into()));
//! ```

mod active;
mod deliveries;
mod span;

pub use self::active::{ActiveSpan, Tracing};
pub(crate) use self::deliveries::Deliveries;
pub use self::span::{Span, SpanFailure, SpanKind, SpanSink, SpanValue};
