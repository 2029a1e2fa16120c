//! `application/x-www-form-urlencoded`, as the URL standard parses it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::error::ProtocolError;
use crate::limits::Limits;

/// One decoded name and its value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Parses a query string or a form body into its pairs, in order, if they are not more than
/// [`Limits::pairs`]. It counts them first, because a pair of two bytes takes fifty in memory.
///
/// # Errors
/// [`Blame::TooLarge`](crate::Blame::TooLarge) for more pairs, else as [`pairs`].
pub fn parse<'a>(input: &'a [u8], limits: &Limits) -> Result<Vec<Pair<'a>>, ProtocolError> {
    let (count, most) = (sequences(input).count(), limits.pairs());
    if count > most {
        return Err(ProtocolError::too_large(
            "request",
            format!("{count} fields are more than the {most} of one request; send fewer"),
        ));
    }
    pairs(input).collect()
}

/// The pairs of a query string or a form body one by one, in order, however many there are.
///
/// The algorithm is the URL standard's: `&` alone separates, `+` is a space, a `%` that begins no
/// escape is literal, a raw `;` is data. Unlike the standard, which would replace them, bytes that
/// are not UTF-8 are refused: names and values "MUST be UTF-8" (specification, "Subscription" and
/// "Publication").
///
/// # Errors
/// [`Blame::Malformed`](crate::Blame::Malformed) for bytes that are not UTF-8. The error names the
/// parameter, never the bytes.
pub fn pairs(input: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, ProtocolError>> {
    sequences(input)
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
}

fn sequences(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input
        .split(|byte| *byte == b'&')
        .filter(|sequence| !sequence.is_empty())
}

/// Lists the names that came, for an error about a missing one: at most eight. Of names that could
/// be something else (a secret, a whole document) it gives only the number.
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
        if !is_name {
            others += 1;
            continue;
        }
        let quoted = format!("\"{name}\"");
        if shown.contains(&quoted) {
            continue;
        }
        if shown.len() < MOST {
            shown.push(quoted);
        } else {
            others += 1;
        }
    }
    match (shown.join(", "), others) {
        (shown, 0) => format!("received: {shown}"),
        (shown, 1) if shown.is_empty() => "received: 1 unknown field".to_owned(),
        (shown, others) if shown.is_empty() => format!("received: {others} unknown fields"),
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
