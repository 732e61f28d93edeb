//! Seeded choices that come out the same on every machine: ChaCha and integer arithmetic, nothing of libm.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use sha2::{Digest, Sha256};

/// A stream of seeded choices.
#[derive(Debug, Clone)]
pub(crate) struct Dice(ChaCha8Rng);

/// The key of a family of streams, so that it is hashed once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiceKey([u8; 32]);

impl DiceKey {
    /// The family of `label` under `seed`; families are independent of each other.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"vllm-bench-corpus/1\0");
        hash.update(seed.to_le_bytes());
        hash.update(label.as_bytes());
        Self(hash.finalize().into())
    }

    /// Stream number `index` of the family.
    pub(crate) fn stream(&self, index: u64) -> Dice {
        let mut rng = ChaCha8Rng::from_seed(self.0);
        rng.set_stream(index);
        Dice(rng)
    }
}

impl Dice {
    /// The first stream of `label` under `seed`.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        DiceKey::new(seed, label).stream(0)
    }

    /// A number from 0 to `n - 1`, each equally likely; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        // Lemire's method with rejection: unbiased, no division in the common case.
        let mut wide = u128::from(self.0.next_u64()) * u128::from(n);
        if (wide as u64) < n {
            let floor = n.wrapping_neg() % n;
            while (wide as u64) < floor {
                wide = u128::from(self.0.next_u64()) * u128::from(n);
            }
        }
        (wide >> 64) as u64
    }

    /// A number from 0 to `n - 1` by 32 random bits: cheaper, for small `n` where a bias of 2⁻³² does not matter.
    pub(crate) fn small(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.small(high - low + 1)
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.small(100) < percent
    }

    /// An index into something of `len` entries.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Puts `items` into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }

    /// A bell-shaped number with mean 0 and standard deviation 1: the sum of twelve uniform ones, within ±6.
    pub(crate) fn bell(&mut self) -> f64 {
        let sum: u64 = (0..12).map(|_| u64::from(self.0.next_u32())).sum();
        sum as f64 / 4_294_967_296.0 - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_for_ever() {
        // A change here changes every corpus of every user.
        let got = Dice::new(1371, "test").take(4, 1000);
        assert_eq!(got, [679, 92, 757, 347]);
        assert_ne!(got, Dice::new(1372, "test").take(4, 1000));
        assert_ne!(got, Dice::new(1371, "tset").take(4, 1000));
    }

    impl Dice {
        fn take(mut self, count: usize, below: u64) -> Vec<u64> {
            (0..count).map(|_| self.below(below)).collect()
        }
    }

    #[test]
    fn below_is_even() {
        let mut dice = Dice::new(1, "even");
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[dice.index(7)] += 1;
        }
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
    }

    #[test]
    fn bell_has_mean_0_and_deviation_1() {
        let mut dice = Dice::new(1, "bell");
        let all: Vec<f64> = (0..20_000).map(|_| dice.bell()).collect();
        let mean = all.iter().sum::<f64>() / 20_000.0;
        let deviation = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
        assert!(mean.abs() < 0.03 && (deviation - 1.0).abs() < 0.03, "{mean} {deviation}");
    }

    #[test]
    fn shuffle_keeps_everything() {
        let mut items: Vec<u32> = (0..100).collect();
        Dice::new(3, "shuffle").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
