//! Reads answers, whose form a server may get wrong.

use redis::Value;
use talaria_transport::Position;

use crate::fault::Fault;

/// The elements of an array; none if there is no answer.
pub(crate) fn array(answer: Value) -> Result<Vec<Value>, Fault> {
    match answer {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Fault::Unexpected("an array")),
    }
}

/// A text, which is there.
pub(crate) fn text(answer: Value) -> Result<String, Fault> {
    let bytes = match answer {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => return Ok(text),
        Value::Int(number) => return Ok(number.to_string()),
        Value::Okay => return Ok("OK".to_owned()),
        _ => return Err(Fault::Unexpected("a text")),
    };
    String::from_utf8(bytes).map_err(|_| Fault::Unexpected("a text in UTF-8"))
}

/// A text, if there is one.
pub(crate) fn optional_text(answer: Value) -> Result<Option<String>, Fault> {
    match answer {
        Value::Nil => Ok(None),
        answer => text(answer).map(Some),
    }
}

/// A number that is not negative.
pub(crate) fn number(answer: Value) -> Result<u64, Fault> {
    text(answer)?
        .parse()
        .map_err(|_| Fault::Unexpected("a number"))
}

/// Exactly `N` elements; more are ignored, as a later version may add some.
pub(crate) fn first<const N: usize>(mut values: Vec<Value>) -> Result<[Value; N], Fault> {
    values.truncate(N);
    let fewer = |_| Fault::Unexpected("an array of as many elements as before");
    values.try_into().map_err(fewer)
}

/// A position as streams name it: run and number.
pub(crate) fn position(id: &str) -> Result<Position, Fault> {
    let parse = || {
        let (run, number) = id.split_once('-')?;
        let run: u32 = run.parse().ok()?;
        let number: u32 = number.parse().ok()?;
        Some(Position(u64::from(run) << 32 | u64::from(number)))
    };
    parse().ok_or(Fault::Unexpected("an id of run and number"))
}

/// The id that streams have for a position.
pub(crate) fn id(position: Position) -> String {
    format!("{}-{}", position.0 >> 32, position.0 & 0xFFFF_FFFF)
}
