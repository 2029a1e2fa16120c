//! URI Templates (RFC 6570, levels 1 to 4) as selectors of Mercure 0.x (B-610).
//!
//! It matches every text that some values of its variables expand to. What follows its literal
//! prefix becomes one state set, which runs in linear time.

mod compiler;
mod expression;

use crate::matcher::program::{Program, comparing};

/// A compiled template. Two are equal exactly if their text is.
#[derive(Debug)]
pub struct UriTemplate {
    text: Box<str>,
    prefix_bytes: usize,
    /// What follows the literal prefix.
    rest: Program,
}

impl UriTemplate {
    /// Compiles a template; `None` if the text is not a template, or is too long to compile.
    /// Mercure 0.x takes such a text literally.
    pub fn parse(text: &str) -> Option<Self> {
        let literal = &text[..text.find('{')?];
        if !compiler::is_literal(literal) {
            return None;
        }
        let prefix_bytes = literal
            .find(|c| !compiler::is_copied(c))
            .unwrap_or(literal.len());
        let rest = compiler::compile(&text[prefix_bytes..])?;
        Some(Self {
            text: text.into(),
            prefix_bytes,
            rest: Program::new(rest, Vec::new()),
        })
    }

    /// Whether the topic is the template itself or an expansion of it.
    pub fn matches(&self, topic: &str) -> bool {
        self.matches_in(topic, &mut 0)
    }

    /// Whether the topic is the template itself or an expansion of it; adds to `spent` the steps
    /// that this took, at least one.
    pub fn matches_in(&self, topic: &str, spent: &mut u64) -> bool {
        *spent += self.comparing();
        *self.text == *topic
            || topic
                .strip_prefix(self.literal_prefix())
                .is_some_and(|rest| self.rest.matches(rest.as_bytes(), spent))
    }

    /// The most steps that one evaluation of a topic of `bytes` bytes may take.
    pub fn steps(&self, bytes: usize) -> u64 {
        self.comparing() + self.rest.steps(bytes)
    }

    /// The most steps that the comparisons of texts take.
    fn comparing(&self) -> u64 {
        comparing(&self.text) + comparing(self.literal_prefix())
    }

    /// The text with which every matching topic begins.
    pub fn literal_prefix(&self) -> &str {
        &self.text[..self.prefix_bytes]
    }

    /// The template as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes that it occupies.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.rest.heap_bytes()
    }

    /// What an evaluation costs at most for each byte of the topic, in states.
    pub fn states(&self) -> usize {
        self.rest.len()
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
            ("{a%20b}", "1"),
            ("l'{x}", "l'1"),
            ("100%25{x}", "100%251"),
            ("!#$&()*+,-./:;=?@[]_~{x}", "!#$&()*+,-./:;=?@[]_~1"),
            (
                "\u{a0}\u{200d}\u{e000}\u{1f980}{x}",
                "\u{a0}\u{200d}\u{e000}\u{1f980}1",
            ),
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
    fn a_text_that_is_not_a_template_does_not_compile() {
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
            "{a%}",
            "{a%4}",
            "{%zz}",
            "{é}",
            "{a-b}",
            "{a:5*}",
            "{a*:5}",
            "a b{c}",
            "{c} ",
            "\"{c}\"",
            "<{c}>",
            "a\\b{c}",
            "a^{c}",
            "`{c}`",
            "a|{c}",
            "{c}|{d}",
            "100%{c}",
            "%4{c}",
            "{c}%zz",
            "%é{c}",
            "\u{9f}{c}",
            "\u{fdd0}{c}",
            "\u{ffff}{c}",
            "\u{1fffe}{c}",
            "\u{e0001}{c}",
        ] {
            assert!(UriTemplate::parse(text).is_none(), "{text}");
        }
    }
}
