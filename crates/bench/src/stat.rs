//! Percentiles and spreads of a few repetitions.

use serde::{Deserialize, Serialize};

/// The `q` quantile (0 to 1) of `values`, Hyndman–Fan type 7; `None` for no
/// values. Orders them.
pub fn percentile(values: &mut [f64], q: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(values[below] + (values[above] - values[below]) * (place - below as f64))
}

/// Kolmogorov–Smirnov distance between `gaps` and the exponential distribution of mean `mean`:
/// the largest difference of the two cumulative distributions; `None` for no gaps. Orders them.
///
/// Gaps of Poisson arrivals stay below 1.36/√n in 95 of 100 cases.
pub fn ks_exponential(gaps: &mut [f64], mean: f64) -> Option<f64> {
    gaps.sort_unstable_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let distance = |(i, &gap): (usize, &f64)| {
        let expected = 1.0 - (-gap / mean).exp();
        (expected - i as f64 / n).abs().max((expected - (i + 1) as f64 / n).abs())
    };
    gaps.iter().enumerate().map(distance).max_by(f64::total_cmp)
}

/// A figure that was measured several times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many there were.
    pub count: usize,
}

impl Spread {
    /// Of all repetitions; `None` for none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        let median = percentile(&mut values, 0.5)?;
        Some(Self { median, min: values[0], max: values[values.len() - 1], count: values.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate_between_order_statistics() {
        let values = [4.0, 1.0, 3.0, 2.0];
        for (q, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.9, 3.7)] {
            let mut some = values;
            let found = percentile(&mut some, q).expect("four values");
            assert!((found - expected).abs() < 1e-12, "{q}: {found}");
        }
        assert_eq!(percentile(&mut [], 0.5), None);
        assert_eq!(percentile(&mut [7.0], 0.99), Some(7.0));
    }

    #[test]
    fn exponential_gaps_are_told_from_others() {
        // Gaps at the middles of 1,000 equally likely parts: half a part off everywhere.
        let quantile = |i: u32| -(1.0 - (f64::from(i) + 0.5) / 1e3).ln() * 5.0;
        let mut gaps: Vec<f64> = (0..1_000).rev().map(quantile).collect();
        let found = ks_exponential(&mut gaps, 5.0).expect("gaps");
        assert!((found - 0.000_5).abs() < 1e-9, "{found}");
        // Equal gaps: none is below the mean, where 1 − 1/e should be.
        let even = ks_exponential(&mut [5.0; 100], 5.0).expect("gaps");
        assert!((even - (1.0 - (-1.0_f64).exp())).abs() < 1e-9, "{even}");
        let slower = ks_exponential(&mut gaps, 6.0).expect("gaps");
        assert!((0.06..0.08).contains(&slower), "{slower}");
        assert_eq!(ks_exponential(&mut [], 1.0), None);
    }

    #[test]
    fn a_spread_has_its_ends_and_its_count() {
        let spread = Spread::of([3.0, 1.0, 2.0]).expect("values");
        assert_eq!(spread, Spread { median: 2.0, min: 1.0, max: 3.0, count: 3 });
        assert_eq!(Spread::of([]), None);
    }
}
