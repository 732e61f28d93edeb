//! No two prompts may share a block of the server's prefix cache beyond what all of them have in common.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use vllm_bench_protocol::{ChatMessage, Role};

use crate::{CorpusError, TokenCounter};

/// Three beginnings without a token in common, so that none of them counts as part of the head.
pub(crate) const UNLIKE: [&str; 3] = ["Quartz veins", "7 ships", "émigré"];

/// Which block of a prompt must be its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Tokens that all prompts begin with: chat template and system line.
    pub(crate) head_tokens: u32,
    /// The end of the first full block after them.
    end: usize,
}

impl Opening {
    /// Counts the common head of prompts of this shape: what stays the same when everything but the system line changes.
    pub(crate) fn of(
        shape: &[ChatMessage],
        counter: &dyn TokenCounter,
        block_size: u32,
    ) -> Result<Self, CorpusError> {
        let variants = UNLIKE.map(|text| {
            let other = |m: &ChatMessage| match m.role {
                Role::System => m.clone(),
                role => ChatMessage::new(role, text),
            };
            counter.prompt_ids(&shape.iter().map(other).collect::<Vec<_>>())
        });
        let [a, b, c] = variants;
        let (a, b, c) = (a?, b?, c?);
        let head = common(&a, &b).min(common(&a, &c)).min(common(&b, &c)) as u32;
        Ok(Self::after(head, block_size))
    }

    pub(crate) fn after(head_tokens: u32, block_size: u32) -> Self {
        let end = (head_tokens.div_ceil(block_size) + 1) * block_size;
        Self { head_tokens, end: end as usize }
    }

    /// Tokens that all of these begin with.
    pub(crate) fn common(prompts: &[&[u32]]) -> u32 {
        let Some((first, others)) = prompts.split_first() else { return 0 };
        others.iter().map(|other| common(first, other)).min().unwrap_or(first.len()) as u32
    }

    /// What must differ from prompt to prompt: a digest of the tokens up to the end of the first full block after the head.
    /// `None` when the prompt ends before: then it has no such block to share.
    pub(crate) fn key(&self, ids: &[u32]) -> Option<[u8; 32]> {
        let ids = ids.get(..self.end)?;
        let mut hash = Sha256::new();
        ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        Some(hash.finalize().into())
    }
}

/// Indices of prompts whose key an earlier prompt has.
pub(crate) fn violations(keys: &[Option<[u8; 32]>]) -> Vec<usize> {
    let mut seen = HashSet::new();
    (0..keys.len()).filter(|&i| keys[i].is_some_and(|key| !seen.insert(key))).collect()
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The beginning of a text by which openings are told apart before they are tokens: long enough to differ within the block,
/// short enough that many texts have one of their own.
pub(crate) fn opening_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).take(24).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BuiltInCounter;

    #[test]
    fn the_block_after_the_head_counts() {
        for (head, end) in [(0, 16), (1, 32), (16, 32), (17, 48)] {
            assert_eq!(Opening::after(head, 16).end, end, "{head}");
        }
        let ids: Vec<u32> = (0..64).collect();
        let opening = Opening::after(10, 16);
        let mut other = ids.clone();
        other[32] = 999;
        assert_eq!(opening.key(&ids), opening.key(&other), "beyond the block");
        other[31] = 999;
        assert_ne!(opening.key(&ids), opening.key(&other));
        assert_eq!(opening.key(&ids[..31]), None);
        let keys = [opening.key(&ids), None, opening.key(&other), opening.key(&ids), None];
        assert_eq!(violations(&keys), [3]);
    }

    #[test]
    fn the_head_is_the_system_line() {
        let shape = [ChatMessage::system("You are a test."), ChatMessage::user("x")];
        let opening = Opening::of(&shape, &BuiltInCounter::new(), 16).expect("counts");
        // "You are a test.\n\n": pieces of the built-in counter.
        assert_eq!(opening.head_tokens, 7);
    }
}
