//! What a hub answered instead of what was asked for, and which option to change.

use std::fmt::{self, Write as _};
use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use reqwest::Response;
use talaria_config::Error;
use talaria_config::guide::Page;

use super::token::{TOKEN_VARIABLE, Token};

/// How much of a refusal's body is read.
const MOST_BYTES: usize = 64 * 1024;
/// How much of it is shown.
const SHOWN_CHARS: usize = 2_000;
/// How long the body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Asked {
    /// To publish an update.
    Publish,
    /// For a stream.
    Subscribe,
}

/// An answer that refuses.
#[derive(Debug)]
pub(in crate::cli) struct Refusal {
    /// Its status.
    pub(in crate::cli) status: StatusCode,
    challenges: Vec<String>,
    location: Option<String>,
    retry_after: Option<String>,
    /// Its body, without spaces at its ends.
    pub(in crate::cli) body: String,
}

impl Refusal {
    /// Reads a refusal to its end.
    pub(in crate::cli) async fn read(mut response: Response) -> Self {
        let headers = response.headers();
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let one = |name: HeaderName| headers.get(name).map(text);
        let mut refusal = Self {
            status: response.status(),
            challenges: headers.get_all(WWW_AUTHENTICATE).iter().map(text).collect(),
            location: one(LOCATION),
            retry_after: one(RETRY_AFTER),
            body: String::new(),
        };
        let mut body = Vec::new();
        let read = async {
            while body.len() < MOST_BYTES
                && let Ok(Some(chunk)) = response.chunk().await
            {
                body.extend_from_slice(&chunk);
            }
        };
        // A part of the body is better than nothing.
        _ = tokio::time::timeout(PATIENCE, read).await;
        refusal.body = String::from_utf8_lossy(&body).trim().to_owned();
        refusal
    }

    /// The error of a verb whose request was refused.
    pub(in crate::cli) fn error(&self, asked: Asked, token: Option<&Token>) -> Error {
        let (remedy, page) = self.remedy(asked, token);
        Error::new(self.to_string()).remedy(remedy).page(page)
    }

    /// Which option to change, and the page that explains more.
    fn remedy(&self, asked: Asked, token: Option<&Token>) -> (String, Page) {
        let publishes = asked == Asked::Publish;
        let text = match self.status.as_u16() {
            300..=399 => {
                let target = self.location.as_deref().unwrap_or("elsewhere");
                return (
                    format!(
                        "give this URL instead: {target}; no redirect is followed, so that a token does not go elsewhere"
                    ),
                    Page::DOCTOR,
                );
            }
            400 if self.names_token() => {
                "correct the token that --token, --token-file or TALARIA_TOKEN gives"
            }
            400 | 406 | 415 => {
                return (
                    self.which_field(asked),
                    if publishes {
                        Page::PUBLISH
                    } else {
                        Page::SUBSCRIBE
                    },
                );
            }
            401 | 403 => return about_token(self.status, asked, token),
            404 | 405 | 410 => "correct the path of the URL: a hub's is /.well-known/mercure",
            408 | 504 => {
                "try again; the hub, or a proxy in front of it, did not get or give it in time"
            }
            413 if publishes => {
                return (
                    "publish less at once: a shorter --data, or fewer --topic".to_owned(),
                    Page::LIMITS,
                );
            }
            421 => {
                "write a host in the URL that the hub serves, or add this one to SERVER_NAME or to the site address"
            }
            429 => {
                return (
                    self.wait("close streams or connections of yours"),
                    Page::LIMITS,
                );
            }
            503 => return (self.wait("see the hub's log"), Page::STATUS),
            502 | 520..=529 => {
                "the proxy in front does not reach the hub: start the hub, or correct the proxy's upstream"
            }
            200..=299 => "correct the URL: a hub answers otherwise",
            _ => "see the log of the hub, and of the proxy in front of it",
        };
        (
            text.to_owned(),
            if self.names_token() {
                Page::TOKENS
            } else {
                Page::STATUS
            },
        )
    }

    fn wait(&self, otherwise: &str) -> String {
        match &self.retry_after {
            Some(seconds) => format!("try again in {seconds} s, or {otherwise}"),
            None => format!("try again later, or {otherwise}"),
        }
    }

    /// Whether the challenge says that the token is presented wrongly.
    fn names_token(&self) -> bool {
        self.challenges
            .iter()
            .any(|it| it.contains("invalid_request"))
    }

    /// The option of the field that the body names first.
    fn which_field(&self, asked: Asked) -> String {
        let known: &[(&str, &str)] = match asked {
            Asked::Publish => &[
                ("topic", "--topic"),
                ("retry", "--retry"),
                ("type", "--type"),
                ("id", "--id"),
                ("data", "--data"),
            ],
            Asked::Subscribe => &[
                ("match_urlpattern", "--match-urlpattern"),
                ("match", "--match"),
                ("topic", "--match"),
                ("last_event_id", "--last-event-id"),
                ("lasteventid", "--last-event-id"),
            ],
        };
        let body = self.body.to_ascii_lowercase().replace('-', "_");
        let words: Vec<&str> = body
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .collect();
        let first = known
            .iter()
            .filter_map(|(word, option)| Some((words.iter().position(|it| it == word)?, option)))
            .min();
        match first {
            Some((_, option)) => format!("change {option}, as the answer says"),
            None => "change the option that the answer is about, or the URL if this is not a hub"
                .to_owned(),
        }
    }
}

fn about_token(status: StatusCode, asked: Asked, token: Option<&Token>) -> (String, Page) {
    let (to_do, flag) = match asked {
        Asked::Publish => ("publish to each --topic", "--publish"),
        Asked::Subscribe => ("subscribe", "--subscribe"),
    };
    match token {
        None => (
            format!(
                "give a token that may {to_do}, by --token-file FILE, by --token TOKEN or in {TOKEN_VARIABLE}; `talaria token {flag} TOPIC` makes one"
            ),
            Page::TOKEN_MINT,
        ),
        Some(Token { source, .. }) if status == StatusCode::FORBIDDEN => (
            format!(
                "give another token than that of {source}, one that may {to_do}; `talaria token {flag} TOPIC` makes one"
            ),
            Page::TOKEN_MINT,
        ),
        Some(Token { source, .. }) => (
            format!(
                "give another token than that of {source}; the hub's log says why it is refused, and so does `talaria token check` with the hub's configuration"
            ),
            Page::TOKEN_REFUSED,
        ),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hub answered {}", self.status)?;
        for challenge in &self.challenges {
            write!(f, "\nWWW-Authenticate: {challenge}")?;
        }
        if let Some(location) = &self.location {
            write!(f, "\nLocation: {location}")?;
        }
        if !self.body.is_empty() {
            f.write_char('\n')?;
            let end = self.body.char_indices().nth(SHOWN_CHARS);
            match end {
                Some((at, _)) => write!(f, "{}…", self.body.get(..at).unwrap_or_default())?,
                None => f.write_str(&self.body)?,
            }
        }
        Ok(())
    }
}
