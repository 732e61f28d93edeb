//! The whole answer of `/v1/completions`, server side.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nullable::{Nullable, present};
use crate::usage::{AnswerHead, ServerMetrics, Usage};

/// The whole answer. vLLM writes null for whatever was not asked for:
/// [`Completion::new`] does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// Unique.
    pub id: String,
    /// `text_completion`.
    pub object: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The served model's name.
    pub model: String,
    /// The answers, `n` for each prompt.
    pub choices: Vec<CompletionChoice>,
    /// Null in vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub service_tier: Nullable<String>,
    /// The server's version and configuration.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub system_fingerprint: Nullable<String>,
    /// Token counts of all choices together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Null but between prefill and decode servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub kv_transfer_params: Nullable<Value>,
    /// Null but between encoder servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub ec_transfer_params: Nullable<Value>,
    /// Null without `--enable-per-request-metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub metrics: Nullable<ServerMetrics>,
}

/// One choice of a [`Completion`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CompletionChoice {
    /// Which choice.
    pub index: u32,
    /// The continuation; with `echo` it begins with the prompt.
    pub text: String,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub logprobs: Nullable<Value>,
    /// `stop` or `length`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub finish_reason: Nullable<String>,
    /// The text or token id that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub stop_reason: Nullable<Value>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub token_ids: Nullable<Vec<u32>>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_logprobs: Nullable<Value>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_token_ids: Nullable<Vec<u32>>,
    /// Null but for mixture-of-experts replay.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub routed_experts: Nullable<Value>,
}

impl CompletionChoice {
    /// A finished choice; the rest is null as in vLLM.
    pub fn new(index: u32, text: impl Into<String>, finish_reason: impl Into<String>) -> Self {
        Self {
            index,
            text: text.into(),
            logprobs: Some(None),
            finish_reason: Some(Some(finish_reason.into())),
            stop_reason: Some(None),
            token_ids: Some(None),
            prompt_logprobs: Some(None),
            prompt_token_ids: Some(None),
            routed_experts: Some(None),
        }
    }
}

impl Completion {
    /// An answer as vLLM writes it; what was not asked for is null.
    pub fn new(head: &AnswerHead, choices: Vec<CompletionChoice>, usage: Usage) -> Self {
        Self {
            id: head.id.clone(),
            object: "text_completion".to_owned(),
            created: head.created,
            model: head.model.clone(),
            choices,
            service_tier: Some(None),
            system_fingerprint: Some(None),
            usage: Some(usage.with_nulls()),
            kv_transfer_params: Some(None),
            ec_transfer_params: Some(None),
            metrics: Some(None),
        }
    }
}
