//! What an answer tells about itself: token counts, the server's own times, its head.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nullable::{Nullable, present};

/// `usage`: token counts of one answer, all its choices together. In a chunk
/// with choices (`continuous_usage_stats`) it is the running usage of that choice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, chat template included.
    pub prompt_tokens: u32,
    /// Prompt and generated tokens.
    pub total_tokens: u32,
    /// Generated tokens, end-of-sequence included.
    pub completion_tokens: u32,
    /// Where the prompt's tokens came from (vLLM `--enable-prompt-tokens-details`).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_tokens_details: Nullable<PromptTokensDetails>,
    /// Kept as it came; vLLM writes null.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub completion_tokens_details: Nullable<Value>,
}

impl Usage {
    /// Counts only.
    pub fn new(prompt_tokens: u32, completion_tokens: u32) -> Self {
        Self {
            prompt_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            completion_tokens,
            ..Self::default()
        }
    }

    /// The same with null for what is not told, as vLLM writes whole answers.
    pub(crate) fn with_nulls(mut self) -> Self {
        let details = self.prompt_tokens_details.get_or_insert(None);
        if let Some(details) = details {
            details.created_cache_tokens.get_or_insert(None);
            details.multimodal_tokens.get_or_insert(None);
        }
        self.completion_tokens_details.get_or_insert(None);
        self
    }

    /// `prompt_tokens_details.cached_tokens`; `None` is unknown, not 0.
    pub fn cached_tokens(&self) -> Option<u32> {
        self.prompt_tokens_details.as_ref()?.as_ref()?.cached_tokens
    }
}

/// `usage.prompt_tokens_details`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PromptTokensDetails {
    /// Tokens found in the prefix cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u32>,
    /// Tokens that this request put into the prefix cache (chat).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub created_cache_tokens: Nullable<u32>,
    /// Tokens of images and sound.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub multimodal_tokens: Nullable<u32>,
}

/// `metrics`: the server's own times of one request (vLLM
/// `--enable-per-request-metrics`), milliseconds. `None` is not told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerMetrics {
    /// Arrival to first token, queueing included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<f64>,
    /// First to last token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_time_ms: Option<f64>,
    /// Arrival to first scheduling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_time_ms: Option<f64>,
    /// Mean time between tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_itl_ms: Option<f64>,
    /// Generated tokens per second of the whole request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Kept as it came; vLLM writes null in whole answers and nothing in streams.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub speculative_decoding: Nullable<Value>,
}

/// What every chunk and answer of one request has in common (server side).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// `chatcmpl-…` or `cmpl-…`.
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The served model's name.
    pub model: String,
}
