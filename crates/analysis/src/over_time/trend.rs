//! Whether a series changed: one sudden step (Mann and Whitney's test at every place) or a steady drift
//! (Mann and Kendall's test).
//!
//! Both go by ranks, so that a few outliers of a long tail decide nothing, and both take the values
//! as independent: they are given medians of stretches of time, not single requests.

/// A step: the values behind it are others than those before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// Index of the first value behind it.
    pub(super) at: usize,
    /// Median before.
    pub(super) before: f64,
    /// Median behind.
    pub(super) behind: f64,
    /// How likely so large a step is where nothing changed.
    pub(super) p: f64,
}

/// A drift: the values rise or fall all along.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drift {
    /// Where the line through the values begins.
    pub(super) first: f64,
    /// Where it ends.
    pub(super) last: f64,
    /// How likely so clear a trend is where there is none.
    pub(super) p: f64,
}

/// The likeliest step in `values`; `None` of fewer than eight.
///
/// The place where Mann and Whitney's statistic, standardised, is largest: D. M. Hawkins and Q. Deng,
/// "A Nonparametric Change-Point Control Chart", Journal of Quality Technology 42 (2010). Its
/// significance is that of one place times the number of places (Bonferroni): on the safe side.
pub(super) fn step(values: &[f64]) -> Option<Step> {
    let n = values.len();
    if n < FEWEST {
        return None;
    }
    let ranks = ranks(values);
    let all = n as f64;
    let tied: f64 = ties(values).into_iter().map(|t| (t * t * t - t) as f64).sum();
    // The variance of a rank sum of m values of n is m (n − m) times this.
    let variance = (all + 1.0 - tied / (all * (all - 1.0))) / 12.0;
    if variance <= 0.0 {
        return None;
    }
    let mut sum = 0.0;
    let (mut most, mut at) = (0.0_f64, SIDE);
    for (before, rank) in (1..).zip(&ranks[..n - SIDE]) {
        sum += rank - (all + 1.0) / 2.0;
        let size = (before * (n - before)) as f64;
        let z = sum.abs() / (size * variance).sqrt();
        if before >= SIDE && z > most {
            (most, at) = (z, before);
        }
    }
    let places = (n + 1 - 2 * SIDE) as f64;
    let p = (places * two_sided(most)).min(1.0);
    Some(Step { at, before: median(&values[..at])?, behind: median(&values[at..])?, p })
}

/// The trend of `values`; `None` of fewer than eight.
///
/// Mann and Kendall's test with the correction for ties, and the slope by P. K. Sen, "Estimates of
/// the regression coefficient based on Kendall's tau", JASA 63 (1968).
pub(super) fn drift(values: &[f64]) -> Option<Drift> {
    let n = values.len();
    if n < FEWEST {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut s = 0.0;
    for i in 0..n {
        for j in i + 1..n {
            let difference = values[j] - values[i];
            slopes.push(difference / (j - i) as f64);
            if difference != 0.0 {
                s += difference.signum();
            }
        }
    }
    let slope = median(&slopes)?;
    let offsets: Vec<f64> = values.iter().zip(0..).map(|(v, i)| v - slope * f64::from(i)).collect();
    let first = median(&offsets)?;
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let tied: f64 = ties(values).into_iter().map(|t| term(t as f64)).sum();
    let variance = (term(n as f64) - tied) / 18.0;
    let z = if variance > 0.0 { (s - s.signum()) / variance.sqrt() } else { 0.0 };
    Some(Drift { first, last: first + slope * (n - 1) as f64, p: two_sided(z.abs()) })
}

/// A step has at least so many values on either side.
const SIDE: usize = 3;

/// Of fewer values neither test says anything.
pub(super) const FEWEST: usize = 8;

/// The sum of the distances from the step's two levels, and from the drift's line.
pub(super) fn misfits(values: &[f64], step: &Step, drift: &Drift) -> (f64, f64) {
    let slope = (drift.last - drift.first) / (values.len() - 1) as f64;
    let distances = values.iter().enumerate().map(|(i, v)| {
        let level = if i < step.at { step.before } else { step.behind };
        ((v - level).abs(), (v - drift.first - slope * i as f64).abs())
    });
    distances.fold((0.0, 0.0), |sum, d| (sum.0 + d.0, sum.1 + d.1))
}

pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    crate::percentile::quantile(&sorted, 0.5)
}

/// Ranks from 1, equal values sharing their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = from as f64 + (group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|&i| ranks[i] = rank);
        from += group.len();
    }
    ranks
}

/// How many values are equal, one a group.
fn ties(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).filter(|n| *n > 1).collect()
}

/// The chance that a normal variable lies further out than `z`, on either side.
///
/// M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 7.1.26: off by less than 1.5e-7.
fn two_sided(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    series * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0 to 1 that look random and are the same everywhere.
    fn noise(seed: u64, n: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let mut values = noise(3, 40);
        values[25..].iter_mut().for_each(|v| *v += 2.0);
        let found = step(&values).expect("enough values");
        assert_eq!(found.at, 25);
        assert!(found.p < 1e-5 && found.behind - found.before > 1.5, "{found:?}");
        let line = drift(&values).expect("enough values");
        let (to_step, to_line) = misfits(&values, &found, &line);
        assert!(to_step < to_line);
    }

    #[test]
    fn a_drift_is_found_with_its_ends() {
        let values: Vec<f64> =
            noise(5, 40).into_iter().zip(0..).map(|(v, i)| v + f64::from(i) * 0.1).collect();
        let found = drift(&values).expect("enough values");
        assert!(found.p < 1e-8, "{found:?}");
        assert!((found.last - found.first - 3.9).abs() < 0.5, "{found:?}");
        let (to_step, to_line) = misfits(&values, &step(&values).expect("enough"), &found);
        assert!(to_line < to_step);
    }

    #[test]
    fn where_nothing_changes_little_is_found() {
        let alarms = |test: &dyn Fn(&[f64]) -> f64| {
            (1..=1000).filter(|&seed| test(&noise(seed, 40)) < 0.01).count()
        };
        let steps = alarms(&|v| step(v).expect("enough").p);
        let drifts = alarms(&|v| drift(v).expect("enough").p);
        // The significance of a step is on the safe side.
        assert!(steps <= 10 && (2..=20).contains(&drifts), "{steps}, {drifts}");
    }

    #[test]
    fn ranks_and_significance_by_hand() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ties(&[3.0, 1.0, 3.0, 2.0]), [2]);
        assert!((two_sided(1.959_964) - 0.05).abs() < 1e-6);
        assert_eq!(step(&[1.0; 7]), None);
        assert_eq!(step(&[1.0; 20]), None, "all alike");
        assert!(drift(&[1.0; 20]).is_some_and(|d| d.p > 0.99 && d.first == d.last));
    }
}
