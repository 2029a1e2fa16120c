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
/// Names the parameter whose bytes are not UTF-8.
pub fn parse(input: &[u8]) -> Result<Vec<Pair<'_>>, ProtocolError> {
    input
        .split(|byte| *byte == b'&')
        .filter(|sequence| !sequence.is_empty())
        .map(|sequence| {
            let equals = sequence.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&sequence[..at], &sequence[at + 1..]),
                None => (sequence, &sequence[sequence.len()..]),
            };
            let name = decode(name).ok_or_else(|| {
                ProtocolError::malformed(
                    String::from_utf8_lossy(name).into_owned(),
                    "the parameter's name is not UTF-8; percent-encode its UTF-8 bytes",
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
