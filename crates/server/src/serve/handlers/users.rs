//! Whom a site lets in: `basic_auth` (RFC 7617).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use talaria_config::Error;
use talaria_config::settings::{Secret, UserSettings};
use tokio::sync::Semaphore;

/// The most passwords that are checked at a time: each holds a processor for a second or so.
const MOST: usize = 2;
/// The most requests that wait for that.
const MOST_WAITING: usize = 64;
/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a password; bcrypt reads 72.
const PASSWORD_BYTES: usize = 1024;

static PERMITS: Semaphore = Semaphore::const_new(MOST);
static WAITING: Semaphore = Semaphore::const_new(MOST_WAITING);

/// Why a request is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It has not the name and password of a user; the challenge says what to send.
    Unknown(HeaderValue),
    /// Too many passwords are being checked.
    Busy,
}

/// The users of a site. Cloning shares what is remembered.
#[derive(Clone)]
pub(crate) struct Users(Arc<Known>);

struct Known {
    hashes: HashMap<String, Secret>,
    /// The hash with which the password of an unknown user is compared, so that it takes as long.
    any: Secret,
    challenge: HeaderValue,
    /// The key of the tags of passwords.
    key: hmac::Key,
    /// The tag of each user's password, once it was right; so that not each request costs a second.
    right: Mutex<HashMap<String, hmac::Tag>>,
}

impl Users {
    /// Prepares to check passwords.
    ///
    /// # Errors
    /// The system gives no random bytes, or there is no user.
    pub(crate) fn new(settings: UserSettings) -> Result<Self, Error> {
        let realm = settings.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge =
            HeaderValue::try_from(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .map_err(|error| Error::new("the system gives no random bytes").caused_by(error))?;
        let first = settings.users.first();
        let any = first.ok_or_else(|| Error::new("`basic_auth` has no user"))?;
        Ok(Self(Arc::new(Known {
            any: any.1.clone(),
            hashes: settings.users.into_iter().collect(),
            challenge: challenge.map_err(Error::from_cause)?,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            right: Mutex::default(),
        })))
    }

    /// The user of a request.
    ///
    /// # Errors
    /// It has no name and password of a user, or too many passwords are being checked.
    pub(crate) async fn check(&self, headers: &HeaderMap) -> Result<String, Denied> {
        let unknown = || Denied::Unknown(self.0.challenge.clone());
        let (user, password) = credentials(headers).ok_or_else(unknown)?;
        let tag = hmac::sign(&self.0.key, password.as_bytes());
        if self.0.remembers(&user, &tag) {
            return Ok(user);
        }
        if !self.is_right(&user, password).await? {
            return Err(unknown());
        }
        self.0.remember(user.clone(), tag);
        Ok(user)
    }

    /// Whether a password is that of a user, as bcrypt says.
    async fn is_right(&self, user: &str, password: String) -> Result<bool, Denied> {
        let waiting = WAITING.try_acquire().map_err(|_| Denied::Busy)?;
        let permit = tokio::time::timeout(PATIENCE, PERMITS.acquire()).await;
        drop(waiting);
        let Ok(Ok(permit)) = permit else {
            return Err(Denied::Busy);
        };
        let known = self.0.hashes.get(user);
        let is_known = known.is_some();
        let hash = known.unwrap_or(&self.0.any).clone();
        let checked = tokio::task::spawn_blocking(move || {
            // The client may be gone, and the work goes on: it keeps its permit.
            let _permit = permit;
            bcrypt::verify(password, hash.expose())
        });
        let is_right = matches!(checked.await, Ok(Ok(true)));
        Ok(is_right && is_known)
    }
}

impl Known {
    fn remembers(&self, user: &str, tag: &hmac::Tag) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let known = right.get(user);
        known.is_some_and(|known| {
            aws_lc_rs::constant_time::verify_slices_are_equal(known.as_ref(), tag.as_ref()).is_ok()
        })
    }

    /// Remembers the password of a user; there are as many as users.
    fn remember(&self, user: String, tag: hmac::Tag) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.insert(user, tag);
    }
}

/// Name and password in `Authorization: Basic …`.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    (password.len() <= PASSWORD_BYTES).then(|| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        // bcrypt has a least cost of 4.
        let hash = bcrypt::hash("right", 4).unwrap();
        Users::new(UserSettings {
            realm: "a \"b\"".to_owned(),
            users: vec![("ann".to_owned(), Secret::new(hash))],
        })
        .unwrap()
    }

    fn sent(credentials: &str) -> HeaderMap {
        let encoded = STANDARD.encode(credentials);
        let value = HeaderValue::try_from(format!("Basic {encoded}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    /// Only a user with the right password is let in, the second time too.
    #[tokio::test]
    async fn users_are_let_in() {
        let users = users();
        for _ in 0..2 {
            assert_eq!(users.check(&sent("ann:right")).await.unwrap(), "ann");
        }
        for wrong in ["ann:wrong", "bob:right", "ann", ":", ""] {
            let denied = users.check(&sent(wrong)).await.unwrap_err();
            let Denied::Unknown(challenge) = denied else {
                panic!("{wrong}: {denied:?}");
            };
            assert_eq!(challenge, "Basic realm=\"a \\\"b\\\"\", charset=\"UTF-8\"");
        }
        assert!(users.check(&HeaderMap::new()).await.is_err());
    }

    /// A password that is remembered is not checked again; another one of the same user is.
    #[tokio::test]
    async fn a_remembered_password_costs_nothing() {
        let users = users();
        users.check(&sent("ann:right")).await.unwrap();
        let permits = PERMITS.acquire_many(u32::try_from(MOST).unwrap()).await;
        users.check(&sent("ann:right")).await.unwrap();
        drop(permits);
        assert!(users.check(&sent("ann:right2")).await.is_err());
    }
}
