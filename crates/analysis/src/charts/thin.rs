//! Fewer points for the same picture: what a chart cannot show is not sent to it.

/// Most points of one drawn line.
pub(super) const LINE_CAP: usize = 500;
/// Most points of one cloud.
pub(super) const CLOUD_CAP: usize = 1_600;

/// Largest-Triangle-Three-Buckets (Steinarsson 2013): at most `cap` of the
/// points, in order, first and last kept, the ones that shape the line preferred.
pub(super) fn line(points: &[(f64, f64)], cap: usize) -> Vec<(f64, f64)> {
    let n = points.len();
    if n <= cap || cap < 3 {
        return points.to_vec();
    }
    let buckets = cap - 2;
    let edge = |i: usize| 1 + i * (n - 2) / buckets;
    let mut out = Vec::with_capacity(cap);
    out.push(points[0]);
    for i in 0..buckets {
        let bucket = &points[edge(i)..edge(i + 1)];
        let next =
            if i + 1 == buckets { &points[n - 1..] } else { &points[edge(i + 1)..edge(i + 2)] };
        let (nx, ny) = mean(next);
        let (px, py) = out[out.len() - 1];
        let area = |&(x, y): &(f64, f64)| ((px - nx) * (y - py) - (px - x) * (ny - py)).abs();
        let best = bucket.iter().max_by(|a, b| area(a).total_cmp(&area(b)));
        out.extend(best.copied());
    }
    out.push(points[n - 1]);
    out
}

/// At most `cap` of the points, in order of x: of every run of neighbours the
/// lowest, the highest and two between, so that outliers survive.
pub(super) fn cloud(points: &[(f64, f64)], cap: usize) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let buckets = cap / 4;
    if sorted.len() <= cap || buckets == 0 {
        return sorted;
    }
    let n = sorted.len();
    let mut out = Vec::with_capacity(cap);
    for i in 0..buckets {
        let bucket = &sorted[i * n / buckets..(i + 1) * n / buckets];
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let at = |wanted: Option<&(f64, f64)>| {
            wanted.and_then(|w| bucket.iter().position(|p| p == w)).unwrap_or_default()
        };
        let mut keep = vec![
            at(bucket.iter().min_by(by_height)),
            at(bucket.iter().max_by(by_height)),
            bucket.len() / 3,
            bucket.len() * 2 / 3,
        ];
        keep.sort_unstable();
        keep.dedup();
        out.extend(keep.into_iter().map(|k| bucket[k]));
    }
    out
}

/// The empirical distribution of `values` as `(value, percent at or below)`,
/// sorted, at most `cap` points: evenly spaced ranks, and every rank of the
/// last hundredth as far as half of `cap` reaches, for the tail is what is read.
pub(super) fn distribution(values: &[f64], cap: usize) -> Vec<(f64, f64)> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let mut ranks: Vec<usize> = if n <= cap {
        (0..n).collect()
    } else {
        let half = (cap / 2).max(2);
        let tail_from = n - (n / 100).max(1);
        let even = (0..half).map(|i| i * (n - 1) / (half - 1));
        let tail = (0..half).map(|i| tail_from + i * (n - 1 - tail_from) / (half - 1));
        even.chain(tail).collect()
    };
    ranks.sort_unstable();
    ranks.dedup();
    ranks.into_iter().map(|r| (sorted[r], 100.0 * (r + 1) as f64 / n as f64)).collect()
}

/// The quantile `q` of `sorted` (Hyndman–Fan type 7); `None` when it is empty.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q * last as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(last);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64))
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
    (x / n, y / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Vec<(f64, f64)> {
        (0..n).map(|i| (i as f64, (i as f64 / 50.0).sin())).collect()
    }

    #[test]
    fn a_line_keeps_its_ends_its_spike_and_its_order() {
        let mut points = wave(100_000);
        points[54_321].1 = 40.0;
        let thin = line(&points, 500);
        assert_eq!(thin.len(), 500);
        assert_eq!((thin[0], thin[499]), (points[0], points[99_999]));
        assert!(thin.contains(&points[54_321]));
        assert!(thin.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(line(&points[..40], 500), points[..40]);
    }

    #[test]
    fn a_cloud_keeps_its_outliers_and_its_cap() {
        let mut points = wave(50_000);
        points[7].1 = -9.0;
        points[49_990].1 = 9.0;
        let thin = cloud(&points, 1_600);
        assert!(thin.len() <= 1_600 && thin.len() > 1_200, "{}", thin.len());
        assert!(thin.contains(&points[7]) && thin.contains(&points[49_990]));
        assert_eq!(cloud(&points[..9], 1_600).len(), 9);
    }

    #[test]
    fn a_distribution_is_exact_when_small_and_keeps_the_tail_when_large() {
        assert_eq!(distribution(&[3.0, 1.0], 500), [(1.0, 50.0), (3.0, 100.0)]);
        let values: Vec<f64> = (0..100_000).map(f64::from).collect();
        let thin = distribution(&values, 500);
        assert!(thin.len() <= 500);
        assert_eq!(thin.last(), Some(&(99_999.0, 100.0)));
        for &(value, percent) in &thin {
            assert!(((value + 1.0) / 1_000.0 - percent).abs() < 1e-9);
        }
        assert!(thin.iter().filter(|p| p.1 > 99.0).count() > 200);
        assert!(distribution(&[], 500).is_empty());
    }

    #[test]
    fn quantiles_are_type_7() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&sorted, 0.5), Some(2.5));
        assert_eq!(quantile(&sorted, 1.0), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
