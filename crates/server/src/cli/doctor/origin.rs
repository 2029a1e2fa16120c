//! The value of `--origin`.

use talaria_hub::origin::Origins;
use url::Url;

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
    Origins::parse(&[text]).map_err(|problem| format!("--origin: {problem}\n  {advice}"))?;
    let origin = Url::parse(text).map(|url| url.origin());
    Ok(match origin {
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
            ("null", "null"),
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
            "https://a.example,https://b.example",
            "",
        ] {
            let error = of_browsers(wrong).unwrap_err();
            assert!(error.starts_with("--origin"), "{wrong}: {error}");
        }
    }
}
