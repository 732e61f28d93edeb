//! The lengths that prompts aim at: bell-shaped around the mean, clipped, and exactly balanced.

use crate::dice::Dice;

/// Target lengths in tokens, one a prompt, in random order.
///
/// Deviations come in pairs of `+d` and `−d`, so that the mean is `mean` whatever the count. None lies further than
/// `limit` (a share of the mean) from it.
pub(crate) fn targets(
    count: usize,
    mean: u32,
    spread: f64,
    limit: f64,
    dice: &mut Dice,
) -> Vec<u32> {
    let centre = i64::from(mean);
    let furthest = (f64::from(mean) * limit).floor() as i64;
    let mut targets = Vec::with_capacity(count);
    while targets.len() + 1 < count {
        let deviation = (dice.bell() * spread * f64::from(mean)).round() as i64;
        let deviation = deviation.clamp(-furthest, furthest);
        targets.push((centre + deviation).max(1) as u32);
        targets.push((centre - deviation).max(1) as u32);
    }
    if targets.len() < count {
        targets.push(mean);
    }
    dice.shuffle(&mut targets);
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_exact_and_nothing_is_outside() {
        for count in [1, 2, 3, 10, 1500] {
            let targets = targets(count, 1371, 0.05, 0.12, &mut Dice::new(1, "lengths"));
            assert_eq!(targets.len(), count);
            assert_eq!(targets.iter().map(|&t| u64::from(t)).sum::<u64>(), 1371 * count as u64);
            assert!(targets.iter().all(|t| (1207..=1535).contains(t)), "{targets:?}");
        }
    }

    #[test]
    fn the_spread_is_the_standard_deviation() {
        let targets = targets(2000, 1000, 0.05, 0.5, &mut Dice::new(1, "lengths"));
        let variance =
            targets.iter().map(|&t| (f64::from(t) - 1000.0).powi(2)).sum::<f64>() / 2000.0;
        assert!((variance.sqrt() - 50.0).abs() < 3.0, "{}", variance.sqrt());
    }

    #[test]
    fn no_spread_is_all_the_same() {
        assert_eq!(targets(3, 64, 0.0, 0.1, &mut Dice::new(1, "lengths")), [64, 64, 64]);
    }
}
