//! What clients sent, as far as a log may show it. The access log holds texts of clients in these types only, and
//! each of them leaves secrets out when it is made, so that no later step can forget to.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Uri};

use super::record::{Field, Value};
pub(crate) use super::tokens::REDACTED;
use super::tokens::{holds_token, without_secrets};

/// Header fields whose values are secrets (B-711).
const FIELDS: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];
/// The most bytes of one text.
const LONGEST: usize = 2048;
/// The most bytes of a field's value, and of its name.
const LONGEST_FIELD: usize = 1024;
const LONGEST_NAME: usize = 64;
/// The most header fields.
const MOST_FIELDS: usize = 48;
/// The most topics, and bytes of each.
const MOST_TOPICS: usize = 8;
const LONGEST_TOPIC: usize = 256;

/// A text of a client without secrets, of a bounded length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Clean(String);

impl Clean {
    /// What may be shown of a text.
    pub(crate) fn of(text: &str) -> Self {
        Self::cut(text, LONGEST)
    }

    /// What may be shown of a request's target.
    pub(crate) fn of_target(uri: &Uri) -> Self {
        let target = uri.path_and_query();
        Self::of(target.map_or("", |target| target.as_str()))
    }

    /// What may be shown of the value of a header field.
    pub(crate) fn of_field(name: &str, text: &str) -> Self {
        let is_secret = FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name));
        Self::unless(is_secret, text)
    }

    /// What may be shown of the value of a parameter of a query.
    pub(crate) fn of_parameter(name: &str, text: &str) -> Self {
        Self::unless(holds_token(name), text)
    }

    fn unless(is_secret: bool, text: &str) -> Self {
        match is_secret && !text.is_empty() {
            true => Self(REDACTED.to_owned()),
            false => Self::of(text),
        }
    }

    fn cut(text: &str, most: usize) -> Self {
        // Before the cut, because what is left of a token could not be told from another text.
        let clean = without_secrets(text);
        Self(cut(&clean, most).into_owned())
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Clean> for String {
    fn from(clean: Clean) -> Self {
        clean.0
    }
}

impl From<Clean> for Value {
    fn from(clean: Clean) -> Self {
        Self::Word(clean.0)
    }
}

/// The fields of a head without secrets, of a bounded number and length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head(Vec<Field>);

impl Head {
    /// What may be shown of these fields. `shows_credentials` shows those that hold secrets by their name.
    pub(crate) fn of(headers: &HeaderMap, shows_credentials: bool) -> Self {
        let names = headers.keys().take(MOST_FIELDS);
        let fields = names.map(|name| {
            let is_secret = FIELDS.contains(&name.as_str());
            let values = headers.get_all(name).iter().take(MOST_FIELDS);
            let values = values.map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes());
                match (is_secret, shows_credentials) {
                    (true, true) => Value::Word(cut(&text, LONGEST_FIELD).into_owned()),
                    (true, false) => Value::Word(REDACTED.to_owned()),
                    (false, _) => Clean::cut(&text, LONGEST_FIELD).into(),
                }
            });
            (Cow::Owned(title(name)), Value::List(values.collect()))
        });
        Self(fields.collect())
    }
}

impl From<Head> for Value {
    fn from(head: Head) -> Self {
        Self::Group(head.0)
    }
}

/// Topics, of a bounded number and length. `count` is how many there are in all.
pub(crate) fn topics(first: &[String], count: usize) -> Value {
    let shown = first.iter().take(MOST_TOPICS);
    let mut shown: Vec<Value> = shown
        .map(|topic| Clean::cut(topic, LONGEST_TOPIC).into())
        .collect();
    let more = count.saturating_sub(shown.len());
    if more > 0 {
        shown.push(Value::Word(format!("… {more} more")));
    }
    Value::List(shown)
}

/// The name of a field as the existing server writes it: `User-Agent`.
fn title(name: &HeaderName) -> String {
    let mut is_first = true;
    let name = cut(name.as_str(), LONGEST_NAME);
    let letters = name.chars().map(|letter| {
        let written = if is_first {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        is_first = letter == '-';
        written
    });
    letters.collect()
}

/// At most this many bytes of a text, in whole characters.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.len() > most {
        false => Cow::Borrowed(text),
        true => {
            let kept = text
                .get(..text.floor_char_boundary(most))
                .unwrap_or_default();
            Cow::Owned(format!("{kept}…"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJtZXJjdXJlIjp7fX0.c2lnbmF0dXJl";

    fn clean(text: &str) -> String {
        Clean::of(text).0
    }

    /// However its name is written, no token is shown, and other parameters stay.
    #[test]
    fn tokens_are_left_out_of_targets() {
        for (target, shown) in [
            ("/a?topic=x", "/a?topic=x"),
            ("/a", "/a"),
            (
                "/a?authorization=ey.x.y&topic=x",
                "/a?authorization=REDACTED&topic=x",
            ),
            ("/a?%61uthorization=ey", "/a?authorization=REDACTED"),
            ("/a?%2561uthorization=ey", "/a?authorization=REDACTED"),
            ("/a?AuthoriZation=ey", "/a?authorization=REDACTED"),
            ("/a?+authorization=ey", "/a?authorization=REDACTED"),
            ("/a?%20authorization=ey", "/a?authorization=REDACTED"),
            ("/a?authorization[]=ey", "/a?authorization=REDACTED"),
            ("/a?authorization%5B%5D=ey", "/a?authorization=REDACTED"),
            ("/a?x=1;jwt=ey", "/a?x=1;jwt=REDACTED"),
            ("/a?authorization", "/a?authorization=REDACTED"),
            ("/a?access_token=ey=x", "/a?access_token=REDACTED"),
            ("/authorization/a?jwtx=1", "/authorization/a?jwtx=1"),
            (
                "/login?to=https%3A%2F%2Fa%2F%3Fauthorization%3Dey",
                "/login?to=REDACTED",
            ),
            (
                "/login?to=https%253A%252F%252Fa%252F%253Fauthorization%253Dey",
                "/login?to=REDACTED",
            ),
            ("/a?to=%2Fb%3Fc%3Dd", "/a?to=%2Fb%3Fc%3Dd"),
        ] {
            let uri: Uri = target.parse().unwrap_or_default();
            let of_uri = Clean::of_target(&uri).0;
            assert_eq!(clean(target), shown, "{target}");
            assert!(of_uri == shown || of_uri == "/", "{target}: {of_uri}");
        }
    }

    /// A token is noticed where its place says nothing.
    #[test]
    fn tokens_are_left_out_wherever_they_stand() {
        for text in [
            format!("/.well-known/mercure/{TOKEN}"),
            format!("/a?x={TOKEN}&b=c"),
            format!("/a?topic=https%3A%2F%2Fa%2F{TOKEN}"),
            format!("https://a.test/b?c={TOKEN}#d"),
            format!("permessage-deflate, {TOKEN}"),
            format!("Bearer {TOKEN}"),
            format!("bearer opaque-{}", "secret"),
            format!("a Basic  opaque-{}", "secret"),
            format!("/a?x={}", TOKEN.replace('.', "%2E")),
            format!("/a?x={}", TOKEN.replace('.', "%252e")),
            format!("({TOKEN})"),
        ] {
            let shown = clean(&text);
            assert!(shown.contains(REDACTED), "{text}: {shown}");
            for part in ["c2lnbmF0dXJl", "eyJtZXJj", "opaque-secret"] {
                assert!(!shown.contains(part), "{text}: {shown}");
            }
        }
        for text in [
            "ewok.example",
            "Bearer realm=\"a\", error=\"invalid_token\"",
            "/keys/eyJ",
            "monkeyJoe",
            "ärger",
            "%",
            "=",
            "?&;#",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    /// Fields with secrets are replaced by their names, and all are bounded.
    #[test]
    fn heads_are_shown_without_secrets() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cookie", "a=secret"),
            ("authorization", "Basic secret"),
            ("proxy-authorization", "secret"),
            ("set-cookie", "a=secret"),
            ("x-token", "Bearer secret"),
            ("referer", "https://a.test/?authorization=secret"),
            ("user-agent", "curl/8"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let shown = format!("{:?}", Head::of(&headers, false));
        assert!(!shown.contains("secret"), "{shown}");
        assert!(
            shown.contains("User-Agent") && shown.contains("curl/8"),
            "{shown}"
        );
        let shown = format!("{:?}", Head::of(&headers, true));
        assert!(
            shown.contains("a=secret") && shown.contains("Basic secret"),
            "{shown}"
        );
        assert!(!shown.contains("authorization=secret"), "{shown}");
        let long = HeaderValue::from_str(&"x".repeat(100_000)).unwrap();
        for number in 0..500 {
            let name: HeaderName = format!("x-{number}").parse().unwrap();
            headers.insert(name, long.clone());
        }
        let Value::Group(fields) = Value::from(Head::of(&headers, false)) else {
            panic!("a group");
        };
        assert_eq!(fields.len(), MOST_FIELDS);
        assert!(format!("{fields:?}").len() < 2 * MOST_FIELDS * LONGEST_FIELD);
    }

    #[test]
    fn topics_are_bounded() {
        let long: Vec<String> = (0..20)
            .map(|number| format!("{number}{}", "x".repeat(9000)))
            .collect();
        let Value::List(shown) = topics(&long, 20) else {
            panic!("a list");
        };
        assert_eq!(shown.len(), MOST_TOPICS + 1);
        assert_eq!(shown.last(), Some(&Value::Word("… 12 more".to_owned())));
        assert!(format!("{shown:?}").len() < (MOST_TOPICS + 1) * 2 * LONGEST_TOPIC);
    }

    proptest::proptest! {
        /// A token in any surroundings is not shown, and no text panics.
        #[test]
        fn no_surroundings_show_a_token(before in ".{0,20}", after in ".{0,20}") {
            let shown = clean(&format!("{before}{TOKEN}{after}"));
            proptest::prop_assert!(!shown.contains("eyJtZXJj"), "{}", shown);
        }
    }
}
