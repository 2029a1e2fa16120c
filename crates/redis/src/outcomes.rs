//! What became of the entries of a batch, as the log remembers it.
//!
//! Words with spaces between: `S<run>-<number>*<count>` are `count` entries stored from there on, `R<run>-<number>` is an
//! entry that repeats the one there, and `E` is the end of a subscription that has ended already. In their place the log
//! has `N` for a number that is used up without a batch, and `P` for a batch that began and did not come to its end.

use talaria_transport::Position;
use talaria_transport::shared::backend::Outcome;

use crate::fault::Fault;
use crate::reply;

/// More than any batch has.
const MOST: u64 = 10_000_000;

/// Reads what became of a batch.
///
/// # Errors
/// It is something else.
pub(crate) fn parse(text: &str) -> Result<Vec<Outcome>, Fault> {
    let unexpected = || Fault::Unexpected("the outcomes of a batch");
    let mut outcomes = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if word == "E" {
            outcomes.push(Outcome::Ended);
        } else if let Some(id) = word.strip_prefix('R') {
            outcomes.push(Outcome::Repeated(reply::position(id)?));
        } else {
            let (id, count) = word
                .strip_prefix('S')
                .and_then(|segment| segment.split_once('*'))
                .ok_or_else(unexpected)?;
            let Position(first) = reply::position(id)?;
            let count: u64 = count.parse().map_err(|_| unexpected())?;
            if count > MOST || first & 0xFFFF_FFFF > 0xFFFF_FFFF - count + 1 {
                return Err(unexpected());
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
        let at = |number: u64| Position((7 << 32) | number);
        let expected = vec![
            Outcome::Stored(at(1)),
            Outcome::Stored(at(2)),
            Outcome::Ended,
            Outcome::Repeated(at(1)),
            Outcome::Stored(at(3)),
        ];
        assert_eq!(parse("S7-1*2 E R7-1 S7-3*1"), Ok(expected));
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn counts_that_no_batch_has_are_refused() {
        assert!(parse("S7-1*18446744073709551615").is_err());
        assert!(parse("S7-4294967295*2").is_err());
        assert!(parse("S7-0*0").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "[SRE0-9* -]{0,40}", other: String) {
            _ = parse(&text);
            _ = parse(&other);
        }
    }
}
