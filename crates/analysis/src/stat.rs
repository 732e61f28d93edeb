//! One statistic with its count, spread and intervals.

use serde::{Deserialize, Serialize};

use crate::percentile::{Z, interval, quantile, sample_floor};

/// The distribution of one metric. The unit is in the name of the field that holds it.
///
/// There is none of nothing: [`Stat::of`] gives `None` for no samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stat {
    /// Samples.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Lower end of the mean's 95 % interval (normal approximation); `None` below 30 samples.
    pub mean_low: Option<f64>,
    /// Upper end of it.
    pub mean_high: Option<f64>,
    /// Sample standard deviation; `None` for one sample.
    pub std_dev: Option<f64>,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median.
    pub p50: Percentile,
    /// 90th percentile.
    pub p90: Percentile,
    /// 95th percentile.
    pub p95: Percentile,
    /// 99th percentile.
    pub p99: Percentile,
}

/// One percentile with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// Hyndman–Fan type 7.
    pub value: f64,
    /// Lower end of the 95 % interval by order statistics; `None` where samples are too few for one.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Fewer samples than [`sample_floor`]: printed with a mark.
    pub low_samples: bool,
}

/// Below this many samples the mean gets no interval: the normal approximation is not to be trusted.
const MEAN_INTERVAL_SAMPLES: usize = 30;

impl Stat {
    /// Of these samples, which are finite; `None` when there are none.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self::of_sorted(&sorted)
    }

    fn of_sorted(sorted: &[f64]) -> Option<Self> {
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let n = sorted.len();
        let mean = sorted.iter().sum::<f64>() / n as f64;
        let std_dev = (n > 1).then(|| {
            let squares: f64 = sorted.iter().map(|x| (x - mean).powi(2)).sum();
            (squares / (n - 1) as f64).sqrt()
        });
        let half =
            std_dev.filter(|_| n >= MEAN_INTERVAL_SAMPLES).map(|s| Z * s / (n as f64).sqrt());
        let at = |q: f64| {
            let (low, high) = interval(sorted, q);
            let value = quantile(sorted, q)?;
            // Of few samples the estimate may lie a little outside: the interval is widened to hold it.
            let (low, high) = (low.map(|l| l.min(value)), high.map(|h| h.max(value)));
            Some(Percentile { value, low, high, low_samples: (n as u64) < sample_floor(q) })
        };
        Some(Self {
            count: n as u64,
            mean,
            mean_low: half.map(|h| mean - h),
            mean_high: half.map(|h| mean + h),
            std_dev,
            min,
            max,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_of_nothing_and_all_of_one() {
        assert_eq!(Stat::of([]), None);
        let one = Stat::of([5.0]).expect("one sample");
        assert_eq!((one.count, one.mean, one.min, one.max, one.p99.value), (1, 5.0, 5.0, 5.0, 5.0));
        assert_eq!((one.std_dev, one.mean_low, one.p50.low), (None, None, None));
        assert!(one.p50.low_samples && one.p99.low_samples);
    }

    #[test]
    fn an_interval_holds_its_estimate() {
        let two = Stat::of([10.0, 20.0]).expect("two samples");
        assert_eq!((two.p99.value, two.p99.low, two.p99.high), (19.9, Some(19.9), None));
    }

    #[test]
    fn figures_of_one_to_a_hundred() {
        let stat = Stat::of((1..=100).rev().map(f64::from)).expect("samples");
        assert_eq!((stat.count, stat.mean, stat.p50.value), (100, 50.5, 50.5));
        assert!((stat.p95.value - 95.05).abs() < 1e-9);
        // numpy: np.std(range(1, 101), ddof=1)
        assert!((stat.std_dev.expect("many") - 29.011_491_975_882_016).abs() < 1e-9);
        let (low, high) = (stat.mean_low.expect("many"), stat.mean_high.expect("many"));
        assert!((high - low - 2.0 * 1.959_964 * 2.901_149_197_588_201_6).abs() < 1e-9);
        assert_eq!((stat.p50.low, stat.p50.high), (Some(40.0), Some(61.0)));
        assert!(!stat.p90.low_samples && stat.p95.low_samples && stat.p99.low_samples);
    }
}
