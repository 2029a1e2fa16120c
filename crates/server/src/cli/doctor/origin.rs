//! The value of `--origin`.

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
/// What no browser sends, with what it sends instead.
pub(super) fn of_browsers(text: &str) -> Result<String, String> {
    let advice = "give what the browser sends: scheme, host and, unless it is the default, port, such as https://app.example";
    if text.contains('*') {
        return Err(format!(
            "--origin {text:?}: a browser sends one origin and no wildcard\n  {advice}"
        ));
    }
    if text.contains('@') {
        return Err(format!(
            "--origin: a browser sends no user name and password\n  {advice}"
        ));
    }
    if text.eq_ignore_ascii_case("null") {
        return Err(format!(
            "--origin null: every page of a file and every sandboxed frame sends it, so that allowing it allows anyone\n  serve the pages over HTTP, and {advice}"
        ));
    }
    Origins::parse(&[text]).map_err(|problem| format!("--origin: {problem}\n  {advice}"))?;
    let origin = Url::parse(text);
    if let Ok(url) = &origin
        && !SCHEMES.contains(&url.scheme())
    {
        return Err(format!(
            "--origin {text:?}: no browser sends an origin of the scheme {}; known are {}\n  {advice}",
            url.scheme(),
            SCHEMES.join(", ")
        ));
    }
    Ok(match origin.map(|url| url.origin()) {
        Ok(origin) if origin.is_tuple() => origin.ascii_serialization(),
        _ => text.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6454, section 6.2: what no browser sends is refused; what it writes otherwise is
    /// written so.
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
            assert_eq!(of_browsers(given).as_deref(), Ok(sent));
        }
        for wrong in [
            "app.example",
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
            let error = of_browsers(wrong).unwrap_err();
            assert!(error.starts_with("--origin"), "{wrong}: {error}");
            assert!(!error.contains("PW"), "{error}");
        }
    }
}
