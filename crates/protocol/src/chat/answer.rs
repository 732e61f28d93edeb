//! The whole answer of `/v1/chat/completions`, server side.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tool::ToolCall;
use crate::message::Role;
use crate::nullable::{Nullable, present};
use crate::usage::{AnswerHead, ServerMetrics, Usage};

/// The whole answer. vLLM writes null for whatever was not asked for:
/// [`ChatCompletion::new`] does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatCompletion {
    /// Unique.
    pub id: String,
    /// `chat.completion`.
    pub object: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The served model's name.
    pub model: String,
    /// The answers, `n` of them.
    pub choices: Vec<ChatChoice>,
    /// Null in vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub service_tier: Nullable<String>,
    /// The server's version and configuration.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub system_fingerprint: Nullable<String>,
    /// Token counts of all choices together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_logprobs: Nullable<Value>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_token_ids: Nullable<Vec<u32>>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_text: Nullable<String>,
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

/// One choice of a [`ChatCompletion`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChatChoice {
    /// Which choice.
    pub index: u32,
    /// What the model said.
    pub message: AssistantMessage,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub logprobs: Nullable<Value>,
    /// `stop`, `length`, `tool_calls`, ….
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub finish_reason: Nullable<String>,
    /// The text or token id that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub stop_reason: Nullable<Value>,
    /// Null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub token_ids: Nullable<Vec<u32>>,
    /// Null but for mixture-of-experts replay.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub routed_experts: Nullable<Value>,
}

/// What the model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// `assistant`.
    pub role: Role,
    /// Text; null beside tool calls.
    pub content: Option<String>,
    /// Null in vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub refusal: Nullable<String>,
    /// Null in vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub annotations: Nullable<Value>,
    /// Null in vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub audio: Nullable<Value>,
    /// Null in vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub function_call: Nullable<Value>,
    /// Absent when the model calls none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// Null without a reasoning parser.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reasoning: Nullable<String>,
    /// Reasoning text, as older servers call it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reasoning_content: Nullable<String>,
}

impl Default for AssistantMessage {
    /// A message as vLLM writes it, without content yet.
    fn default() -> Self {
        Self {
            role: Role::Assistant,
            content: None,
            refusal: Some(None),
            annotations: Some(None),
            audio: Some(None),
            function_call: Some(None),
            tool_calls: None,
            reasoning: Some(None),
            reasoning_content: None,
        }
    }
}

impl ChatChoice {
    /// A finished choice; the rest is null as in vLLM.
    pub fn new(index: u32, content: impl Into<String>, finish_reason: impl Into<String>) -> Self {
        Self {
            index,
            message: AssistantMessage { content: Some(content.into()), ..Default::default() },
            logprobs: Some(None),
            finish_reason: Some(Some(finish_reason.into())),
            stop_reason: Some(None),
            token_ids: Some(None),
            routed_experts: Some(None),
        }
    }
}

impl ChatCompletion {
    /// An answer as vLLM writes it; what was not asked for is null.
    pub fn new(head: &AnswerHead, choices: Vec<ChatChoice>, usage: Usage) -> Self {
        Self {
            id: head.id.clone(),
            object: "chat.completion".to_owned(),
            created: head.created,
            model: head.model.clone(),
            choices,
            service_tier: Some(None),
            system_fingerprint: Some(None),
            usage: Some(usage.with_nulls()),
            prompt_logprobs: Some(None),
            prompt_token_ids: Some(None),
            prompt_text: Some(None),
            kv_transfer_params: Some(None),
            ec_transfer_params: Some(None),
            metrics: Some(None),
        }
    }
}
