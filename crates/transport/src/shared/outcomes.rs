//! What became of the entries of a batch, as a log remembers it.
//!
//! Words with spaces between: `S<position>*<count>` are `count` entries stored from there on, `R<position>` is an
//! entry that repeats the one there, and `E` is the end of a subscription that has ended already. How a position is
//! written is the backend's choice.

use super::backend::Outcome;
use crate::Position;

/// More than any batch has.
const MOST: u64 = 10_000_000;
/// The number of a position within its run, which has this many bits.
const NUMBERS: u64 = u32::MAX as u64;

/// Reads what became of a batch; none if the text is something else.
pub fn parse(text: &str, position: impl Fn(&str) -> Option<Position>) -> Option<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if word == "E" {
            outcomes.push(Outcome::Ended);
        } else if let Some(place) = word.strip_prefix('R') {
            outcomes.push(Outcome::Repeated(position(place)?));
        } else {
            let (place, count) = word.strip_prefix('S')?.split_once('*')?;
            let Position(first) = position(place)?;
            let count: u64 = count.parse().ok()?;
            if count > MOST || first & NUMBERS > NUMBERS - count + 1 {
                return None;
            }
            outcomes.extend((0..count).map(|at| Outcome::Stored(Position(first + at))));
        }
    }
    Some(outcomes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUN: u64 = 7 << 32;

    fn plain(text: &str) -> Option<Position> {
        text.parse().ok().map(Position)
    }

    fn in_run(text: &str) -> Option<Position> {
        plain(text).map(|Position(number)| Position(RUN | number))
    }

    #[test]
    fn segments_and_words_become_outcomes() {
        let at = |number: u64| Position(RUN | number);
        let expected = vec![
            Outcome::Stored(at(1)),
            Outcome::Stored(at(2)),
            Outcome::Ended,
            Outcome::Repeated(at(1)),
            Outcome::Stored(at(3)),
        ];
        assert_eq!(parse("S1*2 E R1 S3*1", in_run), Some(expected));
        assert_eq!(parse("", in_run), Some(Vec::new()));
        assert_eq!(parse("N", in_run), None);
    }

    #[test]
    fn counts_that_no_batch_has_are_refused() {
        assert_eq!(parse("S1*18446744073709551615", in_run), None);
        assert_eq!(parse("S4294967295*2", in_run), None);
        assert!(parse("S4294967295*1", in_run).is_some());
        assert!(parse("S0*0", in_run).is_some());
        let last = Outcome::Stored(Position(u64::MAX));
        assert_eq!(parse("S18446744073709551615*1", plain), Some(vec![last]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "[SRE0-9* -]{0,40}", other: String) {
            _ = parse(&text, plain);
            _ = parse(&other, plain);
        }
    }
}
