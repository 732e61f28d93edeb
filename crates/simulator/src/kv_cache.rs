//! The KV cache: blocks, what they hold, and which to reuse first.
//!
//! As vLLM's block pool: a full block is found again by a hash that covers every token before it too
//! (and the request's salt); a block that nobody holds keeps its content until it is the least recently
//! freed one and somebody needs room; a sequence's last blocks are given up first. Block 0 is the null
//! block: it is never handed out, and is the sentinel of the free list here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Number of a block.
pub(crate) type BlockId = u32;

/// Names the content of a full block and of all before it.
pub(crate) type BlockHash = u64;

/// Hash of a full block from its parent's hash and its tokens; only the first block carries the salt.
pub(crate) fn block_hash(
    parent: Option<BlockHash>,
    tokens: &[u32],
    salt: Option<&str>,
) -> BlockHash {
    let mut hasher = DefaultHasher::new();
    parent.hash(&mut hasher);
    tokens.hash(&mut hasher);
    if parent.is_none() {
        salt.hash(&mut hasher);
    }
    hasher.finish()
}

/// All blocks of a server.
#[derive(Debug)]
pub(crate) struct KvCache {
    blocks: Vec<Block>,
    free: usize,
    /// Blocks by content, oldest first: two sequences that compute the same at once hold one each.
    by_hash: HashMap<BlockHash, Vec<BlockId>>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    holders: u32,
    hash: Option<BlockHash>,
    /// Neighbours in the free list; meaningless while the block is held.
    previous: BlockId,
    next: BlockId,
}

impl KvCache {
    /// `num_blocks` blocks, the null block among them, all empty.
    pub(crate) fn new(num_blocks: u32) -> Self {
        let count = num_blocks.max(1);
        let blocks = (0..count)
            .map(|id| Block {
                holders: 0,
                hash: None,
                previous: if id == 0 { count - 1 } else { id - 1 },
                next: if id + 1 == count { 0 } else { id + 1 },
            })
            .collect();
        KvCache { blocks, free: count as usize - 1, by_hash: HashMap::new() }
    }

    /// Blocks that nobody holds, cached content or not.
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// Share of the blocks that is held, 0 to 1; the null block does not count.
    pub(crate) fn usage(&self) -> f64 {
        let all = self.blocks.len() - 1;
        if all == 0 { 0.0 } else { (all - self.free) as f64 / all as f64 }
    }

    /// Blocks that hold the longest known beginning of `hashes`.
    pub(crate) fn find(&self, hashes: &[BlockHash]) -> Vec<BlockId> {
        hashes
            .iter()
            .map_while(|hash| self.by_hash.get(hash).and_then(|ids| ids.first().copied()))
            .collect()
    }

    /// How many of these blocks nobody holds: holding them takes them from the free ones.
    pub(crate) fn unheld(&self, ids: &[BlockId]) -> usize {
        ids.iter().filter(|&&id| self.blocks[id as usize].holders == 0).count()
    }

    /// Holds blocks found by content once more.
    pub(crate) fn hold(&mut self, ids: &[BlockId]) {
        for &id in ids {
            if self.blocks[id as usize].holders == 0 {
                self.unlink(id);
            }
            self.blocks[id as usize].holders += 1;
        }
    }

    /// Takes the least recently freed block; its content is forgotten. None when all are held.
    pub(crate) fn take(&mut self) -> Option<BlockId> {
        let id = self.blocks[0].next;
        if id == 0 {
            return None;
        }
        self.unlink(id);
        self.forget(id);
        self.blocks[id as usize].holders = 1;
        Some(id)
    }

    /// Makes a full block findable by its content.
    pub(crate) fn publish(&mut self, id: BlockId, hash: BlockHash) {
        let block = &mut self.blocks[id as usize];
        if block.hash.is_none() {
            block.hash = Some(hash);
            self.by_hash.entry(hash).or_default().push(id);
        }
    }

    /// Gives up a sequence's blocks, the last of them to be reused first.
    pub(crate) fn release(&mut self, ids: &[BlockId]) {
        for &id in ids.iter().rev() {
            let block = &mut self.blocks[id as usize];
            block.holders -= 1;
            if block.holders == 0 {
                self.link_last(id);
            }
        }
    }

    /// Forgets all cached content; refused (false) while any block is held, as in vLLM.
    pub(crate) fn reset(&mut self) -> bool {
        if self.free + 1 != self.blocks.len() {
            return false;
        }
        self.by_hash.clear();
        for block in &mut self.blocks {
            block.hash = None;
        }
        true
    }

    fn forget(&mut self, id: BlockId) {
        let Some(hash) = self.blocks[id as usize].hash.take() else { return };
        if let Some(ids) = self.by_hash.get_mut(&hash) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    fn unlink(&mut self, id: BlockId) {
        let Block { previous, next, .. } = self.blocks[id as usize];
        self.blocks[previous as usize].next = next;
        self.blocks[next as usize].previous = previous;
        self.free -= 1;
    }

    fn link_last(&mut self, id: BlockId) {
        let last = self.blocks[0].previous;
        self.blocks[last as usize].next = id;
        self.blocks[0].previous = id;
        let block = &mut self.blocks[id as usize];
        (block.previous, block.next) = (last, 0);
        self.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(cache: &mut KvCache, count: usize) -> Vec<BlockId> {
        (0..count).map(|_| cache.take().expect("a free block")).collect()
    }

    #[test]
    fn the_null_block_is_never_handed_out() {
        let mut cache = KvCache::new(4);
        assert_eq!(taken(&mut cache, 3), [1, 2, 3]);
        assert_eq!(cache.take(), None);
        assert_eq!(cache.usage(), 1.0);
    }

    #[test]
    fn freed_blocks_are_found_again_until_reused_tail_first() {
        let mut cache = KvCache::new(4);
        let held = taken(&mut cache, 3);
        for (&id, hash) in held.iter().zip([10, 11, 12]) {
            cache.publish(id, hash);
        }
        cache.release(&held);
        assert_eq!(cache.free(), 3);
        assert_eq!(cache.find(&[10, 11, 12, 13]), [1, 2, 3]);
        assert_eq!(cache.take(), Some(3), "the tail goes first");
        assert_eq!(cache.find(&[10, 11, 12]), [1, 2]);
        cache.hold(&[1]);
        assert_eq!(cache.take(), Some(2), "a held block is not reused");
        assert_eq!(cache.take(), None);
        assert_eq!(cache.find(&[10, 11]), [1]);
    }

    #[test]
    fn a_block_held_twice_is_free_after_the_second_release() {
        let mut cache = KvCache::new(3);
        let held = taken(&mut cache, 1);
        cache.hold(&held);
        cache.release(&held);
        assert_eq!(cache.free(), 1);
        cache.release(&held);
        assert_eq!(cache.free(), 2);
    }

    #[test]
    fn twins_are_both_known_and_outlive_one_another() {
        let mut cache = KvCache::new(3);
        let held = taken(&mut cache, 2);
        cache.publish(held[0], 7);
        cache.publish(held[1], 7);
        cache.release(&held[..1]);
        assert_eq!(cache.take(), Some(held[0]));
        assert_eq!(cache.find(&[7]), [held[1]]);
    }

    #[test]
    fn reset_waits_for_the_last_holder() {
        let mut cache = KvCache::new(3);
        let held = taken(&mut cache, 1);
        cache.publish(held[0], 7);
        assert!(!cache.reset());
        cache.release(&held);
        assert!(cache.reset());
        assert!(cache.find(&[7]).is_empty());
    }

    #[test]
    fn the_hash_covers_parents_and_salt() {
        let first = block_hash(None, &[1, 2], None);
        assert_eq!(first, block_hash(None, &[1, 2], None));
        assert_ne!(first, block_hash(None, &[1, 3], None));
        assert_ne!(first, block_hash(None, &[1, 2], Some("salt")));
        assert_ne!(block_hash(Some(first), &[5], None), block_hash(Some(first + 1), &[5], None));
    }
}
