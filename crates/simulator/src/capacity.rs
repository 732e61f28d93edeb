//! What a simulated server can hold, computed from its cost model: what a measured capacity is held against.
//!
//! All of it counts steps. A request is in one step that computes its prompt and brings its first
//! token, and then in one step for each of its other tokens, so in as many steps as its answer has tokens.
//! The work of a step is linear, so that its mean time is the time of its mean work, and jitter, whose mean is
//! nothing, drops out. Left out is what the formulas cannot know: prompts that straddle two steps, preemptions
//! (there are none where the cache holds every seat's longest context), the prefix cache.

use std::time::Duration;

use crate::config::SimulatorConfig;

/// Requests that are alike: their mean lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// Tokens of a prompt.
    pub prompt_tokens: f64,
    /// Mean number of tokens of an answer.
    pub output_tokens: f64,
    /// Mean of its square; the square of the mean where all answers are equally long.
    pub output_tokens_squared: f64,
}

impl Workload {
    /// Prompts and answers of the same length each.
    pub fn fixed(prompt_tokens: u32, output_tokens: u32) -> Self {
        let output_tokens = f64::from(output_tokens);
        Workload {
            prompt_tokens: f64::from(prompt_tokens),
            output_tokens,
            output_tokens_squared: output_tokens * output_tokens,
        }
    }

    /// Answers that end by themselves, as long as the server's [`AnswerLength`](crate::AnswerLength)
    /// makes them: log-normal, whose mean square is mean² · exp(spread²).
    pub fn answering(prompt_tokens: f64, config: &SimulatorConfig) -> Self {
        let (mean, spread) = (config.answer.mean_tokens, config.answer.spread);
        Workload {
            prompt_tokens,
            output_tokens: mean,
            output_tokens_squared: mean * mean * (spread * spread).exp(),
        }
    }

    /// Tokens of context that a request reads in all its steps: the prompt's first, then one more
    /// each time, so Σ (P + i) over i from 0 to O − 1.
    fn context_read(&self) -> f64 {
        let (p, o, o2) = (self.prompt_tokens, self.output_tokens, self.output_tokens_squared);
        o * p + (o2 - o) / 2.0
    }

    /// Seconds that a request adds to all its steps together: its prompt once, its decode steps,
    /// its context in each.
    fn work_s(&self, config: &SimulatorConfig) -> f64 {
        let cost = &config.cost;
        self.prompt_tokens * cost.per_prefill_token.as_secs_f64()
            + (self.output_tokens - 1.0) * cost.per_decode_sequence.as_secs_f64()
            + self.context_read() * cost.per_kv_token.as_secs_f64()
    }
}

/// The highest rate of requests that the server can keep up with for ever, a second.
///
/// At that rate every seat is taken in every step, and whoever leaves is replaced at once. A request
/// holds its seat for O steps, so S seats bring r = S / O requests a step; the step takes T = base + r · w,
/// with w the time that one request adds to all its steps together. The rate is r / T. Where the tokens of
/// such a step, r · (P + O − 1), are more than it may have, that bounds r instead.
pub fn largest_rate(config: &SimulatorConfig, load: &Workload) -> f64 {
    let by_seats = f64::from(config.max_num_seqs) / load.output_tokens;
    let tokens = load.prompt_tokens + load.output_tokens - 1.0;
    let by_budget = f64::from(config.max_num_batched_tokens) / tokens;
    let per_step = by_seats.min(by_budget);
    per_step / (config.cost.base.as_secs_f64() + per_step * load.work_s(config))
}

/// The mean TPOT of `users` who each send their next request when they have the answer to the last.
///
/// A user's cycle has O steps, and one more: the next request arrives while the step after the answer's last
/// is under way, and waits for its end. So each of the other N − 1 users is, at any step of mine, in
/// its prefill with probability 1 / (O + 1), and adds w / (O + 1) on average. My own decode step adds one
/// sequence and its context. TPOT is the mean time of my decode steps:
/// base + (N − 1) · w / (O + 1) + one decode sequence + its mean context. Holds as long as there is a seat
/// for every user and users are spread over their cycles.
pub fn mean_tpot(config: &SimulatorConfig, load: &Workload, users: u32) -> Duration {
    let others = f64::from(users.saturating_sub(1));
    let cost = &config.cost;
    let own_context = load.context_read() / load.output_tokens;
    let step = cost.base.as_secs_f64()
        + others * load.work_s(config) / (load.output_tokens + 1.0)
        + cost.per_decode_sequence.as_secs_f64()
        + own_context * cost.per_kv_token.as_secs_f64();
    Duration::from_secs_f64(step)
}

/// The most users at once whose [`mean_tpot`] is at most `limit`; `None` when a single one's is not.
/// Never more than there are seats.
pub fn largest_concurrency(
    config: &SimulatorConfig,
    load: &Workload,
    limit: Duration,
) -> Option<u32> {
    let holds = |users: &u32| mean_tpot(config, load, *users) <= limit;
    // The model is linear in users, but a search needs no inversion that could round.
    (1..=config.max_num_seqs).take_while(holds).last()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::engine::{Engine, Kind, NewSequence};

    fn config(seats: u32) -> SimulatorConfig {
        SimulatorConfig { max_num_seqs: seats, prefix_caching: false, ..SimulatorConfig::default() }
    }

    fn sequence(id: u64, prompt: u32, answer: u32) -> NewSequence {
        let first = id as u32 * 1000;
        NewSequence {
            id,
            prompt: (first..first + prompt).collect::<Vec<_>>().into(),
            cache_salt: None,
            max_tokens: answer,
            ignore_eos: true,
            answer: Box::new(std::iter::repeat(7)),
        }
    }

    /// Answers between half and one and a half times `mean`.
    fn length(rng: &mut ChaCha8Rng, mean: u32) -> u32 {
        rng.random_range(mean / 2..=mean + mean / 2)
    }

    fn even(prompt: u32, mean: u32) -> Workload {
        let (mean, spread) = (f64::from(mean), f64::from(mean));
        Workload {
            prompt_tokens: f64::from(prompt),
            output_tokens: mean,
            output_tokens_squared: mean * mean + spread * spread / 12.0,
        }
    }

    #[test]
    fn a_full_engine_completes_what_is_computed() {
        for (seats, prompt, answer) in [(16, 300, 80), (32, 400, 64), (64, 100, 40)] {
            let config = config(seats);
            let mut engine = Engine::new(&config);
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let (mut now, mut id, mut completed, mut begun) =
                (Duration::ZERO, 0, 0, Duration::ZERO);
            while completed < 6_000 {
                while engine.waiting() < 4 {
                    engine.add(sequence(id, prompt, length(&mut rng, answer)), now);
                    id += 1;
                }
                let step = engine.step(now).expect("there is always work");
                now = step.ends_at;
                let ended = step.tokens.iter().filter(|t| t.finish.is_some()).count();
                // The first thousand fill the engine.
                if completed < 1_000 && completed + ended >= 1_000 {
                    begun = now;
                }
                completed += ended;
            }
            let found = f64::from((completed - 1_000) as u32) / (now - begun).as_secs_f64();
            let computed = largest_rate(&config, &even(prompt, answer));
            assert!((found / computed - 1.0).abs() < 0.02, "{seats}: {found} for {computed}");
        }
    }

    #[test]
    fn users_who_wait_for_their_answers_have_the_computed_tpot() {
        for users in [1, 4, 16, 48] {
            let (config, prompt, answer) = (config(64), 300, 80);
            let mut engine = Engine::new(&config);
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            let (mut now, mut id) = (Duration::ZERO, 0);
            let (mut first, mut tpots, mut arriving) = (HashMap::new(), Vec::new(), users);
            while tpots.len() < 4_000 {
                // Who had the last token of the step before has sent the next request during this one.
                let arrived = std::mem::take(&mut arriving);
                let step = engine.step(now);
                for _ in 0..arrived {
                    engine.add(sequence(id, prompt, length(&mut rng, answer)), now);
                    id += 1;
                }
                let Some(step) = step else { continue };
                now = step.ends_at;
                for token in &step.tokens {
                    if matches!(token.kind, Kind::First { .. }) {
                        first.insert(token.id, now);
                    }
                    if let Some(finish) = &token.finish {
                        arriving += 1;
                        let took = now - first[&token.id];
                        let gaps = finish.output_tokens.saturating_sub(1).max(1);
                        tpots.push(took.as_secs_f64() / f64::from(gaps));
                    }
                }
            }
            let settled = &tpots[500..];
            let found = settled.iter().sum::<f64>() / settled.len() as f64;
            let computed = mean_tpot(&config, &even(prompt, answer), users).as_secs_f64();
            assert!((found / computed - 1.0).abs() < 0.02, "{users}: {found} for {computed}");
        }
    }

    #[test]
    fn more_users_take_longer_and_the_limit_is_kept() {
        let (config, load) = (config(64), Workload::fixed(300, 80));
        let limit = Duration::from_millis(14);
        let most = largest_concurrency(&config, &load, limit).expect("one holds");
        assert!(mean_tpot(&config, &load, most) <= limit);
        assert!(mean_tpot(&config, &load, most + 1) > limit);
        assert_eq!(largest_concurrency(&config, &load, Duration::from_millis(1)), None);
        assert_eq!(largest_concurrency(&config, &load, Duration::from_secs(9)), Some(64));
        // A step of at most 2,048 tokens takes no more than 2,048 / (2,000 + 9) of such requests.
        let long = Workload::fixed(2_000, 10);
        let per_step = 2_048.0 / 2_009.0;
        let work = 2_000.0 * 40e-6 + 9.0 * 30e-6 + (20_000.0 + 45.0) * 60e-9;
        let computed = per_step / (8e-3 + per_step * work);
        assert!((largest_rate(&config, &long) / computed - 1.0).abs() < 1e-9);
    }
}
