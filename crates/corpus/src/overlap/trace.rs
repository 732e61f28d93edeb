//! What is kept of a prompt's tokens, to see later what it shares with others: its blocks as a prefix cache names them,
//! and a sample of the places where a block of tokens could be found again.

/// Takes traces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tracer {
    block: usize,
    /// One of `2^sampling` blocks is looked for anywhere.
    sampling: u32,
}

/// The trace of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Tokens of the prompt.
    pub(crate) tokens: u32,
    /// One a full block: equal numbers mean that everything up to the block's end is equal.
    pub(crate) chain: Vec<u64>,
    /// Sampled windows of a block's length, at every token; the lowest bit tells those that are blocks of this prompt.
    pub(crate) windows: Vec<u64>,
}

/// Windows that are kept of a whole corpus, about.
const KEPT: u64 = 1 << 20;

impl Tracer {
    /// For blocks of so many tokens, in a corpus of about `expected` tokens.
    pub(crate) fn new(block: u32, expected: u64) -> Self {
        let sampling = (expected / KEPT).checked_ilog2().map_or(0, |log| log + 1);
        Self { block: block.max(1) as usize, sampling }
    }

    /// One of so many blocks is looked for anywhere.
    pub(crate) fn one_of(&self) -> u32 {
        1 << self.sampling
    }

    /// The trace of a prompt.
    pub(crate) fn trace(&self, ids: &[u32]) -> Trace {
        let mut chain = Vec::with_capacity(ids.len() / self.block);
        let mut windows = Vec::new();
        let mut name = 0x9e37_79b9_7f4a_7c15;
        // B^(block - 1): what the oldest token weighs in the rolling sum.
        let oldest = (1..self.block).fold(1u64, |power, _| power.wrapping_mul(BASE));
        let mut sum = 0u64;
        for (at, &id) in ids.iter().enumerate() {
            if at >= self.block {
                let gone = mix(u64::from(ids[at - self.block]));
                sum = sum.wrapping_sub(gone.wrapping_mul(oldest));
            }
            sum = sum.wrapping_mul(BASE).wrapping_add(mix(u64::from(id)));
            if at + 1 < self.block {
                continue;
            }
            let aligned = (at + 1) % self.block == 0;
            if aligned {
                name = mix(name ^ sum);
                chain.push(name);
            }
            let window = mix(sum);
            if window >> 1 & (u64::from(self.one_of()) - 1) == 0 {
                windows.push(window & !1 | u64::from(aligned));
            }
        }
        Trace { tokens: ids.len() as u32, chain, windows }
    }
}

const BASE: u64 = 0xd134_2543_de82_ef95;

/// Spreads a number over 64 bits (splitmix64's last step): the same on every machine.
const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Trace {
    /// As bytes, for a file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 8 * (self.chain.len() + self.windows.len()));
        bytes.extend(self.tokens.to_le_bytes());
        bytes.extend((self.chain.len() as u32).to_le_bytes());
        for number in self.chain.iter().chain(&self.windows) {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote; `None` of anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tokens, rest) = bytes.split_first_chunk::<4>()?;
        let (blocks, rest) = rest.split_first_chunk::<4>()?;
        let blocks = u32::from_le_bytes(*blocks) as usize;
        let (numbers, odd) = rest.as_chunks::<8>();
        if !odd.is_empty() || numbers.len() < blocks {
            return None;
        }
        let mut chain: Vec<u64> = numbers.iter().map(|n| u64::from_le_bytes(*n)).collect();
        let windows = chain.split_off(blocks);
        Some(Self { tokens: u32::from_le_bytes(*tokens), chain, windows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_named_by_all_before_it_and_a_window_by_itself() {
        let tracer = Tracer::new(4, 100);
        let a = tracer.trace(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let b = tracer.trace(&[1, 2, 3, 4, 5, 6, 7, 9, 9]);
        let c = tracer.trace(&[0, 5, 6, 7, 8]);
        assert_eq!((a.chain.len(), a.windows.len(), a.tokens), (2, 6, 9));
        assert_eq!(a.chain[0], b.chain[0]);
        assert_ne!(a.chain[1], b.chain[1]);
        // 5 6 7 8 stands in both, a block of its own only in the first.
        assert_eq!(a.windows[4], c.windows[1] | 1);
        assert_eq!(c.windows[1] & 1, 0);
        assert_eq!(Trace::from_bytes(&a.to_bytes()), Some(a));
        assert_eq!(Trace::from_bytes(&[1, 2, 3]), None);
    }

    #[test]
    fn large_corpora_are_sampled() {
        assert_eq!(Tracer::new(16, KEPT).one_of(), 2);
        assert_eq!(Tracer::new(16, KEPT - 1).one_of(), 1);
        let tracer = Tracer::new(16, 16 * KEPT);
        let ids: Vec<u32> = (0..100_000).collect();
        let kept = tracer.trace(&ids).windows.len() as f64 * f64::from(tracer.one_of());
        assert!((0.9..1.1).contains(&(kept / 100_000.0)), "{kept}");
    }
}
