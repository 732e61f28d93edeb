//! Percentiles (Hyndman–Fan type 7), their confidence intervals and how many samples they need.

/// Confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// The normal distribution's quantile that belongs to [`CONFIDENCE`] on both sides.
pub const Z: f64 = 1.959_964;

/// The quantile `q` (0 to 1) of ascending `sorted`, Hyndman–Fan type 7: linear between the
/// neighbouring order statistics at rank `(n − 1)·q`, as numpy and polars' `Linear` do.
/// `None` when empty.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = last as f64 * q.clamp(0.0, 1.0);
    let below = (rank.floor() as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(low + (high - low) * (rank - below as f64))
}

/// The confidence interval (95 %) of quantile `q` by order statistics: the values whose ranks
/// bracket it with that probability whatever the distribution (binomial, exact). A bound is
/// `None` where the samples are too few for one.
pub fn quantile_interval(sorted: &[f64], q: f64) -> (Option<f64>, Option<f64>) {
    let (low, high) = interval_ranks(sorted.len(), q);
    (low.and_then(|i| sorted.get(i).copied()), high.and_then(|i| sorted.get(i).copied()))
}

/// 0-based ranks of the interval's ends among `n` ascending samples.
fn interval_ranks(n: usize, q: f64) -> (Option<usize>, Option<usize>) {
    if n == 0 || !(0.0 < q && q < 1.0) {
        return (None, None);
    }
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let (first, weights) = binomial_weights(n, q);
    let total: f64 = weights.iter().sum();
    // Lower end X_(l): the largest l with P(B <= l - 1) <= tail.
    let mut sum = 0.0;
    let mut low = first;
    for (i, weight) in weights.iter().enumerate() {
        sum += weight / total;
        if sum > tail {
            break;
        }
        low = first + i + 1;
    }
    // Upper end X_(u): the smallest u with P(B >= u) <= tail.
    let mut sum = 0.0;
    let mut high = first + weights.len();
    for (i, weight) in weights.iter().enumerate().rev() {
        sum += weight / total;
        if sum > tail {
            break;
        }
        high = first + i;
    }
    (low.checked_sub(1), (1..=n).contains(&high).then(|| high - 1))
}

/// Probabilities of Binomial(n, q) up to a common factor, from the returned count on: only those
/// within 1e-18 of the largest, so that 10^8 samples cost 10^5 steps.
fn binomial_weights(n: usize, q: f64) -> (usize, Vec<f64>) {
    let odds = q / (1.0 - q);
    let mode = (((n + 1) as f64 * q) as usize).min(n);
    let mut below = Vec::new();
    let (mut k, mut weight) = (mode, 1.0);
    while k > 0 && weight > 1e-18 {
        weight *= k as f64 / ((n - k + 1) as f64 * odds);
        k -= 1;
        below.push(weight);
    }
    let first = k;
    below.reverse();
    let mut weights = below;
    weights.push(1.0);
    let (mut k, mut weight) = (mode, 1.0);
    while k < n && weight > 1e-18 {
        weight *= (n - k) as f64 * odds / (k + 1) as f64;
        k += 1;
        weights.push(weight);
    }
    (first, weights)
}

/// The fewest samples with which percentile `q` may stand without a mark: MLPerf LoadGen's
/// early-stopping floor at 99 % confidence, the smallest n for which one sample or none beyond
/// the true percentile has a probability of at most 1 %. 64 for p90, 662 for p99.
pub fn sample_floor(q: f64) -> u64 {
    let few = |n: f64| q.powf(n) + n * q.powf(n - 1.0) * (1.0 - q);
    let mut n = 1.0;
    while few(n) > 0.01 && n < 1e6 {
        n += 1.0;
    }
    n as u64
}

/// The interval (95 %, Wilson) of a share that was seen as `hits` of `n`; `None` of none.
pub fn share_interval(hits: u64, n: u64) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (n, p) = (n as f64, hits as f64 / n as f64);
    let z2 = Z * Z;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy 1.26: `np.quantile([..], q)` (method `linear`).
    #[test]
    fn quantiles_are_numpys() {
        let check = |values: &[f64], q: f64, expected: f64| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let found = quantile(&sorted, q).expect("not empty");
            assert!(
                (found - expected).abs() < 1e-9,
                "{values:?} at {q}: {found}, numpy says {expected}"
            );
        };
        let v = [15.0, 20.0, 35.0, 40.0, 50.0];
        check(&v, 0.0, 15.0);
        check(&v, 0.05, 16.0);
        check(&v, 0.3, 23.0);
        check(&v, 0.4, 29.0);
        check(&v, 0.5, 35.0);
        check(&v, 0.9, 46.0);
        check(&v, 0.99, 49.6);
        check(&v, 1.0, 50.0);
        check(&[3.0, 1.0, 2.0, 4.0], 0.5, 2.5);
        check(&[3.0, 1.0, 2.0, 4.0], 0.95, 3.85);
        check(&[7.0], 0.99, 7.0);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, 0.99, 99.01);
        check(&hundred, 0.95, 95.05);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn floors_are_mlperfs() {
        assert_eq!([0.5, 0.9, 0.95, 0.99].map(sample_floor), [11, 64, 130, 662]);
    }

    /// 1-based ranks for the median, from the tables of the sign test (Conover, 95 %): n = 10 gives 2
    /// and 9, n = 20 gives 6 and 15, n = 100 gives 40 and 61; 5 samples have no interval.
    #[test]
    fn median_intervals_are_the_tables() {
        let check = |n: usize, low: Option<usize>, high: Option<usize>| {
            let (l, h) = interval_ranks(n, 0.5);
            assert_eq!((l.map(|r| r + 1), h.map(|r| r + 1)), (low, high), "n = {n}");
        };
        check(0, None, None);
        check(5, None, None);
        check(6, Some(1), Some(6));
        check(10, Some(2), Some(9));
        check(20, Some(6), Some(15));
        check(100, Some(40), Some(61));
    }

    /// The coverage of the ranks, summed independently with logarithms of factorials.
    #[test]
    fn intervals_cover_what_they_say_and_no_more_than_needed() {
        let ln_factorial: Vec<f64> = std::iter::once(0.0)
            .chain((1..=2000).scan(0.0, |s, k| {
                *s += f64::from(k).ln();
                Some(*s)
            }))
            .collect();
        let pmf = |n: usize, k: usize, q: f64| {
            (ln_factorial[n] - ln_factorial[k] - ln_factorial[n - k]
                + k as f64 * q.ln()
                + (n - k) as f64 * (1.0 - q).ln())
            .exp()
        };
        for (n, q) in [(100, 0.9), (700, 0.99), (2000, 0.95), (2000, 0.5), (133, 0.95)] {
            let (low, high) = interval_ranks(n, q);
            let below: f64 = (0..=low.map_or(0, |l| l)).map(|k| pmf(n, k, q)).sum();
            let next: f64 = below + pmf(n, low.map_or(0, |l| l + 1), q);
            assert!(low.is_some() && below <= 0.025 && next > 0.025, "n {n} q {q}: {below} {next}");
            let Some(high) = high else { panic!("n {n} q {q} has no upper end") };
            let above: f64 = (high + 1..=n).map(|k| pmf(n, k, q)).sum();
            assert!(above <= 0.025 && above + pmf(n, high, q) > 0.025, "n {n} q {q}: {above}");
        }
        assert_eq!(interval_ranks(200, 0.99).1, None, "200 samples give no upper end for p99");
    }

    /// Wilson (1927) intervals as statsmodels' `proportion_confint(method="wilson")` gives them.
    #[test]
    fn share_intervals_are_wilsons() {
        let check = |hits: u64, n: u64, low: f64, high: f64| {
            let (l, h) = share_interval(hits, n).expect("n > 0");
            assert!((l - low).abs() < 1e-5 && (h - high).abs() < 1e-5, "{hits} of {n}: {l} {h}");
        };
        check(0, 10, 0.0, 0.277533);
        check(5, 10, 0.236593, 0.763407);
        check(1, 100, 0.001767, 0.054486);
        assert_eq!(share_interval(0, 0), None);
    }

    #[test]
    fn a_hundred_million_samples_are_no_matter() {
        let (low, high) = interval_ranks(100_000_000, 0.5);
        assert_eq!((low, high), (Some(49_990_199), Some(50_009_800)));
    }
}
