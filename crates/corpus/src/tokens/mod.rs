//! Counting tokens: by a tokenizer file, by a server, or by a built-in estimate.

mod builtin;
mod by_word;
mod measure;
mod server;
mod template;
mod tokenizer;

pub use builtin::BuiltInCounter;
pub use measure::Measure;
pub use server::{ServerCounter, ServerOptions};
pub use tokenizer::TokenizerCounter;

use vllm_bench_protocol::ChatMessage;

use crate::CorpusError;

/// Something that counts tokens as the served model would.
pub trait TokenCounter: Send + Sync {
    /// Who counts; goes into the corpus header.
    fn identity(&self) -> TokenizerIdentity;

    /// How many calls at a time are useful; `None`: one a core.
    fn threads(&self) -> Option<usize> {
        None
    }

    /// Shows the counter texts like those to come. One that cannot [`measure`](Self::measure) for itself learns from them.
    ///
    /// # Errors
    /// As [`prompt_ids`](Self::prompt_ids).
    fn calibrate(&self, _samples: &[&str]) -> Result<(), CorpusError> {
        Ok(())
    }

    /// Where the tokens of a text lie, standing alone. May be an estimate: whole prompts are always verified.
    ///
    /// # Errors
    /// The counter refuses the text, or cannot be reached.
    fn measure(&self, text: &str) -> Result<Measure, CorpusError>;

    /// The token ids of a whole prompt as the server would see it: chat template, special tokens and the opening of the
    /// answer included.
    ///
    /// # Errors
    /// The template or the counter refuses the messages, or cannot be reached.
    fn prompt_ids(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, CorpusError>;
}

/// Who counts tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerIdentity {
    /// A Hub id with revision, a folder's name, a server's model, `built-in (estimate)`.
    pub name: String,
    /// sha256 of `tokenizer.json`, where there is one.
    pub sha256: Option<String>,
    /// Where the chat template came from; `none` for plain text.
    pub chat_template: String,
    /// Whether these are a real model's tokens.
    pub exact: bool,
}
