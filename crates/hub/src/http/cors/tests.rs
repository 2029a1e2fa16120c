//! Lists of origins, and the answers to pages of other origins (B-226, B-361 to B-367, B-1011, B-1027).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Cors;
use crate::access::origin::Origins;

fn origins(values: &[&str]) -> Origins {
    Origins::parse(values).expect("origins")
}

/// An origin is listed by its exact value, in any case, or by a pattern whose first `*` stands for a run of
/// characters. `null` is permitted only if it is listed (B-226, B-367).
#[test]
fn origins_are_matched() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "https://a.example",
            &["https://a.example", "HTTPS://A.example"],
            &[
                "http://a.example",
                "https://a.example:8443",
                "https://a.example.evil",
                "https://xa.example",
                "null",
            ],
        ),
        ("HTTPS://A.Example", &["https://a.example"], &[]),
        (
            "https://a.example:443",
            &["https://a.example"],
            &["https://a.example:444"],
        ),
        (
            "https://*.example.com",
            &["https://a.example.com", "https://a.b.example.com"],
            &[
                "https://example.com",
                "https://a.example.com:1",
                "http://a.example.com",
                "https://evil.com/.example.com",
            ],
        ),
        (
            "https://example.com:*",
            &["https://example.com:1"],
            &["https://example.org:1"],
        ),
        ("https://*.*.example.com", &[], &["https://a.b.example.com"]),
        ("null", &["null"], &["https://null"]),
        (
            "capacitor://localhost",
            &["capacitor://localhost"],
            &["http://localhost"],
        ),
        ("*", &["https://a.example", "null", ""], &[]),
    ];
    for (listed, allowed, refused) in cases {
        let origins = origins(&[listed]);
        assert_eq!(origins.is_any(), listed == "*");
        for origin in allowed {
            assert!(origins.allows(origin), "{listed} has {origin}");
        }
        for origin in refused {
            assert!(!origins.allows(origin), "{listed} has not {origin}");
        }
    }
    assert!(!Origins::default().allows("https://a.example"));
    assert!(origins(&["https://a.example", "*"]).is_any());
}

/// A value that is not an origin is refused. The error names the value and a remedy (B-226).
#[test]
fn values_that_are_not_origins_are_refused() {
    for (value, hint) in [
        ("https://a.example/", "slash"),
        ("https://a.example/path", "slash"),
        ("https://user@a.example", "user"),
        ("https://a.example?q", "query"),
        ("https://a.example#f", "fragment"),
        ("a.example", "scheme"),
        ("", "scheme"),
        ("https://", "not an origin"),
        ("https://a b", "not an origin"),
        ("https://a.example:port", "not an origin"),
        ("https://a.example:99999", "not an origin"),
        ("*://a.example", "not an origin"),
        ("://a.example", "not an origin"),
    ] {
        let error = Origins::parse(&[value]).expect_err(value).to_string();
        assert!(error.contains(hint), "{value}: {error}");
        assert!(error.contains(&format!("\"{value}\"")), "{value}: {error}");
    }
}

/// A wildcard of `publish_origins` stays within one registrable domain (B-1027).
#[test]
fn wildcards_for_publishing_are_confined() {
    for value in [
        "https://*.example.com",
        "https://app-*.example.com:8443",
        "https://*.example.co.uk",
        "https://example.com:*",
        "http://[::1]:*",
        "http://*.localhost:3000",
        "http://*.app.localhost",
        "https://*.app.local",
        "https://a.example",
        "null",
        "*",
    ] {
        assert!(Origins::for_publish(&[value]).is_ok(), "{value}");
    }
    for value in [
        "https://*",
        "https://*.com",
        "https://*.co.uk",
        "https://*example.com",
        "https://example.*",
        "https://example.com*",
        "https://example*.com",
        "https://*:8443",
        "https://*.github.io",
        "https://*.GitHub.io",
        "https://*.com.",
        "https://*.co.uk.",
        "https://*.com:8443",
        "https://*.xn--p1ai",
        "https://*.рф",
        "https://*.ck",
        "https://*.s3.amazonaws.com",
        "https://app-*.vercel.app",
        "https://*.local",
        "http://*.0.0.1",
    ] {
        assert!(
            Origins::parse(&[value]).is_ok(),
            "{value} is fine for reading"
        );
        let error = Origins::for_publish(&["https://a.example", value])
            .expect_err(value)
            .to_string();
        assert!(
            error.contains(&value.to_lowercase()) && error.contains("https://*.example.com"),
            "{error}"
        );
    }
}

/// Pages that are permitted by a value that fits every foreign page have no credentials, not even in a
/// preflight (B-363).
#[test]
fn foreign_pages_have_no_credentials() {
    const TRUE: Option<&str> = Some("true");
    for (listed, origin, credentials) in [
        (
            &["https://*.example.com"][..],
            "https://a.example.com",
            TRUE,
        ),
        (&["https://a.example.com"], "https://a.example.com", TRUE),
        (
            &["http://*.localhost:3000"],
            "http://a.localhost:3000",
            TRUE,
        ),
        (&["http://localhost:*"], "http://localhost:3000", TRUE),
        (&["http://127.0.0.1:*"], "http://127.0.0.1:3000", TRUE),
        (&["capacitor://localhost"], "capacitor://localhost", TRUE),
        (&["https://*.com"], "https://evil.com", None),
        (&["https://*.co.uk"], "https://evil.co.uk", None),
        (&["https://*.github.io"], "https://evil.github.io", None),
        (&["https://*"], "https://evil.example", None),
        (&["https://*:8443"], "https://evil.example:8443", None),
        (&["http://*.0.0.1"], "http://127.0.0.1", None),
        (&["https://example.*"], "https://example.evil", None),
        (&["https://*example.com"], "https://evilexample.com", None),
        (&["null"], "null", None),
        (&["chrome-extension://*"], "chrome-extension://abc", None),
        // A page that another entry permits keeps its credentials.
        (&["https://*.com", "https://a.com"], "https://a.com", TRUE),
        (&["https://*.com", "https://a.com"], "https://b.com", None),
    ] {
        let cors = Cors::new(origins(listed));
        let from = ("origin", origin);
        let get = ("access-control-request-method", "GET");
        let asked = preflight(&cors, &[from, get]);
        let mut actual = HeaderMap::new();
        cors.decorate(headers(&[from]).get(ORIGIN), &mut actual);
        for answer in [asked, actual] {
            let permissions = permissions(&answer);
            assert_eq!(permissions[0], Some(origin), "{listed:?}");
            assert_eq!(permissions[3], credentials, "{listed:?} {origin}");
        }
    }
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(value).expect("a value");
            (HeaderName::from_static(name), value)
        })
        .collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().expect("text"))
}

/// The permissions in the answer to a preflight: origin, method, headers, credentials.
fn permissions(answer: &HeaderMap) -> [Option<&str>; 4] {
    [
        text(answer, &ACCESS_CONTROL_ALLOW_ORIGIN),
        text(answer, &ACCESS_CONTROL_ALLOW_METHODS),
        text(answer, &ACCESS_CONTROL_ALLOW_HEADERS),
        text(answer, &ACCESS_CONTROL_ALLOW_CREDENTIALS),
    ]
}

fn preflight(cors: &Cors, fields: &[(&'static str, &str)]) -> HeaderMap {
    let answer = cors
        .preflight(&Method::OPTIONS, &headers(fields), None)
        .expect("a preflight");
    assert_eq!(answer.status(), 204);
    assert_eq!(
        text(answer.headers(), &VARY),
        Some("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
    );
    answer.into_parts().0.headers
}

/// A preflight is permitted only if origin, method and headers are all acceptable (B-361 to B-365).
#[test]
fn preflights_are_answered() {
    let some = Cors::new(origins(&["https://app.example"]));
    let from = ("origin", "https://app.example");
    for method in ["GET", "HEAD", "POST", "QUERY"] {
        let answer = preflight(&some, &[from, ("access-control-request-method", method)]);
        assert_eq!(
            permissions(&answer),
            [
                Some("https://app.example"),
                Some(method),
                None,
                Some("true")
            ]
        );
    }
    let asked = [
        from,
        ("access-control-request-method", "QUERY"),
        (
            "access-control-request-headers",
            "Authorization,cache-control,, content-type",
        ),
        (
            "access-control-request-headers",
            "last-event-id,authorization",
        ),
    ];
    assert_eq!(
        permissions(&preflight(&some, &asked))[2],
        Some("authorization, cache-control, content-type, last-event-id")
    );
    let any = Cors::new(origins(&["*"]));
    assert_eq!(
        permissions(&preflight(
            &any,
            &[from, ("access-control-request-method", "GET")]
        )),
        [Some("*"), Some("GET"), None, None]
    );
}

/// A refused preflight is answered 204, too, without permissions (B-361).
#[test]
fn refused_preflights_permit_nothing() {
    let cors = Cors::new(origins(&["https://app.example"]));
    let from = ("origin", "https://app.example");
    let get = ("access-control-request-method", "GET");
    let refused: [&[(&'static str, &str)]; 5] = [
        &[get],
        &[("origin", "https://evil.example"), get],
        &[from, ("access-control-request-method", "DELETE")],
        &[from, ("access-control-request-method", "get")],
        &[
            from,
            get,
            ("access-control-request-headers", "authorization,x-other"),
        ],
    ];
    for fields in refused {
        assert_eq!(
            permissions(&preflight(&cors, fields)),
            [None; 4],
            "{fields:?}"
        );
    }
    // Not preflights.
    assert!(
        cors.preflight(&Method::OPTIONS, &headers(&[from]), None)
            .is_none()
    );
    assert!(
        cors.preflight(&Method::GET, &headers(&[from, get]), None)
            .is_none()
    );
}

/// The headers that an actual answer has for each kind of page (B-362, B-363, B-1011).
#[test]
fn actual_answers_are_decorated() {
    let decorated = |listed: &[&str], origin: Option<&str>| {
        let mut answer = headers(&[("vary", "Accept")]);
        let request: HeaderMap = origin.map_or_else(HeaderMap::new, |o| headers(&[("origin", o)]));
        Cors::new(origins(listed)).decorate(request.get(ORIGIN), &mut answer);
        let vary: Vec<_> = answer.get_all(VARY).iter().cloned().collect();
        assert_eq!(vary, ["Accept", "Origin"]);
        answer
    };
    const EXPOSED: Option<&str> =
        Some("Link, Mercure-Last-Event-ID, Accept-Query, Retry-After, WWW-Authenticate");

    let allowed = decorated(&["https://*.app.example"], Some("https://a.app.example"));
    assert_eq!(
        permissions(&allowed),
        [Some("https://a.app.example"), None, None, Some("true")]
    );
    assert_eq!(text(&allowed, &ACCESS_CONTROL_EXPOSE_HEADERS), EXPOSED);

    let any = decorated(&["*"], Some("null"));
    assert_eq!(permissions(&any), [Some("*"), None, None, None]);
    assert_eq!(text(&any, &ACCESS_CONTROL_EXPOSE_HEADERS), EXPOSED);

    for answer in [
        decorated(&["https://app.example"], Some("https://evil.example")),
        decorated(&["https://app.example"], None),
    ] {
        assert_eq!(permissions(&answer), [None; 4]);
        assert_eq!(text(&answer, &ACCESS_CONTROL_EXPOSE_HEADERS), None);
    }
}
