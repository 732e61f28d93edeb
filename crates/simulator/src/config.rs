//! What a simulated server is: its model, engine limits, speed, switches and faults.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::cost::CostModel;
use crate::error::SimulatorError;
use crate::faults::FaultRule;

/// Settings of a simulated server. `Default` is a 7B model on one data-centre GPU; every field can be
/// set from TOML, and an unknown key is an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorConfig {
    /// Name that `/v1/models` lists and that requests must give.
    pub model: String,
    /// Most tokens of prompt and answer together.
    pub max_model_len: u32,
    /// Tokens a KV-cache block holds.
    pub block_size: u32,
    /// KV-cache blocks, one of them the null block that is never handed out (as in vLLM).
    pub num_blocks: u32,
    /// Most sequences in one step.
    pub max_num_seqs: u32,
    /// Most tokens in one step, prefill and decode together.
    pub max_num_batched_tokens: u32,
    /// Whether finished blocks are found again by their content.
    pub prefix_caching: bool,
    /// How long a step takes.
    pub cost: CostModel,
    /// How long answers are that are not told to ignore the end of sequence.
    pub answer: AnswerLength,
    /// `usage.prompt_tokens_details` in answers (vLLM's `--enable-prompt-tokens-details`).
    pub prompt_tokens_details: bool,
    /// `metrics` in answers (vLLM's `--enable-per-request-metrics`).
    pub per_request_metrics: bool,
    /// `X-Request-Id` in answers (vLLM's `--enable-request-id-headers`).
    pub request_id_headers: bool,
    /// Tool calls (vLLM's `--enable-auto-tool-choice --tool-call-parser`).
    pub tool_calls: bool,
    /// Seed of answers that a request gives no seed for.
    pub seed: u64,
    /// Key that `/v1` asks for; none means that no key is needed.
    pub api_key: Option<ApiKey>,
    /// How long a connection may be idle after an answer (vLLM's `VLLM_HTTP_TIMEOUT_KEEP_ALIVE`).
    #[serde(deserialize_with = "duration")]
    pub keep_alive: Duration,
    /// Deliberate misbehaviour, for tests of clients; the first rule that fits a request wins.
    pub faults: Vec<FaultRule>,
    /// Threads that serve connections; none means at most two.
    pub worker_threads: Option<usize>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        SimulatorConfig {
            model: "simulated".into(),
            max_model_len: 8192,
            block_size: 16,
            num_blocks: 8192,
            max_num_seqs: 256,
            max_num_batched_tokens: 2048,
            prefix_caching: true,
            cost: CostModel::default(),
            answer: AnswerLength::default(),
            prompt_tokens_details: true,
            per_request_metrics: true,
            request_id_headers: false,
            tool_calls: false,
            seed: 0,
            api_key: None,
            keep_alive: Duration::from_secs(5),
            faults: Vec::new(),
            worker_threads: None,
        }
    }
}

impl SimulatorConfig {
    /// Refuses settings under which a request could wait for ever, as vLLM does at its start.
    ///
    /// # Errors
    /// [`SimulatorError::Config`], naming the key and what it must be.
    pub fn check(&self) -> Result<(), SimulatorError> {
        let wrong =
            |key: &'static str, problem: String| Err(SimulatorError::Config { key, problem });
        for (key, value) in [
            ("max_model_len", self.max_model_len),
            ("block_size", self.block_size),
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
        ] {
            if value == 0 {
                return wrong(key, "must be at least 1".into());
            }
        }
        if self.model.is_empty() {
            return wrong("model", "must not be empty".into());
        }
        if self.worker_threads == Some(0) {
            return wrong("worker_threads", "must be at least 1".into());
        }
        let capacity = u64::from(self.num_blocks.saturating_sub(1)) * u64::from(self.block_size);
        if capacity < u64::from(self.max_model_len) {
            return wrong(
                "num_blocks",
                format!(
                    "{} blocks of {} tokens hold {capacity} tokens (one block is the null block), \
                     fewer than max_model_len = {}",
                    self.num_blocks, self.block_size, self.max_model_len
                ),
            );
        }
        if self.max_num_batched_tokens < self.max_num_seqs {
            return wrong(
                "max_num_batched_tokens",
                format!(
                    "{} is fewer than max_num_seqs = {}: a full batch could not decode",
                    self.max_num_batched_tokens, self.max_num_seqs
                ),
            );
        }
        self.answer.check()?;
        self.cost.check()
    }
}

/// Lengths of answers that end by themselves: log-normal, at least one token.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerLength {
    /// Mean number of tokens, the end-of-sequence token included.
    pub mean_tokens: f64,
    /// Standard deviation of the logarithm; 0 makes every answer `mean_tokens` long.
    pub spread: f64,
}

impl Default for AnswerLength {
    fn default() -> Self {
        AnswerLength { mean_tokens: 180.0, spread: 0.5 }
    }
}

impl AnswerLength {
    fn check(&self) -> Result<(), SimulatorError> {
        if !(self.mean_tokens >= 1.0 && self.mean_tokens.is_finite()) {
            let problem = format!("must be a number of at least 1, not {}", self.mean_tokens);
            return Err(SimulatorError::Config { key: "answer.mean_tokens", problem });
        }
        if !(0.0..=3.0).contains(&self.spread) {
            let problem = format!("must be between 0 and 3, not {}", self.spread);
            return Err(SimulatorError::Config { key: "answer.spread", problem });
        }
        Ok(())
    }
}

/// A key that never shows in debug output.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Whether an `Authorization` header value carries this key as a bearer token.
    pub(crate) fn accepts(&self, authorization: Option<&[u8]>) -> bool {
        let Some((scheme, key)) = authorization
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|value| value.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && key == self.0
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        ApiKey(key.to_owned())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// A duration written as people write it: `"8ms"`, `"40us"`, `"2s"`.
pub(crate) fn duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map_err(|problem| {
        serde::de::Error::custom(format!("{text:?} is not a duration such as \"8ms\": {problem}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_sound() {
        SimulatorConfig::default().check().expect("the defaults are sound");
    }

    #[test]
    fn a_cache_smaller_than_the_longest_request_is_refused() {
        let config = SimulatorConfig { num_blocks: 512, ..SimulatorConfig::default() };
        let problem = config.check().expect_err("511 * 16 < 8192").to_string();
        assert!(problem.contains("num_blocks") && problem.contains("8176"), "{problem}");
    }

    #[test]
    fn the_key_is_a_bearer_token_and_is_never_printed() {
        let key = ApiKey::from("secret");
        assert!(key.accepts(Some(b"Bearer secret")) && key.accepts(Some(b"bearer secret")));
        assert!(!key.accepts(Some(b"Bearer wrong")) && !key.accepts(Some(b"secret")));
        assert!(!key.accepts(None));
        assert!(!format!("{key:?}").contains("secret"));
    }
}
