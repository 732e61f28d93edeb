//! The prefix cache that a corpus is looked at with.

use serde::{Deserialize, Serialize};

use crate::header::BLOCK_SIZE;

/// The server's prefix cache, for what is predicted of it. It changes no prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSpec {
    /// Tokens of a block: 16 on GPUs, 128 in vLLM's build for CPUs.
    pub block_size: u32,
    /// Blocks that it has; none: no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
}

impl Default for CacheSpec {
    fn default() -> Self {
        Self { block_size: BLOCK_SIZE, blocks: None }
    }
}

impl CacheSpec {
    /// What makes no sense: the key after `cache.`, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=4096).contains(&self.block_size) {
            return Some(("block_size", "must be from 1 to 4096"));
        }
        match self.blocks {
            Some(blocks) if !(1..=1 << 28).contains(&blocks) => {
                Some(("blocks", "must be from 1 to 268435456"))
            }
            _ => None,
        }
    }
}
