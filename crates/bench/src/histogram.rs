//! A histogram of durations with a bounded relative error.

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
const BUCKETS: usize = ((64 - SUB_BITS as usize) + 1) * SUB as usize;

/// Counts of nanoseconds in buckets of at most 1/32 of their value each.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration in nanoseconds.
    pub fn record(&mut self, nanoseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The duration in milliseconds that a part of the samples, from 0 to 1, does not exceed.
    /// `None` without samples.
    pub fn quantile_ms(&self, part: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * part).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(greatest(bucket).min(self.max) as f64 / 1e6)
    }
}

fn bucket(value: u64) -> usize {
    let shift = (63 - (value | (SUB - 1)).leading_zeros()).saturating_sub(SUB_BITS - 1);
    (u64::from(shift) * (SUB / 2) + (value >> shift)) as usize
}

/// The greatest value that a bucket counts.
fn greatest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / (SUB / 2)).saturating_sub(1);
    let least = (bucket - shift * (SUB / 2)) << shift;
    least + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value lies in a bucket whose greatest value is at most 1/32 above it.
    #[test]
    fn buckets_bound_the_relative_error() {
        for shift in 0..63 {
            for offset in [0, 1, 7, 1000] {
                let value = (1_u64 << shift) + offset;
                let shown = greatest(bucket(value));
                assert!(bucket(value) < BUCKETS, "{value}");
                assert!(
                    shown >= value && shown - value <= value / 32,
                    "{value} {shown}"
                );
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
                (expected..=expected * 1.04).contains(&shown),
                "{part} {shown}"
            );
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }
}
