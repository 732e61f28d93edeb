//! Continuous batching, one step at a time and without a clock: whoever drives it says when a step
//! starts, and is told when it ends and which tokens it brought.
//!
//! The rules are those of vLLM's V1 scheduler. Running sequences come first, in order of arrival, each
//! with as many tokens as it has left to compute and the step's budget allows (chunked prefill); when
//! blocks run out the newest running sequence gives up its own and starts again later (preemption by
//! recompute). Then waiting ones are admitted in order, while budget, seats and blocks for the whole
//! sequence last, and only in a step that preempted nobody.

mod memory;
mod outcome;
mod sequence;

use std::collections::VecDeque;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub(crate) use outcome::{Finish, FinishReason, Kind, StepOutcome, Times, TokenOutput};
pub(crate) use sequence::{NewSequence, SequenceId};

use crate::config::SimulatorConfig;
use crate::cost::{CostModel, StepWork};
use crate::tokenizer::EOS;
use memory::Memory;
use sequence::Sequence;

/// The scheduler, the cache and every sequence that is not finished.
pub(crate) struct Engine {
    max_num_seqs: usize,
    max_num_batched_tokens: usize,
    max_model_len: usize,
    cost: CostModel,
    rng: ChaCha8Rng,
    memory: Memory,
    running: Vec<Sequence>,
    waiting: VecDeque<Sequence>,
}

impl Engine {
    pub(crate) fn new(config: &SimulatorConfig) -> Self {
        Engine {
            max_num_seqs: config.max_num_seqs as usize,
            max_num_batched_tokens: config.max_num_batched_tokens as usize,
            max_model_len: config.max_model_len as usize,
            cost: config.cost,
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            memory: Memory::new(config),
            running: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Queues a sequence that arrived at `now`.
    pub(crate) fn add(&mut self, new: NewSequence, now: Duration) {
        self.waiting.push_back(Sequence::new(new, now));
    }

    /// Ends a sequence before its own end, because its reader found a stop string or left. None when
    /// it is not there any more.
    pub(crate) fn end(&mut self, id: SequenceId, reason: FinishReason) -> Option<Finish> {
        let mut sequence = match self.running.iter().position(|sequence| sequence.id() == id) {
            Some(at) => self.running.remove(at),
            None => {
                let at = self.waiting.iter().position(|sequence| sequence.id() == id)?;
                self.waiting.remove(at)?
            }
        };
        self.memory.release(&mut sequence);
        Some(sequence.finish(reason))
    }

    /// Whether a step would find anything to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn kv_usage(&self) -> f64 {
        self.memory.usage()
    }

    /// Forgets the prefix cache; refused while any block is in use.
    pub(crate) fn reset_prefix_cache(&mut self) -> bool {
        self.memory.reset()
    }

    /// Runs the step that starts at `now`. None when there is nothing to do.
    pub(crate) fn step(&mut self, now: Duration) -> Option<StepOutcome> {
        let mut outcome = StepOutcome::default();
        let mut budget = self.max_num_batched_tokens;
        let mut scheduled = self.schedule_running(&mut budget, &mut outcome);
        if outcome.preemptions == 0 {
            self.admit_waiting(now, &mut budget, &mut scheduled, &mut outcome);
        }
        if scheduled.is_empty() {
            return None;
        }
        outcome.work = self.work_of(&scheduled);
        outcome.ends_at = now + self.cost.jittered(&outcome.work, &mut self.rng);
        self.sample(&scheduled, &mut outcome);
        Some(outcome)
    }

    /// Tokens to compute for each running sequence, in order, preempting from the end for room.
    fn schedule_running(&mut self, budget: &mut usize, outcome: &mut StepOutcome) -> Vec<usize> {
        let mut scheduled = Vec::with_capacity(self.running.len() + 1);
        while scheduled.len() < self.running.len() && *budget > 0 {
            let at = scheduled.len();
            let new = self.running[at].to_compute().min(*budget);
            if self.memory.reserve(&mut self.running[at], &[], new, 0) {
                *budget -= new;
                scheduled.push(new);
            } else if let Some(mut victim) = self.running.pop() {
                self.memory.release(&mut victim);
                victim.preempt();
                outcome.preemptions += 1;
                self.waiting.push_front(victim);
            }
        }
        scheduled
    }

    fn admit_waiting(
        &mut self,
        now: Duration,
        budget: &mut usize,
        scheduled: &mut Vec<usize>,
        outcome: &mut StepOutcome,
    ) {
        while *budget > 0 && self.running.len() < self.max_num_seqs {
            let Some(mut sequence) = self.waiting.pop_front() else { break };
            let hits = self.memory.cached_prefix(&mut sequence);
            let hit_tokens = self.memory.tokens_in(&hits);
            let new = (sequence.tokens() - hit_tokens).min(*budget);
            let whole = sequence.tokens();
            if !self.memory.reserve(&mut sequence, &hits, new, whole) {
                self.waiting.push_front(sequence);
                break;
            }
            if sequence.preemptions == 0 && self.memory.caches_prefixes() {
                outcome.prefix_queries += sequence.tokens() as u64;
                outcome.prefix_hits += hit_tokens as u64;
            }
            sequence.admit(now, hit_tokens);
            *budget -= new;
            scheduled.push(new);
            self.running.push(sequence);
        }
    }

    fn work_of(&self, scheduled: &[usize]) -> StepWork {
        let mut work = StepWork::default();
        for (sequence, &new) in self.running.iter().zip(scheduled) {
            work.kv_tokens += (sequence.computed + new) as u64;
            if sequence.is_decoding() {
                work.decode_sequences += 1;
            } else {
                work.prefill_tokens += new as u64;
            }
        }
        work
    }

    /// Moves every scheduled sequence on; those that have caught up bring a token.
    fn sample(&mut self, scheduled: &[usize], outcome: &mut StepOutcome) {
        let now = outcome.ends_at;
        let mut kept = Vec::with_capacity(self.running.len());
        for (at, mut sequence) in std::mem::take(&mut self.running).into_iter().enumerate() {
            sequence.computed += scheduled.get(at).copied().unwrap_or(0);
            if at >= scheduled.len() || sequence.to_compute() > 0 {
                kept.push(sequence);
                continue;
            }
            let (token, kind) = sequence.sample(now, &self.memory);
            let ended = if token == EOS && !sequence.ignores_eos() {
                Some(FinishReason::Stop)
            } else if sequence.is_at_length(self.max_model_len) {
                Some(FinishReason::Length)
            } else {
                None
            };
            let finish = ended.map(|reason| sequence.finish(reason));
            let times = sequence.times();
            outcome.tokens.push(TokenOutput { id: sequence.id(), token, kind, times, finish });
            if ended.is_some() {
                self.memory.release(&mut sequence);
            } else {
                kept.push(sequence);
            }
        }
        self.running = kept;
    }
}

#[cfg(test)]
mod tests;
