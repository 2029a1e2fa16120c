//! The keys that a bench signs its tokens with, and the options that name them.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

use crate::error::Problem;
use crate::token::Mint;

/// The keys and claims of the tokens that a bench mints.
#[derive(Clone, Default, Args)]
pub(crate) struct KeyArgs {
    /// The HS256 secret that signs the publishers' token, and a token for each subscriber that grants
    /// only its topic. Without a key, no client presents a token.
    #[arg(long, value_name = "SECRET", conflicts_with = "key_file")]
    pub(crate) key: Option<String>,
    /// A file with the secret. Unlike `--key`, it does not show the secret in a list of processes.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The secret of the subscribers' tokens, if it differs from the publishers'.
    #[arg(long, value_name = "SECRET")]
    pub(crate) subscriber_key: Option<String>,
    /// The tokens' `iss` [default: https://localhost].
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// The tokens' `aud` [default: the URL].
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,
}

impl fmt::Debug for KeyArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyArgs")
            .field("key_file", &self.key_file)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// The secrets that sign tokens.
pub(crate) struct Keys {
    /// Signs the publishers' token.
    pub(crate) publisher: Vec<u8>,
    /// Signs the subscribers' tokens.
    pub(crate) subscriber: Vec<u8>,
}

impl KeyArgs {
    /// Refuses what has no effect without a key.
    ///
    /// # Errors
    /// Names the option.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let of_tokens = [
            ("--subscriber-key", self.subscriber_key.is_some()),
            ("--issuer", self.issuer.is_some()),
            ("--audience", self.audience.is_some()),
        ];
        match of_tokens.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if !self.has_key() => Err(Problem::NeedsKey { option }),
            _ => Ok(()),
        }
    }

    /// Whether clients present tokens.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some() || self.key_file.is_some()
    }

    /// The keys, read from their file if they are in one; `None` without any.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(&self) -> Result<Option<Keys>, Problem> {
        let publisher = match (&self.key, &self.key_file) {
            (Some(key), _) => key.clone().into_bytes(),
            (None, Some(path)) => std::fs::read(path)
                .map_err(|error| Problem::KeyFile {
                    path: path.clone(),
                    error,
                })?
                .trim_ascii_end()
                .to_owned(),
            (None, None) => return Ok(None),
        };
        let subscriber = match &self.subscriber_key {
            Some(key) => key.clone().into_bytes(),
            None => publisher.clone(),
        };
        Ok(Some(Keys {
            publisher,
            subscriber,
        }))
    }

    /// As [`Self::read`], for a bench that publishes in any case.
    ///
    /// # Errors
    /// Also when there is no key.
    pub(crate) fn required(&self) -> Result<Keys, Problem> {
        self.read()?.ok_or(Problem::NoKey)
    }

    /// Mints tokens for the hub at a URL that outlast a run of `timeout` seconds.
    pub(crate) fn mint(&self, url: &str, timeout: u64) -> Mint {
        Mint {
            issuer: self
                .issuer
                .clone()
                .unwrap_or_else(|| "https://localhost".to_owned()),
            audience: self.audience.clone().unwrap_or_else(|| url.to_owned()),
            lifetime: timeout.saturating_add(600),
        }
    }
}
