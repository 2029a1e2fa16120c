//! The value of `--origin`.

use talaria_config::Error;
use talaria_hub::origin::Origins;
use url::Url;

/// The schemes of pages: those of the Web, of extensions, and those that frameworks for apps serve their
/// pages under.
const SCHEMES: [&str; 12] = [
    "http",
    "https",
    "app",
    "capacitor",
    "chrome-extension",
    "electron",
    "extension",
    "ionic",
    "moz-extension",
    "safari-web-extension",
    "tauri",
    "vscode-webview",
];

/// An origin as browsers send it (RFC 6454, section 6.2).
///
/// # Errors
/// No browser sends the text.
pub(super) fn of_browsers(text: &str) -> Result<String, Error> {
    const REMEDY: &str = "give what the browser sends: scheme, host and, unless it is the default, port, such as https://app.example";
    if text.contains('*') {
        return Err(Error::new(format!(
            "--origin {text:?}: a browser sends one origin and no wildcard"
        ))
        .remedy(REMEDY));
    }
    if text.contains('@') {
        return Err(
            Error::new("--origin: a browser sends no user name and password").remedy(REMEDY),
        );
    }
    if !text.contains("://") && !text.eq_ignore_ascii_case("null") {
        let https = format!("https://{text}");
        let remedy = match Url::parse(&https) {
            Ok(url) if url.has_host() => {
                format!("give --origin {https}, or http:// if the pages come so")
            }
            _ => REMEDY.to_owned(),
        };
        return Err(Error::new(format!("--origin {text:?}: the scheme is missing")).remedy(remedy));
    }
    if text.eq_ignore_ascii_case("null") {
        return Err(Error::new(
            "--origin null: every page of a file and every sandboxed frame sends it, so that allowing it allows anyone",
        )
        .remedy(format!("serve the pages over HTTP, and {REMEDY}")));
    }
    Origins::parse(&[text])
        .map_err(|problem| Error::new(format!("--origin: {problem}")).remedy(REMEDY))?;
    let origin = Url::parse(text);
    if let Ok(url) = &origin
        && !SCHEMES.contains(&url.scheme())
    {
        return Err(Error::new(format!(
            "--origin {text:?}: no browser sends an origin of the scheme {}; known are {}",
            url.scheme(),
            SCHEMES.join(", ")
        ))
        .remedy(REMEDY));
    }
    Ok(match origin.map(|url| url.origin()) {
        Ok(origin) if origin.is_tuple() => origin.ascii_serialization(),
        _ => text.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no browser sends is refused, and the rest gets the form that browsers send (RFC 6454, section
    /// 6.2).
    #[test]
    fn an_origin_is_what_browsers_send() {
        for (given, sent) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.example:443", "https://app.example"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("ionic://localhost", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("app://.", "app://."),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ("moz-extension://a-b-c", "moz-extension://a-b-c"),
        ] {
            assert_eq!(of_browsers(given).unwrap(), sent);
        }
        for wrong in [
            "app.example",
            "localhost:8000",
            "https://app.example/",
            "https://app.example/page",
            "https://*.example.com",
            "*",
            "https://ann@app.example",
            "https://ann:PW@app.example",
            "null",
            "NULL",
            "ftp://x",
            "ws://x",
            "file:///page.html",
            "redis://x",
            "https://a.example,https://b.example",
            "",
        ] {
            let error = of_browsers(wrong).unwrap_err().to_string();
            assert!(error.starts_with("--origin"), "{wrong}: {error}");
            assert!(!error.contains("PW"), "{error}");
        }
    }
}
