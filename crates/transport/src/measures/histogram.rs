//! Histograms that threads observe values in without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::counter::{PARTS, part};

/// The most bounds of a histogram.
const BOUNDS: usize = 22;

/// How often values between fixed bounds were observed.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// The number of the unit of the values that is one in what is read.
    unit: f64,
    parts: Box<[Part; PARTS]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    buckets: [AtomicU64; BOUNDS + 1],
    sum: AtomicU64,
}

/// What a histogram holds at a moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Distribution {
    /// The upper bound of each bucket and the values in it alone; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// The values added up.
    pub sum: f64,
    /// The number of values.
    pub count: u64,
}

impl Histogram {
    /// A histogram with these bounds, in rising order; 22 of them count. What is read is divided by `unit`: values
    /// may be nanoseconds, and what is read seconds.
    pub fn new(bounds: &'static [u64], unit: f64) -> Self {
        Self {
            bounds: bounds.get(..BOUNDS).unwrap_or(bounds),
            unit,
            parts: Box::default(),
        }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let Some(part) = self.parts.get(part()) else {
            return;
        };
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = part.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        part.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What it holds now.
    pub fn read(&self) -> Distribution {
        let in_unit = |value: u64| value as f64 / self.unit;
        let bounds = self.bounds.iter().copied().map(in_unit);
        let bounds = bounds.chain([f64::INFINITY]).enumerate();
        let in_all = |bucket: usize| {
            let parts = self
                .parts
                .iter()
                .filter_map(|part| part.buckets.get(bucket));
            parts.map(|count| count.load(Ordering::Relaxed)).sum()
        };
        let buckets: Vec<(f64, u64)> = bounds
            .map(|(bucket, bound)| (bound, in_all(bucket)))
            .collect();
        let parts = self.parts.iter();
        let sum = parts.fold(0_u64, |sum, part| {
            sum.wrapping_add(part.sum.load(Ordering::Relaxed))
        });
        Distribution {
            count: buckets.iter().map(|(_, count)| count).sum(),
            sum: in_unit(sum),
            buckets,
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    /// Values on a bound belong to its bucket, and those of all threads are read together.
    #[test]
    fn values_fall_into_buckets() {
        let histogram = Histogram::new(&[10, 1_000], 10.0);
        std::thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| {
                    for value in [0, 10, 11, 1_000, 5_000] {
                        histogram.observe(value);
                    }
                });
            }
        });
        let read = histogram.read();
        let each = 2 * PARTS as u64;
        assert_eq!(
            read.buckets,
            [(1.0, 2 * each), (100.0, 2 * each), (f64::INFINITY, each)]
        );
        assert_eq!(read.count, 5 * each);
        assert_eq!(read.sum, 602.1 * each as f64);
    }
}
