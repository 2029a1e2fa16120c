//! What became of the entries of a batch, as the log remembers it.
//!
//! Words with spaces between: `S<position>*<count>` are `count` entries stored from there on, `R<position>` is an
//! entry that repeats the one there, and `E` is the end of a subscription that has ended already. In their place the
//! log has `N` for a number that is used up without a batch.

use talaria_transport::Position;
use talaria_transport::shared::backend::Outcome;

use crate::fault::Fault;

/// More than any batch has.
const MOST: u64 = 10_000_000;

/// Reads what became of a batch.
///
/// # Errors
/// It is something else.
pub(crate) fn parse(text: &str) -> Result<Vec<Outcome>, Fault> {
    const UNEXPECTED: Fault = Fault::Unexpected("the outcomes of a batch");
    let number = |text: &str| text.parse::<u64>().map_err(|_| UNEXPECTED);
    let mut outcomes = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if word == "E" {
            outcomes.push(Outcome::Ended);
        } else if let Some(place) = word.strip_prefix('R') {
            outcomes.push(Outcome::Repeated(Position(number(place)?)));
        } else {
            let segment = word.strip_prefix('S');
            let (first, count) = segment
                .and_then(|segment| segment.split_once('*'))
                .ok_or(UNEXPECTED)?;
            let (first, count) = (number(first)?, number(count)?);
            if count > MOST || first > u64::MAX - count {
                return Err(UNEXPECTED);
            }
            outcomes.extend((first..first + count).map(|at| Outcome::Stored(Position(at))));
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_and_words_become_outcomes() {
        let expected = vec![
            Outcome::Stored(Position(71)),
            Outcome::Stored(Position(72)),
            Outcome::Ended,
            Outcome::Repeated(Position(71)),
            Outcome::Stored(Position(73)),
        ];
        assert_eq!(parse("S71*2 E R71 S73*1"), Ok(expected));
        assert_eq!(parse(""), Ok(Vec::new()));
        assert!(parse("S7*18446744073709551615").is_err());
        assert!(parse("N").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "[SRE0-9* -]{0,40}", other: String) {
            _ = parse(&text);
            _ = parse(&other);
        }
    }
}
