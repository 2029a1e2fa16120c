//! URI Templates (RFC 6570, levels 1 to 4) as selectors of Mercure 0.x (B-610).
//!
//! A template is read backwards: it matches every text that some values of its variables expand
//! to. Its expressions become one regular expression, which the `regex` crate runs in linear time.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// What one compiled template may occupy; a longer one is refused.
const MAX_BYTES: usize = 256 * 1024;

/// A longer prefix modifier (`:300`) is not counted: its copies would fill the budget.
const COUNTED_PREFIX: u16 = 64;

/// A compiled template. Two are equal exactly if their text is.
#[derive(Debug)]
pub struct UriTemplate {
    text: Box<str>,
    prefix_bytes: usize,
    regex: Regex,
    weight: usize,
}

impl UriTemplate {
    /// Compiles a template; `None` if the text is none, or one that is too complex. Mercure 0.x
    /// takes such a text literally.
    pub fn parse(text: &str) -> Option<Self> {
        let prefix_bytes = text.find('{')?;
        let mut source = String::from(r"\A(?:");
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (literal, expression) = rest.split_at(open);
            push_literal(literal, &mut source)?;
            let (expression, after) = expression[1..].split_once('}')?;
            Expression::parse(expression)?.push(&mut source);
            rest = after;
        }
        push_literal(rest, &mut source)?;
        source.push_str(r")\z");
        let weight = source.len();
        let regex = RegexBuilder::new(&source)
            .size_limit(MAX_BYTES)
            .dfa_size_limit(MAX_BYTES)
            .build()
            .ok()?;
        Some(Self {
            text: text.into(),
            prefix_bytes,
            regex,
            weight,
        })
    }

    /// Whether the topic is the template itself or an expansion of it.
    pub fn matches(&self, topic: &str) -> bool {
        *self.text == *topic || self.regex.is_match(topic)
    }

    /// What every matching topic begins with.
    pub fn literal_prefix(&self) -> &str {
        let literal = &self.text[..self.prefix_bytes];
        let copied = literal.find(|c| !is_copied(c)).unwrap_or(literal.len());
        &literal[..copied]
    }

    /// The template as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What an evaluation costs at worst for each byte, in states.
    pub fn states(&self) -> usize {
        self.weight
    }
}

/// Whether an expansion copies the character (RFC 6570, section 3.1); others are percent-encoded.
fn is_copied(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c)
}

/// A literal matches as it is, and as an expansion would encode it.
fn push_literal(literal: &str, source: &mut String) -> Option<()> {
    if literal.contains('}') {
        return None;
    }
    for c in literal.chars() {
        let mut buffer = [0; 4];
        let text: &str = c.encode_utf8(&mut buffer);
        if is_copied(c) {
            source.push_str(&regex::escape(text));
            continue;
        }
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        // Writing to a string does not fail.
        _ = write!(source, "(?:{}|{encoded})", regex::escape(text));
    }
    Some(())
}

const UNRESERVED: &str = r"[A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2}";
const UNRESERVED_OR_COMMA: &str = r"[A-Za-z0-9\-._~,]|%[0-9A-Fa-f]{2}";
const UNRESERVED_OR_EQUALS: &str = r"[A-Za-z0-9\-._~=]|%[0-9A-Fa-f]{2}";
const RESERVED: &str = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2}";

/// What precedes and separates the values of an expression (RFC 6570, appendix A).
struct Operator {
    first: &'static str,
    separator: &'static str,
    named: bool,
    reserved: bool,
}

impl Operator {
    fn of(expression: &str) -> Option<(Self, &str)> {
        let operator = |first, separator, named, reserved| Self {
            first,
            separator,
            named,
            reserved,
        };
        let sign = expression.chars().next()?;
        let known = match sign {
            '+' => operator("", ",", false, true),
            '#' => operator("#", ",", false, true),
            '.' => operator(".", ".", false, false),
            '/' => operator("/", "/", false, false),
            ';' => operator(";", ";", true, false),
            '?' => operator("?", "&", true, false),
            '&' => operator("&", "&", true, false),
            _ => return Some((operator("", ",", false, false), expression)),
        };
        Some((known, &expression[1..]))
    }
}

/// One variable and its modifier.
struct Variable<'a> {
    name: &'a str,
    explode: bool,
    /// The most characters of its value.
    prefix: Option<u16>,
}

impl<'a> Variable<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, explode, prefix) = if let Some(name) = text.strip_suffix('*') {
            (name, true, None)
        } else if let Some((name, digits)) = text.split_once(':') {
            let valid = (1..=4).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            (name, false, Some(valid.then(|| digits.parse().ok())??))
        } else {
            (text, false, None)
        };
        let named = name.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'%'))
        });
        named.then_some(Self {
            name,
            explode,
            prefix,
        })
    }

    /// One value, or an exploded list of them.
    fn pattern(&self, operator: &Operator) -> String {
        let single = if operator.reserved {
            RESERVED
        } else {
            UNRESERVED
        };
        if self.explode {
            let item = match (operator.named, operator.reserved) {
                (true, _) => format!("(?:{single})*(?:=(?:{single})*)?"),
                (false, true) => format!("(?:{single})*"),
                (false, false) => format!("(?:{UNRESERVED_OR_EQUALS})*"),
            };
            return format!("{item}(?:{}{item})*", regex::escape(operator.separator));
        }
        let value = match self.prefix {
            Some(most) if most <= COUNTED_PREFIX => format!("(?:{single}){{0,{}}}", 4 * most),
            _ if operator.reserved => format!("(?:{RESERVED})*"),
            _ => format!("(?:{UNRESERVED_OR_COMMA})*"),
        };
        match (operator.named, operator.first) {
            (false, _) => value,
            // An empty value of a path parameter has no `=`.
            (true, ";") => format!("{}(?:={value})?", regex::escape(self.name)),
            (true, _) => format!("{}={value}", regex::escape(self.name)),
        }
    }
}

struct Expression<'a> {
    operator: Operator,
    variables: Vec<Variable<'a>>,
}

impl<'a> Expression<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (operator, list) = Operator::of(text)?;
        let variables = list
            .split(',')
            .map(Variable::parse)
            .collect::<Option<_>>()?;
        Some(Self {
            operator,
            variables,
        })
    }

    /// Any of the variables may be undefined, and is then left out with its separator.
    fn push(&self, source: &mut String) {
        let patterns: Vec<_> = self
            .variables
            .iter()
            .map(|variable| variable.pattern(&self.operator))
            .collect();
        let separator = regex::escape(self.operator.separator);
        let starts: Vec<_> = patterns
            .iter()
            .enumerate()
            .map(|(index, first)| {
                let mut start = format!("(?:{first})");
                for later in &patterns[index + 1..] {
                    _ = write!(start, "(?:{separator}(?:{later}))?");
                }
                start
            })
            .collect();
        let first = regex::escape(self.operator.first);
        _ = write!(source, "(?:{first}(?:{}))?", starts.join("|"));
    }
}

impl PartialEq for UriTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UriTemplate {}

impl PartialOrd for UriTemplate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UriTemplate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for UriTemplate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6570, section 3.2, read backwards: each expansion there matches its template.
    #[test]
    fn expansions_match_their_templates() {
        let cases = [
            (
                "https://example.com/books/{id}",
                "https://example.com/books/1",
            ),
            (
                "https://example.com/books/{id}",
                "https://example.com/books/",
            ),
            ("https://example.com/{a}/{b}", "https://example.com/x/y%2Fz"),
            ("{var}", "value"),
            ("{hello}", "Hello%20World%21"),
            ("{+path}/here", "/foo/bar/here"),
            ("{#path,x}/here", "#/foo/bar,1024/here"),
            ("X{.list*}", "X.red.green.blue"),
            ("X{.x,y}", "X.1024.768"),
            ("{/var,x}/here", "/value/1024/here"),
            ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
            ("{;x,y,empty}", ";x=1024;y=768;empty"),
            ("{?x,y}", "?x=1024&y=768"),
            ("{?x,y}", "?y=768"),
            ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
            ("{?keys*}", "?semi=%3B&dot=.&comma=%2C"),
            ("{&list*}", "&list=red&list=green&list=blue"),
            ("{keys*}", "semi=%3B,dot=.,comma=%2C"),
            ("{x,y}", "1024,768"),
            ("é{x}", "é1"),
            ("é{x}", "%C3%A91"),
            ("a{x}", "a{x}"),
            ("{var:3}", "val"),
        ];
        for (template, topic) in cases {
            let compiled = UriTemplate::parse(template).expect(template);
            assert!(compiled.matches(topic), "{template} {topic}");
            assert!(topic.starts_with(compiled.literal_prefix()), "{template}");
        }
    }

    #[test]
    fn what_no_values_expand_to_does_not_match() {
        let cases = [
            (
                "https://example.com/books/{id}",
                "https://example.com/books/1/2",
            ),
            (
                "https://example.com/books/{id}",
                "https://example.com/book/1",
            ),
            ("https://example.com/{id}", "http://example.com/1"),
            ("{?x,y}", "?y=1&x=2"),
            ("{?x}", "?z=1"),
            ("{x}", "%zz"),
            ("{x}", "é"),
            ("a{x}b", "a1"),
            ("{var:3}", "value%20of%20more%20than%20three"),
        ];
        for (template, topic) in cases {
            let compiled = UriTemplate::parse(template).expect(template);
            assert!(!compiled.matches(topic), "{template} {topic}");
        }
    }

    #[test]
    fn what_is_no_template_is_none() {
        for text in [
            "plain",
            "{",
            "{}",
            "a}b{c}",
            "{a",
            "{=x}",
            "{a:0}",
            "{a:10000}",
            "{a b}",
            "{a}}",
            "{+}",
            "{a,}",
        ] {
            assert!(UriTemplate::parse(text).is_none(), "{text}");
        }
    }
}
