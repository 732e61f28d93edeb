//! What a client learns from one event, or from an answer that was not streamed.
//! Texts are borrowed from it wherever it has them without escapes.

use std::borrow::Cow;

use crate::api_error::ApiError;
use crate::few::Few;
use crate::usage::{ServerMetrics, Usage};

/// One event of a stream, decoded as far as measuring needs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly all are deltas, and none is to be allocated")]
pub enum StreamEvent<'a> {
    /// `[DONE]`: the stream is whole.
    Done,
    /// An error object inside a 200 stream.
    Error(ApiError),
    /// A chunk.
    Delta(Delta<'a>),
}

/// One chunk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Delta<'a> {
    /// The model's name in the answer.
    pub model: Option<Cow<'a, str>>,
    /// What is new; vLLM sends one choice a chunk, none in the usage chunk.
    pub choices: Few<ChoiceDelta<'a>>,
    /// With choices the running usage of that choice, without the whole usage.
    pub usage: Option<Usage>,
    /// The server's own times, beside the whole usage.
    pub metrics: Option<ServerMetrics>,
}

impl Delta<'_> {
    /// Whether some choice carries a generated token, as far as this chunk
    /// alone tells (see [`ChoiceDelta::bears_tokens`]). Chunks whose running
    /// usage still is 0 do not. [`TokenFold`](crate::TokenFold) knows what
    /// came before, counts, and decides.
    pub fn bears_tokens(&self) -> bool {
        let none_yet = self.usage.as_ref().is_some_and(|usage| usage.completion_tokens == 0);
        self.choices.iter().any(|choice| match choice.token_ids {
            Some(ids) => ids > 0,
            None => !none_yet && choice.bears_tokens(),
        })
    }

    /// The usage when it is the whole answer's: that of a chunk without choices.
    pub fn whole_usage(&self) -> Option<&Usage> {
        if self.choices.is_empty() { self.usage.as_ref() } else { None }
    }
}

/// What is new in one choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChoiceDelta<'a> {
    /// Which choice.
    pub index: u32,
    /// It names a role: the chunk that opens a chat choice.
    pub opening: bool,
    /// New text. `Some("")` is a token that completes no character; `None` is no text field.
    pub text: Option<Cow<'a, str>>,
    /// New reasoning text, `reasoning` or in older servers `reasoning_content`.
    pub reasoning: Option<Cow<'a, str>>,
    /// New function names and arguments of tool calls, joined.
    pub tool_call_text: Option<Cow<'a, str>>,
    /// How many token ids it names; `None` when ids were not asked for.
    pub token_ids: Option<u32>,
    /// Why the choice ended, in its last chunk.
    pub finish_reason: Option<Cow<'a, str>>,
}

impl ChoiceDelta<'_> {
    /// Whether the chunk carries a generated token of this choice.
    ///
    /// With token ids: when it names one. Else when it has text, reasoning or
    /// tool-call text, or an *empty* text that opens nothing: vLLM sends such
    /// a chunk for every token that completes no character and for the
    /// end-of-sequence token, and for nothing else. A chunk that only names
    /// the role does not, nor does a finish reason beside no text at all
    /// (`"delta":{}`), as after tool calls.
    pub fn bears_tokens(&self) -> bool {
        if let Some(ids) = self.token_ids {
            return ids > 0;
        }
        let says = |text: &Option<Cow<'_, str>>| text.as_ref().is_some_and(|text| !text.is_empty());
        says(&self.text)
            || says(&self.reasoning)
            || says(&self.tool_call_text)
            || (!self.opening && (self.text.is_some() || self.reasoning.is_some()))
    }
}

/// An answer that was not streamed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer<'a> {
    /// The model's name in the answer.
    pub model: Option<Cow<'a, str>>,
    /// The choices, whole.
    pub choices: Few<ChoiceDelta<'a>>,
    /// Token counts of all choices together.
    pub usage: Option<Usage>,
    /// The server's own times.
    pub metrics: Option<ServerMetrics>,
}

impl Answer<'_> {
    /// Generated tokens of all choices: the usage's, else as many as the
    /// choices name ids; `None` when neither tells.
    pub fn tokens(&self) -> Option<u32> {
        match &self.usage {
            Some(usage) => Some(usage.completion_tokens),
            None => self.choices.iter().map(|choice| choice.token_ids).sum(),
        }
    }
}
