//! One streamed event of `/v1/completions`, server side.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::nullable::{Nullable, present};
use crate::usage::{AnswerHead, ServerMetrics, Usage};

/// One streamed event. There is no opening chunk: the first carries a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompletionChunk {
    /// The same in all chunks of an answer.
    pub id: String,
    /// `text_completion`.
    pub object: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The served model's name.
    pub model: String,
    /// One choice in vLLM; none in the usage chunk.
    pub choices: Vec<CompletionChoiceChunk>,
    /// The running usage, or in a chunk without choices the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// In the last chunk only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub system_fingerprint: Nullable<String>,
    /// In the usage chunk, with `--enable-per-request-metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<ServerMetrics>,
}

/// One choice of a [`CompletionChunk`]. With several prompts, choice
/// `prompt × n + i`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CompletionChoiceChunk {
    /// Which choice.
    pub index: u32,
    /// New text; with `echo` the first chunk's begins with the prompt.
    pub text: String,
    /// Kept as it came; null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub logprobs: Nullable<Value>,
    /// `stop` or `length`; null until the end.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub finish_reason: Nullable<String>,
    /// The text or token id that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub stop_reason: Nullable<Value>,
    /// In the first chunk when asked for or with `echo`; null else.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub prompt_token_ids: Nullable<Vec<u32>>,
    /// The ids of the new tokens; null unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub token_ids: Nullable<Vec<u32>>,
}

impl CompletionChunk {
    fn of(head: &AnswerHead, choices: Vec<CompletionChoiceChunk>) -> Self {
        Self {
            id: head.id.clone(),
            object: "text_completion".to_owned(),
            created: head.created,
            model: head.model.clone(),
            choices,
            usage: None,
            system_fingerprint: None,
            metrics: None,
        }
    }

    /// New text of choice `index`, which may be empty. `token_ids` when asked for.
    pub fn content(
        head: &AnswerHead,
        index: u32,
        text: impl Into<String>,
        token_ids: Option<Vec<u32>>,
    ) -> Self {
        let choice = CompletionChoiceChunk {
            index,
            text: text.into(),
            logprobs: Some(None),
            finish_reason: Some(None),
            stop_reason: Some(None),
            prompt_token_ids: Some(None),
            token_ids: Some(token_ids),
        };
        Self::of(head, vec![choice])
    }

    /// The prompt's token ids, in the first chunk of a choice.
    #[must_use]
    pub fn with_prompt_token_ids(mut self, ids: Vec<u32>) -> Self {
        if let Some(choice) = self.choices.first_mut() {
            choice.prompt_token_ids = Some(Some(ids));
        }
        self
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
        self.usage = Some(Usage::new(prompt_tokens, completion_tokens));
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
