//! The token that a verb presents: of an option, a file or the variable.

use std::fmt;
use std::path::PathBuf;

use http::HeaderValue;
use talaria_config::Error;

/// The variable that holds the token if no option names one.
pub(in crate::cli) const TOKEN_VARIABLE: &str = "TALARIA_TOKEN";

/// What to do about a token that cannot be sent.
const COMPACT_FORM: &str = "give the compact form, header.payload.signature";

/// A token, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Token {
    /// The value of the header that presents it.
    pub(in crate::cli) authorization: HeaderValue,
    /// The option or variable that it is from.
    pub(in crate::cli) source: String,
}

/// The token of a client; the variable `TALARIA_TOKEN` holds it if neither option is given.
#[derive(Clone, Default, clap::Args)]
pub(in crate::cli) struct TokenArgs {
    /// The access token; safer in a file or in TALARIA_TOKEN, which lists of processes do not show.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(in crate::cli) token: Option<String>,
    /// A file with the access token.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: Option<PathBuf>,
}

impl fmt::Debug for TokenArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenArgs")
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}

impl TokenArgs {
    /// The token to present; `variable` is the value of [`TOKEN_VARIABLE`].
    ///
    /// # Errors
    /// The file cannot be read, or the token has characters that are not allowed in a header.
    pub(in crate::cli) fn read(&self, variable: Option<String>) -> Result<Option<Token>, Error> {
        let (source, token) = match (&self.token, &self.token_file) {
            (Some(token), _) => ("--token".to_owned(), token.clone()),
            (None, Some(file)) => {
                let source = format!("--token-file {}", file.display());
                let token = std::fs::read_to_string(file).map_err(|error| {
                    Error::new(source.as_str())
                        .caused_by(error)
                        .remedy("name a readable file that holds the token")
                })?;
                (source, token)
            }
            (None, None) => match variable {
                Some(token) => (TOKEN_VARIABLE.to_owned(), token),
                None => return Ok(None),
            },
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(Error::new(format!("{source}: the token is empty"))
                .remedy("give a token, or leave the option or variable out"));
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                Error::new(format!(
                    "{source}: the token has characters that are not allowed in a header"
                ))
                .remedy(COMPACT_FORM)
            })?;
        authorization.set_sensitive(true);
        Ok(Some(Token {
            authorization,
            source,
        }))
    }
}

/// The value of [`TOKEN_VARIABLE`].
///
/// # Errors
/// It is not UTF-8.
pub(in crate::cli) fn token_variable() -> Result<Option<String>, Error> {
    match std::env::var(TOKEN_VARIABLE) {
        Ok(token) => Ok(Some(token)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::new(format!("{TOKEN_VARIABLE} is not UTF-8")).remedy(COMPACT_FORM))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An option takes precedence over the variable, and no error shows a token.
    #[test]
    fn the_nearest_token_counts() {
        let args = |token: &str| TokenArgs {
            token: Some(token.to_owned()),
            token_file: None,
        };
        let value = args("a.b.c\n").read(Some("d".to_owned()));
        assert_eq!(value.unwrap().unwrap().authorization, "Bearer a.b.c");
        let value = TokenArgs::default().read(Some("d".to_owned()));
        assert_eq!(value.unwrap().unwrap().authorization, "Bearer d");
        assert_eq!(TokenArgs::default().read(None).unwrap(), None);
        let error = args("se\ncret").read(None).unwrap_err().to_string();
        assert!(
            error.starts_with("--token") && !error.contains("cret"),
            "{error}"
        );
        assert!(args(" ").read(None).is_err());
        let missing = TokenArgs {
            token: None,
            token_file: Some("/no/such/file".into()),
        };
        let error = missing.read(None).unwrap_err().to_string();
        assert!(error.starts_with("--token-file /no/such/file"), "{error}");
    }
}
