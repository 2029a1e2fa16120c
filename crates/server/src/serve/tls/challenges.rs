//! What proves to an authority that this hub serves a name: the answers to HTTP-01 (RFC 8555, section 8.3) and to
//! TLS-ALPN-01 (RFC 8737). They are known only while an order waits for its challenge.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use rustls::sign::CertifiedKey;
use talaria_hub::{forbid_storing, plain};

/// The path below which an authority asks for the answer to HTTP-01.
const PATH: &str = "/.well-known/acme-challenge/";

/// The protocol of a connection by which an authority checks TLS-ALPN-01.
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// The challenges that wait for their authority. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Challenges(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// The answers of HTTP-01, by token.
    answers: HashMap<String, String>,
    /// The certificates of TLS-ALPN-01, by name.
    certificates: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    /// The answer to a request of an authority; `None` for any other request.
    pub(crate) fn answer(&self, parts: &Parts) -> Option<Response<Body>> {
        let token = parts.uri.path().strip_prefix(PATH)?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return None;
        }
        let answer = self.waiting().answers.get(token).cloned()?;
        let mut response = plain(StatusCode::OK, answer);
        forbid_storing(response.headers_mut());
        Some(response)
    }

    /// The certificate that answers TLS-ALPN-01 for a name.
    pub(super) fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.waiting().certificates.get(name).cloned()
    }

    /// Answers HTTP-01 until the guard is dropped.
    pub(super) fn offer_answer(&self, token: &str, answer: &str) -> Offered {
        self.waiting()
            .answers
            .insert(token.to_owned(), answer.to_owned());
        self.offered(token)
    }

    /// Answers TLS-ALPN-01 until the guard is dropped.
    pub(super) fn offer_certificate(&self, name: &str, key: CertifiedKey) -> Offered {
        self.waiting()
            .certificates
            .insert(name.to_owned(), Arc::new(key));
        self.offered(name)
    }

    fn offered(&self, what: &str) -> Offered {
        Offered {
            challenges: self.clone(),
            what: what.to_owned(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A challenge that is answered as long as this lives.
pub(super) struct Offered {
    challenges: Challenges,
    what: String,
}

impl Drop for Offered {
    fn drop(&mut self) {
        let mut waiting = self.challenges.waiting();
        waiting.answers.remove(&self.what);
        waiting.certificates.remove(&self.what);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn an_answer_is_known_while_it_is_offered() {
        let challenges = Challenges::default();
        let ask = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(());
            let (parts, ()) = request.unwrap().into_parts();
            challenges.answer(&parts).map(|answer| answer.status())
        };
        let path = "/.well-known/acme-challenge/token";
        assert_eq!(ask(Method::GET, path), None);
        let offered = challenges.offer_answer("token", "token.thumb");
        assert_eq!(ask(Method::GET, path), Some(StatusCode::OK));
        assert_eq!(ask(Method::POST, path), None);
        assert_eq!(ask(Method::GET, "/.well-known/acme-challenge/other"), None);
        assert_eq!(ask(Method::GET, "/token"), None);
        drop(offered);
        assert_eq!(ask(Method::GET, path), None);
    }
}
