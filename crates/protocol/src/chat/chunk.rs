//! One streamed event of `/v1/chat/completions`, server side.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tool::ToolCall;
use crate::message::Role;
use crate::nullable::{Nullable, present};
use crate::usage::{AnswerHead, ServerMetrics, Usage};

/// One streamed event. Which keys are absent and which are null differs from
/// chunk to chunk in vLLM: use the constructors to write them its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatChunk {
    /// The same in all chunks of an answer.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The served model's name.
    pub model: String,
    /// One choice in vLLM; none in the usage chunk.
    pub choices: Vec<ChatChoiceChunk>,
    /// The running usage, or in a chunk without choices the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// In the opening chunk; null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_token_ids: Nullable<Vec<u32>>,
    /// In the opening chunk; null.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_text: Nullable<String>,
    /// In the last chunk only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub system_fingerprint: Nullable<String>,
    /// In the usage chunk, with `--enable-per-request-metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<ServerMetrics>,
}

/// One choice of a [`ChatChunk`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChatChoiceChunk {
    /// Which choice.
    pub index: u32,
    /// What is new.
    pub delta: ChatDelta,
    /// Kept as it came; null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub logprobs: Nullable<Value>,
    /// `stop`, `length`, `tool_calls`, …; null until the end.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub finish_reason: Nullable<String>,
    /// The text or token id that stopped it; only beside a finish reason.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub stop_reason: Nullable<Value>,
    /// The ids of the new tokens; null unless asked for, absent in the opening chunk.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub token_ids: Nullable<Vec<u32>>,
}

/// What is new in a choice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChatDelta {
    /// In the opening chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Text; null beside tool calls, absent in a bare end.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub content: Nullable<String>,
    /// Reasoning text.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reasoning: Nullable<String>,
    /// Reasoning text, as older servers call it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub reasoning_content: Nullable<String>,
    /// Pieces of tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
}

impl ChatChunk {
    fn of(head: &AnswerHead, choices: Vec<ChatChoiceChunk>) -> Self {
        Self {
            id: head.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: head.created,
            model: head.model.clone(),
            choices,
            usage: None,
            prompt_token_ids: None,
            prompt_text: None,
            system_fingerprint: None,
            metrics: None,
        }
    }

    /// The chunk that opens choice `index`: its role and empty text, before
    /// any token. `prompt_token_ids` when `return_token_ids` was asked for.
    pub fn opening(head: &AnswerHead, index: u32, prompt_token_ids: Option<Vec<u32>>) -> Self {
        let choice = ChatChoiceChunk {
            index,
            delta: ChatDelta {
                role: Some(Role::Assistant),
                content: Some(Some(String::new())),
                ..ChatDelta::default()
            },
            logprobs: Some(None),
            finish_reason: Some(None),
            ..ChatChoiceChunk::default()
        };
        Self {
            prompt_token_ids: Some(prompt_token_ids),
            prompt_text: Some(None),
            ..Self::of(head, vec![choice])
        }
    }

    /// New text of choice `index`, which may be empty (a token that completes
    /// no character). `token_ids` when asked for.
    pub fn content(
        head: &AnswerHead,
        index: u32,
        text: impl Into<String>,
        token_ids: Option<Vec<u32>>,
    ) -> Self {
        let delta = ChatDelta { content: Some(Some(text.into())), ..ChatDelta::default() };
        Self::delta(head, index, delta, token_ids)
    }

    /// Anything new of choice `index`.
    pub fn delta(
        head: &AnswerHead,
        index: u32,
        delta: ChatDelta,
        token_ids: Option<Vec<u32>>,
    ) -> Self {
        let choice = ChatChoiceChunk {
            index,
            delta,
            logprobs: Some(None),
            finish_reason: Some(None),
            stop_reason: None,
            token_ids: Some(token_ids),
        };
        Self::of(head, vec![choice])
    }

    /// Ends the choice of this chunk.
    #[must_use]
    pub fn finished(mut self, reason: impl Into<String>, stop_reason: Option<Value>) -> Self {
        if let Some(choice) = self.choices.first_mut() {
            choice.finish_reason = Some(Some(reason.into()));
            choice.stop_reason = Some(stop_reason);
        }
        self
    }

    /// The running usage of this chunk's choice (`continuous_usage_stats`).
    #[must_use]
    pub fn with_running_usage(mut self, prompt_tokens: u32, completion_tokens: u32) -> Self {
        self.usage = Some(Usage {
            completion_tokens_details: Some(None),
            ..Usage::new(prompt_tokens, completion_tokens)
        });
        self
    }

    /// The fingerprint: vLLM writes it into the usage chunk, or into the
    /// finishing chunk of a stream without usage.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: impl Into<String>) -> Self {
        self.system_fingerprint = Some(Some(fingerprint.into()));
        self
    }

    /// The last chunk of a stream with `include_usage`: no choices, the whole usage.
    pub fn usage(head: &AnswerHead, usage: Usage, metrics: Option<ServerMetrics>) -> Self {
        Self { usage: Some(usage), metrics, ..Self::of(head, Vec::new()) }
    }
}
