//! Why a request of ours failed.

use std::error::Error;
use std::fmt;

/// An error of the HTTP client, shown by its causes: its own text names only the request.
#[derive(Debug)]
pub(crate) struct ClientError(reqwest::Error);

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = std::iter::successors(self.0.source(), |cause| (*cause).source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        if causes.is_empty() {
            write!(f, "{}", self.0)
        } else {
            f.write_str(&causes.join(": "))
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
