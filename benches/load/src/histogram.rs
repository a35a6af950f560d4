//! Latencies. In: nanoseconds. Out: percentiles, true to 1 %.
//!
//! Buckets are linear within a power of two, 128 to each, so that recording is a shift and an
//! increment and takes no memory however long the run.

pub(crate) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            total: 0,
        }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the value that `share` of the records do not exceed, or `None` if there are none.
    pub(crate) fn percentile(&self, share: f64) -> Option<u64> {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(upper_bound(bucket))
    }
}

fn bucket(nanos: u64) -> usize {
    let power = nanos.max(1).ilog2();
    let shift = power.saturating_sub(LINEAR_BITS);
    // Below 2 * LINEAR nothing is shifted, and the value is the bucket.
    shift as usize * LINEAR + (nanos >> shift) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    let shift = (bucket / LINEAR).saturating_sub(1);
    let lowest = ((bucket - shift * LINEAR) as u64) << shift;
    lowest + ((1 << shift) - 1)
}

const LINEAR_BITS: u32 = 7;
const LINEAR: usize = 1 << LINEAR_BITS;
const BUCKETS: usize = (64 - LINEAR_BITS as usize + 1) * LINEAR;

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, bucket, upper_bound};

    #[test]
    fn every_value_is_within_one_percent_of_its_bucket() {
        for power in 0..64 {
            for value in [1_u64 << power, (1_u64 << power) + (1_u64 << power) / 3] {
                let bound = upper_bound(bucket(value));
                assert!(bucket(value) < BUCKETS);
                assert!(
                    bound >= value && bound - value <= value / 100,
                    "{value} {bound}"
                );
            }
        }
    }

    #[test]
    fn percentiles_are_ranks() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(0.5), None);
        for value in 1..=100 {
            histogram.record(value);
        }
        assert_eq!(histogram.percentile(0.5), Some(50));
        assert_eq!(histogram.percentile(0.99), Some(99));
        assert_eq!(histogram.percentile(1.0), Some(100));
    }
}
