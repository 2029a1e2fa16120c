//! Why a request got no answer, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{CertificateError, Error as TlsError};
use talaria_config::Error;
use talaria_config::guide::Page;
use url::Url;

use super::target::authority;
use crate::serve::client_error::ClientError;

/// A request that got no answer.
#[derive(Debug)]
pub(in crate::cli) struct Failure {
    authority: String,
    /// What kind of failure it is.
    pub(in crate::cli) kind: Kind,
    problem: String,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    /// No authority that this machine trusts has signed the certificate.
    UnknownAuthority,
    /// The certificate is for another name.
    OtherName,
    /// The certificate is no longer valid, or not yet.
    OutOfTime,
    /// Something else is wrong with the certificate or with TLS.
    Tls,
    /// The port does not speak TLS.
    NotTls,
    /// The name has no address.
    UnknownHost,
    /// Nothing listens there.
    NotListening,
    /// No answer came in time.
    Silent,
    /// What answers does not speak HTTP.
    NotHttp,
    /// The connection ended before an answer.
    Closed,
    /// Anything else.
    Other,
}

impl Failure {
    pub(super) fn of(url: &Url, error: reqwest::Error) -> Self {
        Self {
            authority: authority(url),
            kind: Kind::of(&error),
            problem: ClientError::from(error).to_string(),
        }
    }

    pub(super) fn silent(url: &Url, patience: Duration) -> Self {
        Self {
            authority: authority(url),
            kind: Kind::Silent,
            problem: format!("no answer within {} s", patience.as_secs()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.authority, self.problem)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = Self::new(failure.to_string()).remedy(failure.kind.remedy());
        match failure.kind.page() {
            Some(page) => error.page(page),
            None => error,
        }
    }
}

impl Kind {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        if let Some(tls) = find::<TlsError>(error) {
            return match tls {
                TlsError::InvalidCertificate(certificate) => Self::of_certificate(certificate),
                TlsError::InvalidMessage(_) => Self::NotTls,
                _ => Self::Tls,
            };
        }
        if let Some(http) = find::<hyper::Error>(error) {
            if http.is_parse() {
                return Self::NotHttp;
            }
            if http.is_incomplete_message() || http.is_closed() {
                return Self::Closed;
            }
        }
        if chain(error).any(|cause| cause.to_string().contains("dns error")) {
            return Self::UnknownHost;
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Self::NotListening,
            Some(io::ErrorKind::TimedOut) => Self::Silent,
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => Self::Closed,
            _ if chain(error).any(|cause| cause.to_string().contains("timed out")) => Self::Silent,
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::UnknownIssuer => Self::UnknownAuthority,
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::OtherName,
            E::Expired
            | E::ExpiredContext { .. }
            | E::NotValidYet
            | E::NotValidYetContext { .. } => Self::OutOfTime,
            _ => Self::Tls,
        }
    }

    /// What to do about it.
    pub(in crate::cli) fn remedy(self) -> &'static str {
        match self {
            Self::UnknownAuthority => {
                "make this machine trust the authority that signed the certificate (`talaria trust` for the local one), name its root with --cacert FILE, or give the hub a public certificate"
            }
            Self::OtherName => {
                "write a name in the URL that the certificate is for, or give the hub a certificate for this one"
            }
            Self::OutOfTime => "renew the certificate, and compare the clocks of both machines",
            Self::Tls => {
                "see what the certificate and the TLS settings of the hub or its proxy are"
            }
            Self::NotTls => {
                "the port speaks plain HTTP or something else: write http:// in the URL, or another port"
            }
            Self::UnknownHost => "correct the host in the URL, or its entry in the name service",
            Self::NotListening => {
                "correct host and port in the URL, or start the hub or the proxy in front of it"
            }
            Self::Silent => {
                "check that a hub listens there, and that no firewall discards what is sent to it"
            }
            Self::NotHttp => "correct host and port in the URL: another service listens there",
            Self::Closed => {
                "check that a hub or a proxy listens there; if the URL begins with http://, perhaps https:// is spoken there"
            }
            Self::Other => "check the URL, and the log of the hub or of the proxy in front of it",
        }
    }

    /// The page that explains more.
    pub(in crate::cli) fn page(self) -> Option<Page> {
        match self {
            Self::UnknownAuthority => Some(Page::HTTPS_TRUST),
            Self::OtherName | Self::OutOfTime | Self::Tls => Some(Page::HTTPS),
            Self::NotTls => Some(Page::WRONG_SCHEME),
            Self::UnknownHost
            | Self::NotListening
            | Self::Silent
            | Self::NotHttp
            | Self::Closed
            | Self::Other => Some(Page::DOCTOR),
        }
    }
}

/// The error and its causes. An I/O error does not name what it wraps as its source.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn StdError + 'static)| {
        let within = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match within {
            Some(within) => Some(within as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref::<T>())
}
