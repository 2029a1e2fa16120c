//! `application/x-www-form-urlencoded`, as the URL standard parses it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::ProtocolError;

/// One decoded name and its value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Parses a query string or a form body into its pairs, in order.
///
/// The algorithm is the URL standard's: `&` alone separates, `+` is a space, a `%` that begins no
/// escape is literal, a raw `;` is data. Unlike the standard, which would replace them, bytes that
/// are not UTF-8 are refused: names and values "MUST be UTF-8" (specification, "Subscription" and
/// "Publication").
///
/// # Errors
/// Names the parameter whose bytes are not UTF-8; never the bytes.
pub fn parse(input: &[u8]) -> Result<Vec<Pair<'_>>, ProtocolError> {
    input
        .split(|byte| *byte == b'&')
        .filter(|sequence| !sequence.is_empty())
        .enumerate()
        .map(|(index, sequence)| {
            let equals = sequence.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&sequence[..at], &sequence[at + 1..]),
                None => (sequence, &sequence[sequence.len()..]),
            };
            let name = decode(name).ok_or_else(|| {
                ProtocolError::malformed(
                    format!("parameter {}", index + 1),
                    "the name is not UTF-8; percent-encode its UTF-8 bytes, and send text, neither compressed nor binary",
                )
            })?;
            match decode(value) {
                Some(value) => Ok((name, value)),
                None => Err(ProtocolError::malformed(
                    name.into_owned(),
                    "the value is not UTF-8; percent-encode its UTF-8 bytes",
                )),
            }
        })
        .collect()
}

/// Which names came, for the error that misses one: at most eight, and of those that could be
/// something else than a name (a secret, a whole document) only how many.
pub(crate) fn names(pairs: &[Pair<'_>]) -> String {
    const MOST: usize = 8;
    // Shorter than any token.
    const MOST_BYTES: usize = 40;
    if pairs.is_empty() {
        return "there are no fields".to_owned();
    }
    let mut shown: Vec<String> = Vec::new();
    let mut others = 0;
    for (name, _) in pairs {
        let is_name = (1..=MOST_BYTES).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte));
        let quoted = format!("\"{name}\"");
        if is_name && shown.contains(&quoted) {
            continue;
        }
        if is_name && shown.len() < MOST {
            shown.push(quoted);
        } else {
            others += 1;
        }
    }
    match (shown.join(", "), others) {
        (shown, 0) => format!("received: {shown}"),
        (shown, others) if shown.is_empty() => {
            format!("received: {others} with names that no field has")
        }
        (shown, others) => format!("received: {shown} and {others} more"),
    }
}

fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let spaced: Cow<'_, [u8]> = if bytes.contains(&b'+') {
        bytes
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect::<Vec<_>>()
            .into()
    } else {
        bytes.into()
    };
    match spaced {
        Cow::Borrowed(bytes) => match percent_decode(bytes).into() {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        },
        Cow::Owned(bytes) => String::from_utf8(percent_decode(&bytes).collect())
            .ok()
            .map(Cow::Owned),
    }
}
