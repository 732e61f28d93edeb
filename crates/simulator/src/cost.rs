//! How long a step takes: a linear model of the work in it.

use std::time::Duration;

use rand::Rng;
use serde::Deserialize;

use crate::config::duration;
use crate::error::SimulatorError;

/// Time of one step = `base` + prefill tokens × `per_prefill_token` + decoding sequences ×
/// `per_decode_sequence` + KV tokens read × `per_kv_token`, then × (1 ± `jitter`).
///
/// The base stands for reading the weights, which a decode step is bound by; prefill is bound by
/// arithmetic; attention reads the whole context of every sequence in the batch.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct CostModel {
    /// Time of a step with nothing in it.
    #[serde(deserialize_with = "duration")]
    pub base: Duration,
    /// Time a prompt token adds.
    #[serde(deserialize_with = "duration")]
    pub per_prefill_token: Duration,
    /// Time a sequence adds that generates one token.
    #[serde(deserialize_with = "duration")]
    pub per_decode_sequence: Duration,
    /// Time a token of context adds.
    #[serde(deserialize_with = "duration")]
    pub per_kv_token: Duration,
    /// Largest relative deviation of a step, drawn evenly from the server's seed; 0 makes steps exact.
    pub jitter: f64,
}

impl Default for CostModel {
    fn default() -> Self {
        CostModel {
            base: Duration::from_micros(8_000),
            per_prefill_token: Duration::from_micros(40),
            per_decode_sequence: Duration::from_micros(30),
            per_kv_token: Duration::from_nanos(60),
            jitter: 0.02,
        }
    }
}

impl CostModel {
    /// Time that this work takes, before jitter.
    pub fn time_of(&self, work: &StepWork) -> Duration {
        self.base
            + times(self.per_prefill_token, work.prefill_tokens)
            + times(self.per_decode_sequence, work.decode_sequences)
            + times(self.per_kv_token, work.kv_tokens)
    }

    /// Time that this work takes with a deviation drawn from `rng`; none is drawn without jitter.
    pub(crate) fn jittered(&self, work: &StepWork, rng: &mut impl Rng) -> Duration {
        let exact = self.time_of(work);
        if self.jitter == 0.0 {
            return exact;
        }
        exact.mul_f64(1.0 + self.jitter * rng.random_range(-1.0..=1.0))
    }

    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        if (0.0..1.0).contains(&self.jitter) {
            return Ok(());
        }
        let problem = format!("must be at least 0 and below 1, not {}", self.jitter);
        Err(SimulatorError::Config { key: "cost.jitter", problem })
    }
}

/// The work of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepWork {
    /// Prompt tokens computed (and output tokens computed again after a preemption).
    pub prefill_tokens: u64,
    /// Sequences that compute only their newest token.
    pub decode_sequences: u64,
    /// Tokens of context, over all sequences of the step.
    pub kv_tokens: u64,
}

fn times(unit: Duration, count: u64) -> Duration {
    let nanos = unit.as_nanos().saturating_mul(u128::from(count));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_costs_the_sum_of_its_parts() {
        let cost = CostModel { jitter: 0.0, ..CostModel::default() };
        let work = StepWork { prefill_tokens: 1000, decode_sequences: 10, kv_tokens: 20_000 };
        assert_eq!(cost.time_of(&work), Duration::from_micros(8_000 + 40_000 + 300 + 1_200));
    }
}
