//! One sequence of tokens on its way through the engine.

use std::sync::Arc;
use std::time::Duration;

use super::memory::Memory;
use super::outcome::{Finish, FinishReason, Kind, Times};
use crate::kv_cache::{BlockHash, BlockId, block_hash};
use crate::tokenizer::EOS;

/// Number of a sequence, unique in one server.
pub(crate) type SequenceId = u64;

/// A sequence as it comes in.
pub(crate) struct NewSequence {
    pub(crate) id: SequenceId,
    /// At least one token.
    pub(crate) prompt: Arc<[u32]>,
    /// Keeps its blocks apart from those of requests with another salt.
    pub(crate) cache_salt: Option<Arc<str>>,
    pub(crate) max_tokens: u32,
    /// Whether it goes on after an end-of-sequence token.
    pub(crate) ignore_eos: bool,
    /// The answer's tokens; end of sequence follows the last.
    pub(crate) answer: Box<dyn Iterator<Item = u32> + Send>,
}

/// A sequence that waits or runs.
pub(super) struct Sequence {
    new: NewSequence,
    output: Vec<u32>,
    /// Hashes of all full blocks, as far as they were asked for.
    hashes: Vec<BlockHash>,
    pub(super) blocks: Vec<BlockId>,
    /// Tokens whose keys and values are in `blocks`.
    pub(super) computed: usize,
    /// Blocks that the cache can find.
    pub(super) published: usize,
    cached_tokens: u32,
    pub(super) preemptions: u32,
    times: Times,
}

impl Sequence {
    pub(super) fn new(new: NewSequence, now: Duration) -> Self {
        let times = Times { arrived_at: now, ..Times::default() };
        Sequence {
            new,
            output: Vec::new(),
            hashes: Vec::new(),
            blocks: Vec::new(),
            computed: 0,
            published: 0,
            cached_tokens: 0,
            preemptions: 0,
            times,
        }
    }

    pub(super) fn id(&self) -> SequenceId {
        self.new.id
    }

    /// Prompt and answer so far.
    pub(super) fn tokens(&self) -> usize {
        self.new.prompt.len() + self.output.len()
    }

    pub(super) fn to_compute(&self) -> usize {
        self.tokens() - self.computed
    }

    pub(super) fn is_decoding(&self) -> bool {
        !self.output.is_empty() && self.to_compute() == 1
    }

    pub(super) fn ignores_eos(&self) -> bool {
        self.new.ignore_eos
    }

    pub(super) fn is_at_length(&self, max_model_len: usize) -> bool {
        self.output.len() >= self.new.max_tokens as usize || self.tokens() >= max_model_len
    }

    /// Hashes of all full blocks of the tokens so far.
    pub(super) fn hashes(&mut self, block_size: usize) -> &[BlockHash] {
        let full = self.tokens() / block_size;
        while self.hashes.len() < full {
            let new = &self.new;
            let (from, to) = (self.hashes.len() * block_size, (self.hashes.len() + 1) * block_size);
            let salt = new.cache_salt.as_deref();
            let parent = self.hashes.last().copied();
            let prompt = new.prompt.len();
            let hash = if to <= prompt {
                block_hash(parent, &new.prompt[from..to], salt)
            } else {
                let mut tokens = new.prompt[from.min(prompt)..].to_vec();
                tokens.extend_from_slice(&self.output[from.saturating_sub(prompt)..to - prompt]);
                block_hash(parent, &tokens, salt)
            };
            self.hashes.push(hash);
        }
        &self.hashes
    }

    /// Joins the running ones, with `hit_tokens` found in the cache.
    pub(super) fn admit(&mut self, now: Duration, hit_tokens: usize) {
        self.computed = hit_tokens;
        // A step starts on paper a little before the thread wakes up for it.
        self.times.scheduled_at.get_or_insert(now.max(self.times.arrived_at));
        if self.preemptions == 0 {
            self.cached_tokens = hit_tokens as u32;
        }
    }

    /// Has everything to compute again; its blocks are given back already.
    pub(super) fn preempt(&mut self) {
        (self.computed, self.published) = (0, 0);
        self.preemptions += 1;
    }

    /// The next token of the answer, which comes at `now`.
    pub(super) fn sample(&mut self, now: Duration, memory: &Memory) -> (u32, Kind) {
        let new = &mut self.new;
        let token = new.answer.next().unwrap_or(EOS);
        self.output.push(token);
        let kind = match self.times.last_token_at.replace(now) {
            Some(last) => Kind::Later { gap: now.saturating_sub(last) },
            None => {
                self.times.first_token_at = Some(now);
                Kind::First {
                    latency: now.saturating_sub(self.times.arrived_at),
                    prompt_tokens: new.prompt.len() as u32,
                    cached_tokens: self.cached_tokens,
                    created_cache_tokens: memory
                        .cacheable(new.prompt.len() as u32)
                        .saturating_sub(self.cached_tokens),
                }
            }
        };
        (token, kind)
    }

    pub(super) fn times(&self) -> Times {
        self.times
    }

    pub(super) fn finish(&self, reason: FinishReason) -> Finish {
        let new = &self.new;
        Finish {
            reason,
            times: self.times,
            prompt_tokens: new.prompt.len() as u32,
            cached_tokens: self.cached_tokens,
            output_tokens: self.output.len() as u32,
            max_tokens: new.max_tokens,
            preemptions: self.preemptions,
        }
    }
}
