//! The figures of overlap that stand in the header.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::cache::{Limited, Unlimited, cached_tokens};
use super::trace::Trace;

/// What the prompts share when they are sent once each, in their order. Shares are of 1, rounded to six digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Overlap {
    /// Tokens of a block.
    pub block_size: u32,
    /// Full blocks of all prompts.
    pub blocks: u64,
    /// Share of them that an earlier prompt had with everything before it: what a prefix cache can answer. The common head
    /// is part of it.
    pub leading_share: f64,
    /// Share of them that an earlier prompt had anywhere, aligned or not.
    pub anywhere_share: f64,
    /// One of so many blocks was looked for anywhere; 1: all.
    pub anywhere_one_of: u32,
    /// Share of the prompt tokens that a prefix cache without an end answers, as vLLM counts its hits: whole blocks, never
    /// a prompt's last token.
    pub hit_share: f64,
    /// The same of a cache of so many blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<LimitedCache>,
}

/// A prefix cache of limited size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitedCache {
    /// Its blocks.
    pub blocks: u64,
    /// Share of the prompt tokens that it answers, prompts sent one after the other, answers not counted.
    pub hit_share: f64,
}

/// Goes through the traces of `count` prompts; `read` gives one, of earlier ones too.
pub(crate) fn overlap<E>(
    count: u32,
    block: u32,
    one_of: u32,
    limited: Option<u64>,
    mut read: impl FnMut(u32) -> Result<Trace, E>,
) -> Result<Overlap, E> {
    let mut unlimited = Unlimited::default();
    let mut small = limited.map(|blocks| Limited::new(blocks as usize));
    let (mut tokens, mut blocks, mut leading, mut hits, mut small_hits) = (0u64, 0u64, 0u64, 0, 0);
    let mut seen = HashSet::new();
    let (mut looked, mut found) = (0u64, 0u64);
    // Prompts that many later ones begin like.
    let mut recent: HashMap<u32, Vec<u64>> = HashMap::new();
    for index in 0..count {
        let trace = read(index)?;
        let run = unlimited.add(index, &trace.chain, |owner| {
            if let Some(chain) = recent.get(&owner) {
                return Ok(chain.clone());
            }
            let chain = read(owner)?.chain;
            if recent.len() == 64 {
                recent.clear();
            }
            recent.insert(owner, chain.clone());
            Ok(chain)
        })?;
        tokens += u64::from(trace.tokens);
        blocks += trace.chain.len() as u64;
        leading += run as u64;
        hits += cached_tokens(&trace, run, block);
        if let Some(cache) = &mut small {
            small_hits += cached_tokens(&trace, cache.add(&trace.chain), block);
        }
        for window in trace.windows.iter().filter(|window| *window & 1 == 1) {
            looked += 1;
            found += u64::from(seen.contains(&(window >> 1)));
        }
        seen.extend(trace.windows.iter().map(|window| window >> 1));
    }
    let share = |part: u64, whole: u64| {
        if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e6).round() / 1e6 }
    };
    Ok(Overlap {
        block_size: block,
        blocks,
        leading_share: share(leading, blocks),
        anywhere_share: share(found, looked),
        anywhere_one_of: one_of,
        hit_share: share(hits, tokens),
        limited: limited
            .map(|blocks| LimitedCache { blocks, hit_share: share(small_hits, tokens) }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::trace::Tracer;
    use super::*;

    #[test]
    fn shares_are_of_blocks_and_tokens() {
        let tracer = Tracer::new(4, 100);
        let prompts: [&[u32]; 3] = [
            &[1, 2, 3, 4, 5, 6, 7, 8, 9],
            // Begins alike for a block; the rest is new.
            &[1, 2, 3, 4, 50, 60, 70, 80],
            // 5 6 7 8 again, in a block of its own, behind another beginning.
            &[0, 0, 0, 0, 5, 6, 7, 8],
        ];
        let read = |i: u32| Ok::<_, ()>(tracer.trace(prompts[i as usize]));
        let all = overlap(3, 4, 1, Some(2), read).expect("reads");
        assert_eq!((all.blocks, all.leading_share, all.anywhere_share), (6, 0.166667, 0.333333));
        assert_eq!(all.hit_share, 0.16, "4 of 25 tokens");
        assert_eq!(all.limited.map(|l| (l.blocks, l.hit_share)), Some((2, 0.16)));
    }
}
