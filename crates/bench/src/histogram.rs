//! Counts of durations.

/// The significant digits that are kept: a printed quantile is at most 1 % above the measured duration.
const DIGITS: u8 = 2;
/// A longer duration, in nanoseconds, counts as one of a day.
const LONGEST: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Counts durations in nanoseconds, with a relative error of at most 1 %; the longest is exact.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants")]
        let counts =
            hdrhistogram::Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("valid bounds");
        Self { counts, longest: 0 }
    }
}

impl Histogram {
    /// Counts one duration in nanoseconds.
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.counts.saturating_record(nanoseconds);
        self.longest = self.longest.max(nanoseconds);
    }

    /// Adds the counts of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        let added = self.counts.add(&other.counts);
        debug_assert!(added.is_ok(), "all histograms have the same bounds");
        self.longest = self.longest.max(other.longest);
    }

    /// The duration in milliseconds that a part of the samples, from 0 to 1, does not exceed. `None` without
    /// samples.
    pub(crate) fn quantile_ms(&self, part: f64) -> Option<f64> {
        let quantile = self.counts.value_at_quantile(part).min(self.longest);
        (!self.counts.is_empty()).then_some(quantile as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quantile is at most 1 % above the duration, and the longest duration is exact.
    #[test]
    fn the_relative_error_is_bounded() {
        for shift in 0..45 {
            for offset in [0, 1, 7, 1000] {
                let value = (1_u64 << shift) + offset;
                let mut histogram = Histogram::default();
                histogram.record(value);
                histogram.record(3 * value);
                let shown = histogram.quantile_ms(0.5).unwrap() * 1e6;
                let error = shown / value as f64 - 1.0;
                assert!((-1e-9..=0.01).contains(&error), "{value} {shown}");
                let longest = 3 * value;
                assert_eq!(histogram.quantile_ms(1.0), Some(longest as f64 / 1e6));
            }
        }
    }

    /// Quantiles are those of the sorted samples, within the error.
    #[test]
    fn quantiles_follow_the_samples() {
        let mut low = Histogram::default();
        let mut high = Histogram::default();
        for value in 1..=900_u64 {
            low.record(value * 1_000_000);
        }
        for value in 901..=1000_u64 {
            high.record(value * 1_000_000);
        }
        low.merge(&high);
        for (part, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let shown = low.quantile_ms(part).unwrap();
            assert!(
                (expected..=expected * 1.01).contains(&shown),
                "{part} {shown}"
            );
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }
}
