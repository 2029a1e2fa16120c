//! URI Templates of 0.x selectors (B-610), judged by an expansion written from RFC 6570.

use proptest::collection::vec;
use proptest::prelude::*;
use talaria_protocol::matcher::UriTemplate;

/// What a variable holds (RFC 6570, section 2.3).
#[derive(Debug, Clone)]
enum Value {
    Undefined,
    Text(String),
    List(Vec<String>),
    Pairs(Vec<(String, String)>),
}

#[derive(Debug, Clone)]
enum Modifier {
    None,
    Explode,
    Prefix(usize),
}

#[derive(Debug, Clone)]
struct Part {
    literal: String,
    operator: &'static str,
    variables: Vec<(String, Modifier, Value)>,
}

fn modifier() -> impl Strategy<Value = Modifier> {
    prop_oneof![
        Just(Modifier::None),
        Just(Modifier::Explode),
        (1..6_usize).prop_map(Modifier::Prefix),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    // Some of everything that is encoded or is not, and characters of one to four bytes.
    let text = "[a-z0-9/?&=,;.:%+ é€😀<}{~_-]{0,8}";
    let filled = "[a-z0-9/?&=,;.:%+ é€😀<}{~_-]{1,8}";
    prop_oneof![
        1 => Just(Value::Undefined),
        3 => text.prop_map(Value::Text),
        1 => vec(filled, 1..4).prop_map(Value::List),
        1 => vec((filled, filled), 1..4).prop_map(Value::Pairs),
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let operator = prop::sample::select(vec!["", "+", "#", ".", "/", ";", "?", "&"]);
    let variable = ("[a-z_]{1,4}(\\.[a-z]{1,2})?", modifier(), value());
    // A prefix is defined for texts only (section 2.4.1).
    let variable = variable.prop_map(|(name, modifier, value)| match (&modifier, &value) {
        (Modifier::Prefix(_), Value::List(_) | Value::Pairs(_)) => (name, Modifier::None, value),
        _ => (name, modifier, value),
    });
    ("[a-z/:.é']{0,5}", operator, vec(variable, 1..4)).prop_map(|(literal, operator, variables)| {
        Part {
            literal,
            operator,
            variables,
        }
    })
}

fn encoded(text: &str, reserved: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let triplet = rest.get(..3).filter(|triplet| {
            reserved && c == '%' && triplet[1..].bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let copied = c.is_ascii_alphanumeric()
            || "-._~".contains(c)
            || (reserved && ":/?#[]@!$&'()*+,;=".contains(c));
        if let Some(triplet) = triplet {
            out.push_str(triplet);
            rest = &rest[3..];
            continue;
        }
        if copied {
            out.push(c);
        } else {
            for byte in c.to_string().bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

impl Part {
    fn template(&self) -> String {
        let variables: Vec<String> = self
            .variables
            .iter()
            .map(|(name, modifier, _)| match modifier {
                Modifier::None => name.clone(),
                Modifier::Explode => format!("{name}*"),
                Modifier::Prefix(most) => format!("{name}:{most}"),
            })
            .collect();
        format!(
            "{}{{{}{}}}",
            self.literal,
            self.operator,
            variables.join(",")
        )
    }

    /// The expansion of one expression (RFC 6570, section 3.2.1 and appendix A).
    fn expansion(&self) -> String {
        let (first, separator, named, if_empty, reserved) = match self.operator {
            "" => ("", ",", false, "", false),
            "+" => ("", ",", false, "", true),
            "#" => ("#", ",", false, "", true),
            "." => (".", ".", false, "", false),
            "/" => ("/", "/", false, "", false),
            ";" => (";", ";", true, "", false),
            "?" => ("?", "&", true, "=", false),
            _ => ("&", "&", true, "=", false),
        };
        let assigned = |name: &str, text: &str| match (named, text) {
            (false, _) => text.to_owned(),
            (true, "") => format!("{name}{if_empty}"),
            (true, _) => format!("{name}={text}"),
        };
        let mut defined = Vec::new();
        for (name, modifier, value) in &self.variables {
            let explode = matches!(modifier, Modifier::Explode);
            let encode = |text: &String| encoded(text, reserved);
            match value {
                Value::Undefined => {}
                Value::Text(text) => {
                    let most = match modifier {
                        Modifier::Prefix(most) => *most,
                        _ => usize::MAX,
                    };
                    let text: String = text.chars().take(most).collect();
                    defined.push(assigned(name, &encode(&text)));
                }
                Value::List(items) if explode => {
                    defined.extend(items.iter().map(|item| assigned(name, &encode(item))));
                }
                Value::List(items) => {
                    let items: Vec<_> = items.iter().map(encode).collect();
                    defined.push(assigned(name, &items.join(",")));
                }
                Value::Pairs(pairs) if explode => {
                    let pairs = pairs.iter();
                    defined.extend(
                        pairs.map(|(key, value)| format!("{}={}", encode(key), encode(value))),
                    );
                }
                Value::Pairs(pairs) => {
                    let flat: Vec<_> = pairs
                        .iter()
                        .map(|(key, value)| format!("{},{}", encode(key), encode(value)))
                        .collect();
                    defined.push(assigned(name, &flat.join(",")));
                }
            }
        }
        let mut out = String::new();
        for c in self.literal.chars() {
            let mut buffer = [0; 4];
            out.push_str(&encoded(c.encode_utf8(&mut buffer), true));
        }
        if !defined.is_empty() {
            out.push_str(first);
            out.push_str(&defined.join(separator));
        }
        out
    }
}

proptest! {
    /// Whatever the variables hold, the expansion is selected, and begins as the template says that
    /// all of them do (RFC 6570, section 3).
    #[test]
    fn every_expansion_matches(parts in vec(part(), 1..4)) {
        let template: String = parts.iter().map(Part::template).collect();
        let expansion: String = parts.iter().map(Part::expansion).collect();
        let compiled = UriTemplate::parse(&template).expect("a template");
        prop_assert!(compiled.matches(&expansion), "{} {}", template, expansion);
        prop_assert!(expansion.starts_with(compiled.literal_prefix()));
        prop_assert!(compiled.matches(&template));
    }

    /// No expansion holds a character that is always encoded, wherever it stands.
    #[test]
    fn what_is_always_encoded_does_not_match(
        parts in vec(part(), 1..4),
        place in any::<prop::sample::Index>(),
    ) {
        let template: String = parts.iter().map(Part::template).collect();
        let mut topic: Vec<char> = parts.iter().map(Part::expansion).collect::<String>().chars().collect();
        topic.insert(place.index(topic.len() + 1), '"');
        let topic: String = topic.into_iter().collect();
        let compiled = UriTemplate::parse(&template).expect("a template");
        prop_assert!(!compiled.matches(&topic), "{} {}", template, topic);
    }

    /// Section 2.4.1: a prefix modifier counts characters, however they are encoded.
    #[test]
    fn a_prefix_is_counted_in_characters(text in "[a-z<é€😀]{0,12}", most in 1..12_usize) {
        let compiled = UriTemplate::parse(&format!("{{value:{most}}}")).expect("a template");
        let matches = compiled.matches(&encoded(&text, false));
        prop_assert_eq!(matches, text.chars().count() <= most);
    }

    /// Any text is a template or is not, without a panic, and a template selects itself.
    #[test]
    fn any_text_is_read(text in "[a-c{}+#./;?&*:,0-9%é|=]{0,30}", topic in ".{0,20}") {
        if let Some(compiled) = UriTemplate::parse(&text) {
            prop_assert!(compiled.matches(&text));
            compiled.matches(&topic);
        }
    }
}

/// A template whose states would exceed the bound is compared as text, like a text that is not a
/// template.
#[test]
fn long_templates_are_bounded() {
    let compiled = UriTemplate::parse(&"{a}".repeat(500)).expect("a template");
    assert!(compiled.states() <= 4096, "{}", compiled.states());
    assert!(UriTemplate::parse("{a:9999}").is_none());
    // Refused before its hundred million states are made.
    let hostile = format!("{{{}}}", vec!["a:9999"; 580].join(","));
    assert!(UriTemplate::parse(&hostile).is_none());
    let hostile = format!("{{{}}}", vec!["a:300"; 580].join(","));
    assert!(UriTemplate::parse(&hostile).is_none());
    assert!(UriTemplate::parse(&"{a}".repeat(5000)).is_none());
}
