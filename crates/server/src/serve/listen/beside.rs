//! HTTP/3 beside an HTTPS listener, which each configuration may switch off and on.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::serve::connection::Context;
use crate::serve::http3;

/// What answers say when HTTP/3 is off (RFC 7838, section 3): browsers remember for days that it was on.
const FORGET: &str = "clear";

/// HTTP/3 beside a listener.
#[derive(Default)]
pub(super) struct Beside {
    bound: Option<Bound>,
    /// Whether answers have named it.
    was_offered: bool,
}

/// A socket of UDP. It stays bound when HTTP/3 is off, because connections may still end on it, and another socket
/// could not have its port.
struct Bound {
    listening: http3::Listening,
    /// Ends what accepts on it, and its connections.
    closing: CancellationToken,
    accepting: AbortHandle,
}

impl Bound {
    fn is_on(&self) -> bool {
        !self.closing.is_cancelled()
    }

    /// Whether the socket has failed.
    fn has_failed(&self) -> bool {
        self.is_on() && self.accepting.is_finished()
    }
}

impl Beside {
    /// Begins or ends HTTP/3 as the new context of the listener asks for, and has its answers say so. `shared` is what
    /// connections take their context from, and `tasks` owns what accepts them.
    pub(super) fn follow(
        &mut self,
        address: SocketAddr,
        shared: &Arc<ArcSwap<Context>>,
        context: &mut Context,
        tasks: &mut JoinSet<JoinSet<()>>,
    ) {
        let bound = self.bound.take().filter(|bound| !bound.has_failed());
        let is_wanted = context.acceptor.is_some() && context.protocols.h3;
        let mut accept = |listening: &http3::Listening| {
            let closing = context.closing.child_token();
            let (listening, shared) = (listening.clone(), Arc::clone(shared));
            let accepting = tasks.spawn(http3::accept(listening, shared, closing.clone()));
            (closing, accepting)
        };
        self.bound = match bound {
            Some(bound) if !is_wanted => {
                bound.closing.cancel();
                bound.listening.pause();
                Some(bound)
            }
            Some(mut bound) => {
                bound.listening.resume(context);
                if !bound.is_on() {
                    (bound.closing, bound.accepting) = accept(&bound.listening);
                }
                Some(bound)
            }
            None => http3::listen(context, address).map(|listening| {
                let (closing, accepting) = accept(&listening);
                Bound {
                    listening,
                    closing,
                    accepting,
                }
            }),
        };
        let on = self.bound.as_ref().filter(|bound| bound.is_on());
        let alt_svc = on.map(|bound| bound.listening.alt_svc.clone());
        self.was_offered |= alt_svc.is_some();
        let forget = || HeaderValue::from_static(FORGET);
        context.alt_svc = alt_svc.or_else(|| self.was_offered.then(forget));
    }
}
