//! The URL of a hub.

use talaria_config::Error;
use url::Url;

/// Reads a hub's URL; one without a path means the hub's well-known path.
///
/// # Errors
/// The URL is not one of `http` or `https`, or has parts that are never sent.
pub(in crate::cli) fn hub_url(url: &str) -> Result<Url, Error> {
    const REMEDY: &str = "give the hub's URL, such as http://localhost:3000/.well-known/mercure";
    let mut parsed = Url::parse(url).map_err(|error| {
        Error::new(format!("the hub's URL {url:?}"))
            .caused_by(error)
            .remedy(REMEDY)
    })?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(Error::new(format!(
            "the hub's URL {url:?} is not an http:// or https:// URL"
        ))
        .remedy(REMEDY));
    }
    if parsed.path() == "/" {
        parsed.set_path(talaria_protocol::HUB_PATH);
    }
    if parsed.fragment().is_some() {
        return Err(Error::new(format!(
            "the hub's URL {url:?} has a fragment, which is never sent"
        ))
        .remedy("write # as %23, or leave it out"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(
            Error::new("the hub's URL holds a user name or password, which no hub reads")
                .remedy("leave them out, and give a token by --token-file"),
        );
    }
    Ok(parsed)
}

/// Host and port of a URL, as errors name it.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub's address alone is enough; a URL that cannot work is refused.
    #[test]
    fn a_hubs_url_is_completed_or_refused() {
        let url = hub_url("http://127.0.0.1:3000").unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:3000/.well-known/mercure");
        let url = hub_url("http://[::1]/hub?x=1").unwrap();
        assert_eq!(url.as_str(), "http://[::1]/hub?x=1");
        assert_eq!(authority(&url), "[::1]");
        let url = hub_url("https://hub.example").unwrap();
        assert_eq!(url.as_str(), "https://hub.example/.well-known/mercure");
        assert!(hub_url("127.0.0.1:3000").is_err());
        assert!(hub_url("hub").is_err());
        let error = hub_url("http://[::1]/hub#y").unwrap_err().to_string();
        assert!(error.contains("%23"), "{error}");
        let error = hub_url("http://ann:secret@hub.example")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--token-file") && !error.contains("secret"),
            "{error}"
        );
    }
}
