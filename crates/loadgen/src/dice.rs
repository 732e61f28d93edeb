//! Seeded random gaps that come out the same on every machine: ChaCha, IEEE arithmetic and a software libm.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Sets these streams apart from every other use of the same seed.
const DOMAIN: &[u8; 24] = b"vllm-bench-arrivals/1\0\0\0";

/// A stream of seeded random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Stream `stream` of `seed`; streams are independent of each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..].copy_from_slice(DOMAIN);
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Evenly between 0 and 1, neither of them ever.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(self.unit())
    }

    /// Gamma with the given shape (above 0) and scale 1, so mean `shape`.
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            // Marsaglia and Tsang's boost: gamma(a) is gamma(a + 1) · U^(1/a).
            let boost = libm::exp(libm::log(self.unit()) / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        // Marsaglia and Tsang (2000), "A simple method for generating gamma variables".
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v <= 0.0 {
                continue;
            }
            let v = v * v * v;
            if libm::log(self.unit()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v;
            }
        }
    }

    /// Standard normal, by Marsaglia's polar method.
    fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.unit() - 1.0;
            let y = 2.0 * self.unit() - 1.0;
            let s = x * x + y * y;
            if s < 1.0 && s > 0.0 {
                return x * (-2.0 * libm::log(s) / s).sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of 50,000 draws.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let all: Vec<f64> = (0..50_000).map(|_| draw()).collect();
        let mean = all.iter().sum::<f64>() / 50_000.0;
        (mean, all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 49_999.0)
    }

    #[test]
    fn the_first_numbers_are_fixed_for_ever() {
        // A change here changes every schedule of every user.
        let mut dice = Dice::new(1, 0);
        let bits: Vec<u64> = [dice.unit(), dice.exponential(), dice.gamma(0.5), dice.gamma(3.0)]
            .map(f64::to_bits)
            .into();
        assert_eq!(bits, FIRST.to_vec(), "{bits:#x?}");
        assert_ne!(Dice::new(1, 1).unit(), Dice::new(1, 0).unit());
        assert_ne!(Dice::new(2, 0).unit(), Dice::new(1, 0).unit());
    }

    const FIRST: [u64; 4] = [
        0x3fde_ca4e_edee_0732,
        0x3ff8_af29_1dc4_a4c5,
        0x3f65_cf7a_aefb_f0dd,
        0x3ff6_5142_b638_b6b2,
    ];

    #[test]
    fn moments_are_right() {
        let mut dice = Dice::new(7, 0);
        let (mean, variance) = moments(|| dice.exponential());
        assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let (mean, variance) = moments(|| dice.normal());
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        for shape in [0.1, 0.5, 1.0, 4.0, 100.0] {
            let (mean, variance) = moments(|| dice.gamma(shape));
            assert!((mean / shape - 1.0).abs() < 0.05, "shape {shape}: mean {mean}");
            assert!((variance / shape - 1.0).abs() < 0.1, "shape {shape}: variance {variance}");
        }
    }
}
