//! The engine's accounts: levels, sums and histograms.

use super::histogram::Histogram;
use super::names::{
    COUNT_BOUNDS, ITERATION_BOUNDS, LATENCY_BOUNDS, N_BOUNDS, PREEMPTION_BOUNDS, TOKEN_TIME_BOUNDS,
    TTFT_BOUNDS,
};
use crate::engine::{Engine, Finish, FinishReason, Kind, StepOutcome};

/// Everything that `vllm:` metrics tell. Times are kept in seconds.
#[derive(Clone, Debug)]
pub(crate) struct EngineMetrics {
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) kv_usage: f64,
    pub(super) prefix_queries: u64,
    pub(super) prefix_hits: u64,
    pub(super) preemptions: u64,
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) generation_tokens: u64,
    pub(super) stopped: u64,
    pub(super) at_length: u64,
    /// Sequences whose reader left. vLLM 0.32 does not count these: its `abort` stays 0.
    pub(super) aborted: u64,
    pub(super) request_prompt_tokens: Histogram,
    pub(super) request_generation_tokens: Histogram,
    pub(super) iteration_tokens: Histogram,
    pub(super) request_max_generation_tokens: Histogram,
    pub(super) request_n: Histogram,
    pub(super) request_max_tokens: Histogram,
    pub(super) ttft: Histogram,
    pub(super) itl: Histogram,
    pub(super) tpot: Histogram,
    pub(super) e2e: Histogram,
    pub(super) queue: Histogram,
    pub(super) inference: Histogram,
    pub(super) prefill: Histogram,
    pub(super) decode: Histogram,
    pub(super) request_preemptions: Histogram,
    pub(super) request_computed_tokens: Histogram,
}

impl EngineMetrics {
    pub(crate) fn new() -> Self {
        let count = Histogram::new(&COUNT_BOUNDS);
        let token_time = Histogram::new(&TOKEN_TIME_BOUNDS);
        let latency = Histogram::new(&LATENCY_BOUNDS);
        EngineMetrics {
            running: 0,
            waiting: 0,
            kv_usage: 0.0,
            prefix_queries: 0,
            prefix_hits: 0,
            preemptions: 0,
            prompt_tokens: 0,
            cached_tokens: 0,
            generation_tokens: 0,
            stopped: 0,
            at_length: 0,
            aborted: 0,
            request_prompt_tokens: count.clone(),
            request_generation_tokens: count.clone(),
            iteration_tokens: Histogram::new(&ITERATION_BOUNDS),
            request_max_generation_tokens: count.clone(),
            request_n: Histogram::new(&N_BOUNDS),
            request_max_tokens: count.clone(),
            ttft: Histogram::new(&TTFT_BOUNDS),
            itl: token_time.clone(),
            tpot: token_time,
            e2e: latency.clone(),
            queue: latency.clone(),
            inference: latency.clone(),
            prefill: latency.clone(),
            decode: latency,
            request_preemptions: Histogram::new(&PREEMPTION_BOUNDS),
            request_computed_tokens: count,
        }
    }

    /// Takes over the engine's levels.
    pub(crate) fn levels(&mut self, engine: &Engine) {
        self.running = engine.running();
        self.waiting = engine.waiting();
        self.kv_usage = engine.kv_usage();
    }

    /// Accounts for a step that is over.
    pub(crate) fn step(&mut self, outcome: &StepOutcome, engine: &Engine) {
        self.levels(engine);
        self.prefix_queries += outcome.prefix_queries;
        self.prefix_hits += outcome.prefix_hits;
        self.preemptions += outcome.preemptions;
        self.generation_tokens += outcome.tokens.len() as u64;
        let mut computed = 0;
        for output in &outcome.tokens {
            match output.kind {
                Kind::First { latency, prompt_tokens, cached_tokens, .. } => {
                    self.prompt_tokens += u64::from(prompt_tokens);
                    self.cached_tokens += u64::from(cached_tokens);
                    computed += u64::from(prompt_tokens - cached_tokens);
                    self.ttft.observe_time(latency);
                }
                Kind::Later { gap } => self.itl.observe_time(gap),
            }
        }
        // Prompt tokens count in the step that ends the prefill, as in vLLM.
        self.iteration_tokens.observe((outcome.tokens.len() as u64 + computed) as f64);
    }

    /// Accounts for a sequence that ended.
    pub(crate) fn finished(&mut self, finish: &Finish) {
        match finish.reason {
            FinishReason::Abort => {
                self.aborted += 1;
                return;
            }
            FinishReason::Stop => self.stopped += 1,
            FinishReason::Length => self.at_length += 1,
        }
        self.request_prompt_tokens.observe(f64::from(finish.prompt_tokens));
        self.request_generation_tokens.observe(f64::from(finish.output_tokens));
        self.request_max_tokens.observe(f64::from(finish.max_tokens));
        self.request_preemptions.observe(f64::from(finish.preemptions));
        let computed = finish.prompt_tokens - finish.cached_tokens;
        self.request_computed_tokens.observe(f64::from(computed));
        let times = &finish.times;
        let (Some(scheduled), Some(first), Some(last)) =
            (times.scheduled_at, times.first_token_at, times.last_token_at)
        else {
            return;
        };
        self.e2e.observe_time(last.saturating_sub(times.arrived_at));
        self.queue.observe_time(scheduled.saturating_sub(times.arrived_at));
        self.inference.observe_time(last.saturating_sub(scheduled));
        self.prefill.observe_time(first.saturating_sub(scheduled));
        self.decode.observe_time(last.saturating_sub(first));
        let gaps = finish.output_tokens.saturating_sub(1);
        let tpot = if gaps == 0 {
            0.0
        } else {
            last.saturating_sub(first).as_secs_f64() / f64::from(gaps)
        };
        self.tpot.observe(tpot);
    }

    /// Accounts for a request all of whose sequences ended.
    pub(crate) fn request_finished(&mut self, sequences: u32, longest: u32) {
        self.request_n.observe(f64::from(sequences));
        self.request_max_generation_tokens.observe(f64::from(longest));
    }
}
