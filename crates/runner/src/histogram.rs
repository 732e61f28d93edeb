//! A distribution of times in bounded memory.

use std::time::Duration;

use vllm_bench_record::SloStatistic;

/// Times in nanoseconds, each within 0.1 % of what was added.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    times: hdrhistogram::Histogram<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        let times = hdrhistogram::Histogram::new(3).expect("3 digits are among the 0 to 5 allowed");
        Self { times }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, ns: Option<u64>) {
        if let Some(ns) = ns {
            // It grows as needed; where it cannot, the largest value it has room for stands in.
            if self.times.record(ns).is_err() {
                self.times.saturating_record(ns);
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.times.len()
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.times.mean())
    }

    /// Hyndman–Fan type 7, as the report's percentiles; `None` of nothing.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count().checked_sub(1)?;
        let rank = last as f64 * q.clamp(0.0, 1.0);
        let below = rank.floor();
        let (low, high) = (self.at(below), self.at((below + 1.0).min(last as f64)));
        Some(low + (high - low) * (rank - below))
    }

    /// What an objective bounds.
    pub(crate) fn statistic(&self, statistic: SloStatistic) -> Option<f64> {
        match statistic.quantile() {
            Some(q) => self.quantile(q),
            None => self.mean(),
        }
    }

    /// The value at a 0-based rank.
    fn at(&self, rank: f64) -> f64 {
        // The middle of the rank's share of all: nothing is left to how a fraction is rounded.
        let value = self.times.value_at_quantile((rank + 0.5) / self.count() as f64);
        self.times.median_equivalent(value) as f64
    }
}

impl Extend<Duration> for Histogram {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        times.into_iter().for_each(|time| self.add(u64::try_from(time.as_nanos()).ok()));
    }
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::percentile::quantile;

    use super::*;

    /// Within 0.1 % of the exact ones, of few values and of many.
    #[test]
    fn quantiles_are_the_reports() {
        for n in [1_u32, 2, 3, 24, 100, 999, 10_000] {
            let exact: Vec<f64> = (0..n).map(|i| f64::from(i).powi(2) * 1e3).collect();
            let mut histogram = Histogram::default();
            histogram.extend(exact.iter().rev().map(|ns| Duration::from_nanos(*ns as u64)));
            for q in [0.0, 0.5, 0.95, 0.99, 1.0] {
                let (found, expected) =
                    (histogram.quantile(q).expect("some"), quantile(&exact, q).expect("some"));
                assert!(
                    (found - expected).abs() <= expected * 1e-3,
                    "{n} at {q}: {found} {expected}"
                );
            }
            let mean = exact.iter().sum::<f64>() / f64::from(n);
            assert!((histogram.mean().expect("some") - mean).abs() <= mean * 1e-3);
        }
        assert_eq!((Histogram::default().quantile(0.5), Histogram::default().mean()), (None, None));
    }
}
