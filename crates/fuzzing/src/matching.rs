//! Compares sets of matchers with a naive matcher: the standard's own regular expressions on a
//! general engine, one by one.

use regex::bytes::{Regex, RegexBuilder};
use talaria_protocol::{Base, Limits, Matcher, MatcherSet, MatcherType, Topic};
use urlpattern::regexp::RegExp;
use urlpattern::{RegexSyntax, UrlPattern, UrlPatternInit, UrlPatternOptions};

use crate::base::BASE;

/// An expression of the standard on the general engine, within separate bounds.
struct General(Regex);

impl RegExp for General {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        let regex = RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(1 << 18)
            .build();
        regex.map(Self).map_err(|_| ())
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        self.0.is_match(text.as_bytes()).then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        self.0.as_str()
    }
}

/// Matchers, one on each line: `=` and a topic, `~` and a URL Pattern, or a selector of 0.x; after
/// an empty line the topics. The set decides as the naive matcher does, and no evaluation costs
/// more than was predicted.
pub fn matching(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((matchers, topics)) = text.split_once("\n\n") else {
        return;
    };
    let limits = Limits::default();
    let matchers: Vec<Matcher> = matchers
        .lines()
        .take(16)
        .filter_map(|line| {
            let (kind, text) = match line.split_at_checked(1) {
                Some(("=", text)) => (MatcherType::Exact, text),
                Some(("~", text)) => (MatcherType::UrlPattern, text),
                _ => (MatcherType::Selector, line),
            };
            Matcher::parse(kind, text, "match", &BASE, &limits).ok()
        })
        .collect();
    let set: MatcherSet = matchers.iter().cloned().collect();
    for text in topics.lines().take(16) {
        let topic = Topic::new(text, &BASE);
        let parsed = Topic::parsed(text, &BASE, topic.url().cloned());
        let mut any = false;
        for matcher in &matchers {
            let mut spent = 0;
            let matches = matcher.matches_in(&topic, &mut spent);
            any |= matches;
            let predicted = matcher.steps(topic.bytes());
            assert!(
                (1..=predicted).contains(&spent),
                "{matcher:?} {text:?}: {spent} steps, {predicted} predicted"
            );
            assert_eq!(matches, matcher.matches(&parsed));
            assert!(matcher.size_bytes() <= 1 << 16, "{matcher:?}");
            let was_aborted = !matches && spent > 1 << 14;
            if let Some(expected) = naive(matcher, &topic, &BASE)
                && !was_aborted
            {
                assert_eq!(matches, expected, "{matcher:?} {text:?}");
            }
        }
        assert_eq!(set.matches(&topic), any, "{set:?} {text:?}");
    }
}

/// The answer of the naive matcher; `None` if it cannot tell.
fn naive(matcher: &Matcher, topic: &Topic<'_>, base: &Base) -> Option<bool> {
    match matcher {
        Matcher::Any => Some(true),
        Matcher::Exact(text) => Some(**text == *topic.text()),
        Matcher::UrlPattern(pattern) => {
            let Some(url) = topic.url() else {
                return Some(false);
            };
            // Its engine takes seconds for a long pattern.
            if pattern.text().len() > 256 {
                return None;
            }
            let base = Some(base.url().clone());
            let mut init =
                UrlPatternInit::parse_constructor_string::<General>(pattern.text(), base).ok()?;
            if init.protocol.is_some() {
                init.base_url = None;
            }
            let parsed = UrlPattern::<General>::parse(init, UrlPatternOptions::default()).ok()?;
            let url = url.url();
            let inputs = [
                (parsed.protocol, url.scheme()),
                (parsed.username, url.username()),
                (parsed.password, url.password().unwrap_or_default()),
                (parsed.hostname, url.host_str().unwrap_or_default()),
                (parsed.port, url::quirks::port(url)),
                (parsed.pathname, url.path()),
                (parsed.search, url.query().unwrap_or_default()),
                (parsed.hash, url.fragment().unwrap_or_default()),
            ];
            let mut inputs = inputs.into_iter();
            Some(inputs.all(|(component, input)| {
                component
                    .regexp
                    .is_ok_and(|regexp| regexp.matches(input).is_some())
            }))
        }
        // An expansion of a template may be the template itself, and begins as it does.
        Matcher::Template(template) => {
            let text = topic.text();
            if text == template.text() {
                return Some(true);
            }
            (!text.starts_with(template.literal_prefix())).then_some(false)
        }
    }
}
