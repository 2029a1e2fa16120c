//! An authority, the account there, and what it suggests about renewals.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{Account, CertificateIdentifier, ExternalAccountKey, NewAccount};
use serde_json::Value;
use talaria_config::Error;
use talaria_config::settings::{AuthoritySettings, Binding};
use url::form_urlencoded::Serializer;

use super::client::Client;
use super::refusal::told;
use super::store::{Store, StoredAccount};
use super::stored::Stored;

/// Where ZeroSSL gives out keys of external accounts.
const ZERO_SSL_KEYS: &str = "https://api.zerossl.com/acme/";
/// How long to wait for another task or program that makes the account.
const PAUSE: Duration = Duration::from_millis(500);

/// An authority during one attempt.
pub(super) struct Authority<'a> {
    settings: &'a AuthoritySettings,
    store: &'a Store,
    client: Client,
}

impl<'a> Authority<'a> {
    /// Prepares to ask it.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub(super) fn new(settings: &'a AuthoritySettings, store: &'a Store) -> Result<Self, Error> {
        Ok(Self {
            settings,
            store,
            client: Client::new(settings)?,
        })
    }

    /// Its settings.
    pub(super) fn settings(&self) -> &'a AuthoritySettings {
        self.settings
    }

    /// How long to wait, if it said so with its last refusal.
    pub(super) fn asked_to_wait(&self) -> Option<Duration> {
        self.client.asked_to_wait()
    }

    /// The account there: the stored one, else a new one.
    ///
    /// # Errors
    /// The authority does not answer, or refuses the account.
    pub(super) async fn account(&self) -> Result<Account, Error> {
        if let Some(account) = self.stored().await? {
            return Ok(account);
        }
        let what = format!("account_{}", self.settings.directory);
        let lock = loop {
            match self.store.lock(&what)? {
                Some(lock) => break lock,
                None => tokio::time::sleep(PAUSE).await,
            }
        };
        // Another task or program may have made it meanwhile.
        let account = match self.stored().await? {
            Some(account) => account,
            None => self.create().await?,
        };
        drop(lock);
        Ok(account)
    }

    /// Forgets the stored account, because the authority does not know it.
    pub(super) fn forget_account(&self) {
        tracing::warn!(
            name: "acme_account_unknown",
            authority = %self.settings.directory,
            "the authority does not know the stored account, so a new one is made"
        );
        self.store
            .forget_account(&self.settings.directory, self.email());
    }

    async fn stored(&self) -> Result<Option<Account>, Error> {
        let Some(stored) = self.store.account(&self.settings.directory, self.email()) else {
            return Ok(None);
        };
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        let directory = self.settings.directory.to_string();
        let account = builder.from_parts(stored.location, stored.key, directory);
        account.await.map(Some).map_err(|error| told(&error))
    }

    async fn create(&self) -> Result<Account, Error> {
        let contact: Vec<String> = self
            .email()
            .iter()
            .map(|email| format!("mailto:{email}"))
            .collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let binding = match &self.settings.binding {
            None => None,
            Some(Binding::Key { id, key }) => Some(external(id, key.expose())?),
            Some(Binding::ZeroSsl(key)) => {
                let key = key.as_ref().map(|key| key.expose());
                Some(self.ask_for_key(key).await?)
            }
        };
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        let directory = self.settings.directory.to_string();
        let created = builder.create(&new, directory, binding.as_ref()).await;
        let (account, credentials) = created
            .map_err(|error| Error::new("the account is refused").caused_by(told(&error)))?;
        let stored = StoredAccount {
            location: account.id().to_owned(),
            key: credentials.private_key().clone_key(),
        };
        self.store
            .save_account(&self.settings.directory, self.email(), &stored)?;
        tracing::info!(name: "acme_account_made", authority = %self.settings.directory, "made an account for certificates");
        Ok(account)
    }

    /// Asks ZeroSSL for the key that binds an account, which is then no secret of the configuration.
    async fn ask_for_key(&self, access_key: Option<&str>) -> Result<ExternalAccountKey, Error> {
        let pair = |name: &str, value: &str| {
            let mut form = Serializer::new(String::new());
            form.append_pair(name, value).finish()
        };
        let (url, form) = match access_key {
            Some(key) => {
                let key = pair("access_key", key);
                (
                    format!("{ZERO_SSL_KEYS}eab-credentials?{key}"),
                    String::new(),
                )
            }
            None => {
                let email = pair("email", self.email().unwrap_or_default());
                (format!("{ZERO_SSL_KEYS}eab-credentials-email"), email)
            }
        };
        let refused = || Error::new("ZeroSSL gives no key for an account");
        let answer = self.client.post_form(&url, form).await;
        // The error of a request may show its URL, which holds the access key.
        let answer = answer.map_err(|_| refused())?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| refused())?;
        let field = |name: &str| answer.get(name).and_then(Value::as_str);
        match (field("eab_kid"), field("eab_hmac_key")) {
            (Some(id), Some(key)) => external(id, key),
            _ => Err(refused()),
        }
    }

    /// When it suggests to renew a certificate, and how long that holds; `None` if it says nothing about it (RFC
    /// 9773).
    pub(super) async fn suggestion(
        &self,
        stored: &Stored,
    ) -> Option<(Range<SystemTime>, Duration)> {
        let account = self.stored().await.ok().flatten()?;
        let certificate = CertificateIdentifier::try_from(stored.leaf()?).ok()?;
        match account.renewal_info(&certificate).await {
            Ok((info, again)) => {
                let window = info.suggested_window;
                Some((window.start.into()..window.end.into(), again))
            }
            Err(error) => {
                tracing::debug!(authority = %self.settings.directory, "no renewal information: {}", told(&error));
                None
            }
        }
    }

    fn email(&self) -> Option<&'a str> {
        self.settings.email.as_deref()
    }
}

/// A key of an external account from base64, whichever of its alphabets.
fn external(id: &str, key: &str) -> Result<ExternalAccountKey, Error> {
    let text = key
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    let key = URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        Error::new("the key of the external account is not base64url")
            .remedy("copy it from the authority as it is")
    })?;
    Ok(ExternalAccountKey::new(id.to_owned(), &key))
}
