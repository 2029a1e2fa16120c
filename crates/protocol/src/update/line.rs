//! Reads the JSON object of a line, in little more memory than its text takes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// An object of which only the members of an update are kept.
#[derive(Default)]
pub(super) struct Line {
    /// Known members. Of an array the first elements are kept, within them nothing.
    pub(super) members: Map<String, Value>,
    /// The first member that is unknown and not `null`.
    pub(super) unknown: Option<String>,
    /// How many elements the array of topics has.
    pub(super) topics: usize,
}

/// Reads a line, and keeps at most `most_topics` of its topics: an array of numbers would take
/// sixteen times its text, and an object of short members ten times.
///
/// # Errors
/// The syntax error, or the value that is not an object.
pub(super) fn read(
    json: &[u8],
    known: &[&str],
    most_topics: usize,
) -> serde_json::Result<Result<Line, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut line = Line::default();
    let whole = Whole {
        line: &mut line,
        known,
        most_topics,
    };
    let other = whole.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(other.map_or(Ok(line), Err))
}

/// The whole value; `None` for an object, which becomes the line.
struct Whole<'a> {
    line: &'a mut Line,
    known: &'a [&'a str],
    most_topics: usize,
}

/// A value whose array keeps at most `most` elements, and whose object keeps nothing.
struct Part<'a> {
    most: usize,
    count: &'a mut usize,
}

/// The visits that a scalar needs, which both visitors answer alike.
macro_rules! scalars {
    ($wrap:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($wrap(Value::Null))
        }
        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            Ok($wrap(value.into()))
        }
        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            Ok($wrap(value.into()))
        }
        fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
            Ok($wrap(value.into()))
        }
        fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
            Ok($wrap(value.into()))
        }
        fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
            Ok($wrap(value.into()))
        }
    };
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Option<Value>;

    scalars!(Some);

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(Value::Array(Vec::new())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let line = self.line;
        while let Some(name) = object.next_key::<String>()? {
            let mut count = 0;
            let is_topic = name == "topic";
            let value = object.next_value_seed(Part {
                most: if is_topic { self.most_topics } else { 0 },
                count: &mut count,
            })?;
            if is_topic {
                line.topics = count;
            }
            if self.known.contains(&name.as_str()) {
                line.members.insert(name, value);
            } else if !value.is_null() {
                line.unknown.get_or_insert(name);
            }
        }
        Ok(None)
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    scalars!(std::convert::identity);

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.most {
            let inner = Part {
                most: 0,
                count: &mut 0,
            };
            let Some(element) = array.next_element_seed(inner)? else {
                break;
            };
            kept.push(element);
        }
        *self.count = kept.len();
        while array.next_element::<IgnoredAny>()?.is_some() {
            *self.count += 1;
        }
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(Map::new()))
    }
}
