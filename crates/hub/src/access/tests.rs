//! How a token is presented, and what a client learns of a refusal (specification, "Presenting
//! the Access Token", "Error Responses").

use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::challenge::Challenge;
use super::origin::Origins;
use super::presentation::{PresentationError, Source, cookie_names, present};
use super::source_origin::{OwnOrigin, SourceOriginError, check_source_origin};

const NAME: &str = "__Secure-mercure_access_token";

fn headers<N: TryInto<HeaderName>>(fields: impl IntoIterator<Item = (N, String)>) -> HeaderMap {
    fields
        .into_iter()
        .map(|(name, value)| {
            let name = name.try_into().ok().expect("a name");
            (name, HeaderValue::try_from(value).expect("a value"))
        })
        .collect()
}

/// The token that is found, and where it is found.
fn found(
    fields: &[(HeaderName, String)],
    tls: bool,
) -> Result<Option<(String, Source)>, PresentationError> {
    present(&headers(fields.to_vec()), None, &cookie_names(NAME, tls))
        .map(|presented| presented.map(|presented| (presented.token, presented.source)))
}

fn header(value: &str) -> Result<Option<(String, Source)>, PresentationError> {
    found(&[(AUTHORIZATION, value.to_owned())], true)
}

fn cookie(value: &str, tls: bool) -> Option<String> {
    let found = found(&[(COOKIE, value.to_owned())], tls).expect("no header");
    assert!(found.iter().all(|(_, source)| *source == Source::Cookie));
    found.map(|(token, _)| token)
}

/// A bearer token is `Bearer` in any case, spaces and a token ("Authorization HTTP Header").
#[test]
fn a_bearer_token_is_found() {
    let token = format!("{}-._~+/09==", "a".repeat(33));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(
            header(&format!("{scheme} {token}")),
            Ok(Some((token.clone(), Source::Header)))
        );
    }
    let shortest = "a".repeat(41);
    // There may be any number of spaces. White space around a value is not part of it, and HTTP/2 does
    // not remove it (RFC 9110, sections 11.4 and 5.5).
    for value in [
        format!("Bearer {shortest}"),
        format!("Bearer  {shortest}"),
        format!("bearer    {shortest}"),
        format!("Bearer {shortest} "),
        format!(" Bearer {shortest}\t "),
        format!("\tBEARER   {shortest}"),
    ] {
        let expected = Ok(Some((shortest.clone(), Source::Header)));
        assert_eq!(header(&value), expected, "{value:?}");
    }
}

/// Any other form of the header is malformed (B-441).
#[test]
fn a_malformed_header_is_refused() {
    let token = "a".repeat(41);
    for value in [
        "",
        "Bearer",
        "Bearer   ",
        &format!("Bearer\t{token}"),
        &format!("Bearer{token}"),
        &format!("{token} Bearer"),
        &token,
    ] {
        assert_eq!(header(value), Err(PresentationError::NotBearer), "{value}");
    }
    for value in [
        "Basic dXNlcjpwYXNz",
        "basic dXNlcjpwYXNz",
        "BASIC  x",
        "Basic",
    ] {
        let error = header(value).expect_err(value);
        assert_eq!(error, PresentationError::OtherScheme("Basic"));
        assert!(!error.to_string().contains("dXNl"), "{error}");
    }
    assert_eq!(
        header(&format!("Bearer {}", "a".repeat(40))),
        Err(PresentationError::TooShort { bytes: 40 })
    );
    for value in [
        format!("Bearer \t{token}"),
        format!("Bearer {token},"),
        format!("Bearer \"{token}\""),
        format!("Bearer {token}=a"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token}é"),
    ] {
        assert_eq!(
            header(&value),
            Err(PresentationError::BadCharacters),
            "{value}"
        );
    }
    let field = (AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(
        found(&[field.clone(), field], true),
        Err(PresentationError::Repeated)
    );
}

/// With a header the cookie is ignored, even if the header is bad ("Presenting the Access Token").
#[test]
fn the_header_wins_over_the_cookie() {
    let token = "a".repeat(41);
    let cookie = || (COOKIE, format!("{NAME}=of-the-cookie"));
    assert_eq!(
        found(
            &[cookie(), (AUTHORIZATION, format!("Bearer {token}"))],
            true
        ),
        Ok(Some((token, Source::Header)))
    );
    assert_eq!(
        found(&[cookie(), (AUTHORIZATION, "Basic x".to_owned())], true),
        Err(PresentationError::OtherScheme("Basic"))
    );
}

/// A cookie is found by its exact name among others, in any of several fields; an empty one is absent
/// ("Cookie").
#[test]
fn a_cookie_is_found() {
    let token = |value: &str| cookie(value, true);
    assert_eq!(token(&format!("{NAME}=t")), Some("t".to_owned()));
    assert_eq!(
        token(&format!("a=b; {NAME}=t=u==; c=d")),
        Some("t=u==".to_owned())
    );
    assert_eq!(token(&format!("a;b=;;{NAME}=\"t\";")), Some("t".to_owned()));
    assert_eq!(token(&format!("{NAME}=; {NAME}=t")), Some("t".to_owned()));
    for none in [
        format!("{NAME}="),
        format!("{NAME}=\"\""),
        format!("x{NAME}=t"),
        format!("{}=t", NAME.to_lowercase()),
        NAME.to_owned(),
        String::new(),
    ] {
        assert_eq!(token(&none), None, "{none}");
    }
    let fields = [(COOKIE, "a=b".to_owned()), (COOKIE, format!("{NAME}=t"))];
    assert_eq!(
        found(&fields, true),
        Ok(Some(("t".to_owned(), Source::Cookie)))
    );
    assert_eq!(found(&[], true), Ok(None));
}

/// Without TLS the cookie is read with and without `__Secure-`; with TLS only by its name (B-1003).
#[test]
fn without_tls_both_names_are_read() {
    assert_eq!(cookie("mercure_access_token=t", true), None);
    assert_eq!(
        cookie("mercure_access_token=t", false),
        Some("t".to_owned())
    );
    assert_eq!(
        cookie(&format!("mercure_access_token=t; {NAME}=u"), false),
        Some("u".to_owned())
    );
    assert_eq!(cookie_names("auth", false), ["auth", "__Secure-auth"]);
    assert_eq!(cookie_names("auth", true), ["auth"]);
}

/// `Debug` does not show a token, so that no log does.
#[test]
fn a_presented_token_is_not_shown() {
    let headers = headers([(COOKIE, format!("{NAME}=topsecret"))]);
    let presented = present(&headers, None, &cookie_names(NAME, true)).expect("no header");
    let shown = format!("{presented:?}");
    assert!(
        shown.contains("Cookie") && !shown.contains("topsecret"),
        "{shown}"
    );
}

/// The challenges have these bytes (B-447).
#[test]
fn challenges_are_those_of_rfc_6750() {
    let url = "https://hub.example/.well-known/oauth-protected-resource/.well-known/mercure";
    let cases = [
        (
            Challenge::NoToken,
            401,
            format!("Bearer resource_metadata=\"{url}\""),
        ),
        (
            Challenge::InvalidRequest,
            400,
            format!("Bearer error=\"invalid_request\", resource_metadata=\"{url}\""),
        ),
        (
            Challenge::InvalidToken,
            401,
            format!("Bearer error=\"invalid_token\", resource_metadata=\"{url}\""),
        ),
        (
            Challenge::InsufficientScope,
            403,
            format!("Bearer error=\"insufficient_scope\", resource_metadata=\"{url}\""),
        ),
    ];
    for (challenge, status, value) in cases {
        assert_eq!(challenge.status().as_u16(), status);
        assert_eq!(challenge.header_value(Some(url)), value.as_str());
    }
    for url in [None, Some("https://a\"b"), Some("https://a\nb")] {
        assert_eq!(Challenge::NoToken.header_value(url), "Bearer");
        assert_eq!(
            Challenge::InvalidToken.header_value(url),
            "Bearer error=\"invalid_token\""
        );
    }
}

fn publish_from(
    name: &str,
    value: &str,
    (scheme, authority): (&str, &str),
    allowed: &[&str],
) -> Result<(), SourceOriginError> {
    let headers = headers([(name, value.to_owned())]);
    let origins = Origins::for_publish(allowed).expect("origins");
    check_source_origin(&headers, own(scheme, authority), &origins)
}

fn own<'a>(scheme: &'a str, authority: &'a str) -> OwnOrigin<'a> {
    OwnOrigin {
        scheme,
        authority,
        https_only: false,
    }
}

/// Anyone in the network can write pages of plain HTTP, so they may not publish to a hub of HTTPS, also
/// behind a proxy that takes TLS off.
#[test]
fn an_https_hub_is_of_https_alone() {
    for (origin, authority, is_own) in [
        ("https://hub.example", "hub.example", true),
        ("https://hub.example", "hub.example:3000", true),
        ("http://hub.example", "hub.example", false),
        ("http://hub.example:3000", "hub.example:3000", false),
        ("http://hub.example:443", "hub.example", false),
        ("HTTP://HUB.EXAMPLE", "hub.example", false),
    ] {
        for (name, value) in [
            ("origin", origin.to_owned()),
            ("referer", format!("{origin}/")),
        ] {
            let headers = headers([(name, value)]);
            let hub = OwnOrigin {
                scheme: "http",
                authority,
                https_only: true,
            };
            let result = check_source_origin(&headers, hub, &Origins::default());
            assert_eq!(result.is_ok(), is_own, "{origin}: {result:?}");
            let says = result.err().map(|error| error.to_string());
            assert!(says.is_none_or(|says| says.contains("https://hub.example")));
        }
    }
}

/// A page of the hub's own origin may publish, also behind a proxy that took the TLS off (B-1044).
#[test]
fn the_own_origin_may_publish() {
    const PLAIN: (&str, &str) = ("http", "hub.example");
    const TLS: (&str, &str) = ("https", "Hub.example:443");
    for (origin, request, own) in [
        ("http://hub.example", PLAIN, true),
        ("http://hub.example:80", PLAIN, true),
        ("https://hub.example", PLAIN, true),
        ("https://hub.example:8443", PLAIN, false),
        (
            "https://hub.example:8443",
            ("http", "hub.example:8443"),
            true,
        ),
        ("https://hub.example", ("http", "hub.example:3000"), true),
        ("http://hub.example", ("http", "hub.example:3000"), false),
        (
            "http://hub.example:3000",
            ("http", "hub.example:3000"),
            true,
        ),
        ("http://hub.example.evil", PLAIN, false),
        ("https://sub.hub.example", PLAIN, false),
        ("http://user@hub.example", PLAIN, false),
        ("http://hub.example/", PLAIN, false),
        ("http://hub.example/x", PLAIN, false),
        ("null", PLAIN, false),
        ("", PLAIN, false),
        ("https://hub.example", TLS, true),
        ("HTTPS://HUB.EXAMPLE", TLS, true),
        ("http://hub.example", TLS, false),
        ("http://[::1]:80", ("http", "[::1]"), true),
        ("http://x", ("http", "no host at all"), false),
    ] {
        let result = publish_from("origin", origin, request, &[]);
        assert_eq!(result.is_ok(), own, "{origin} to {request:?}: {result:?}");
    }
}

/// Pages of `publish_origins` may publish, by `Origin` or else by `Referer` (B-390).
#[test]
fn publish_origins_may_publish() {
    const HUB: (&str, &str) = ("https", "hub.example");
    let allowed = ["https://*.example.com", "https://App.example"];
    for (name, value) in [
        ("origin", "https://app.example"),
        ("origin", "https://APP.example"),
        ("origin", "https://a.b.example.com"),
        ("referer", "https://app.example/page?x=y"),
        ("referer", "https://hub.example/"),
    ] {
        assert_eq!(publish_from(name, value, HUB, &allowed), Ok(()), "{value}");
    }
    let error = publish_from("origin", "https://evil.example", HUB, &allowed).expect_err("foreign");
    assert_eq!(error.code(), "origin_not_allowed");
    let text = error.to_string();
    for part in [
        "\"https://evil.example\"",
        "https://hub.example",
        "https://*.example.com",
    ] {
        assert!(text.contains(part), "{text}");
    }
    for (value, code) in [
        (
            "https://evil.example/https://app.example",
            "origin_not_allowed",
        ),
        ("/relative", "referer_malformed"),
        ("about:blank", "referer_malformed"),
    ] {
        let error = publish_from("referer", value, HUB, &allowed).expect_err(value);
        assert_eq!(error.code(), code);
    }
    let hub = own("https", "hub.example");
    let none = check_source_origin(&HeaderMap::new(), hub, &Origins::default());
    assert_eq!(none, Err(SourceOriginError::Missing));
    // A `Referer` does not replace an opaque origin.
    let both = headers([
        ("origin", "null".to_owned()),
        ("referer", "https://hub.example/".to_owned()),
    ]);
    let result = check_source_origin(&both, hub, &Origins::default());
    assert_eq!(result.expect_err("null").code(), "origin_not_allowed");
    let twice = headers([
        ("origin", "https://hub.example".to_owned()),
        ("origin", "https://hub.example".to_owned()),
    ]);
    let result = check_source_origin(&twice, hub, &Origins::default());
    assert_eq!(result, Err(SourceOriginError::Malformed));
}
