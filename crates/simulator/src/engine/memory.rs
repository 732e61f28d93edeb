//! How sequences hold blocks of the KV cache.

use super::sequence::Sequence;
use crate::config::SimulatorConfig;
use crate::kv_cache::{BlockId, KvCache};

/// The cache with the rules by which sequences use it.
pub(super) struct Memory {
    cache: KvCache,
    block_size: usize,
    prefix_caching: bool,
}

impl Memory {
    pub(super) fn new(config: &SimulatorConfig) -> Self {
        Memory {
            cache: KvCache::new(config.num_blocks),
            block_size: config.block_size as usize,
            prefix_caching: config.prefix_caching,
        }
    }

    pub(super) fn usage(&self) -> f64 {
        self.cache.usage()
    }

    pub(super) fn reset(&mut self) -> bool {
        self.cache.reset()
    }

    pub(super) fn caches_prefixes(&self) -> bool {
        self.prefix_caching
    }

    pub(super) fn tokens_in(&self, blocks: &[BlockId]) -> usize {
        blocks.len() * self.block_size
    }

    /// Tokens of a prompt of this length that the cache can keep: those in full blocks.
    pub(super) fn cacheable(&self, prompt_tokens: u32) -> u32 {
        let block = self.block_size as u32;
        if self.prefix_caching { prompt_tokens / block * block } else { 0 }
    }

    /// Blocks of the longest cached beginning; at least one token is always left to compute, since
    /// only a computed token can bring the next.
    pub(super) fn cached_prefix(&self, sequence: &mut Sequence) -> Vec<BlockId> {
        if !self.prefix_caching {
            return Vec::new();
        }
        let most = (sequence.tokens() - 1) / self.block_size;
        self.cache.find(&sequence.hashes(self.block_size)[..most])
    }

    /// Gives a sequence the blocks for `new` more tokens after the cached ones in `hits`, if there are
    /// enough for these and for its first `whole` tokens. Full blocks can be found by others at once.
    pub(super) fn reserve(
        &mut self,
        sequence: &mut Sequence,
        hits: &[BlockId],
        new: usize,
        whole: usize,
    ) -> bool {
        let tokens = sequence.computed + self.tokens_in(hits) + new;
        let held = sequence.blocks.len() + hits.len();
        let lacking = |tokens: usize| tokens.div_ceil(self.block_size).saturating_sub(held);
        let needed = lacking(tokens);
        if needed.max(lacking(whole)) + self.cache.unheld(hits) > self.cache.free() {
            return false;
        }
        self.cache.hold(hits);
        sequence.blocks.extend_from_slice(hits);
        sequence.blocks.extend((0..needed).filter_map(|_| self.cache.take()));
        if self.prefix_caching {
            let full = tokens.min(sequence.tokens()) / self.block_size;
            for at in sequence.published.max(hits.len())..full {
                let hash = sequence.hashes(self.block_size)[at];
                self.cache.publish(sequence.blocks[at], hash);
            }
            sequence.published = full;
        }
        true
    }

    /// Takes all its blocks back.
    pub(super) fn release(&mut self, sequence: &mut Sequence) {
        self.cache.release(&sequence.blocks);
        sequence.blocks.clear();
    }
}
