//! How many tokens each chunk of a stream carried: chunks are not tokens.

use crate::delta::{ChoiceDelta, Delta};
use crate::usage::Usage;

/// Counts the tokens of one stream, chunk by chunk.
///
/// The tokens of a chunk are, best first:
/// 1. the token ids it names (`return_token_ids`): exact;
/// 2. the growth of the running usage of its choice (`continuous_usage_stats`): exact.
///    vLLM counts each choice apart in it and all together only in the usage chunk;
/// 3. one for each choice that [bears tokens](ChoiceDelta::bears_tokens): an
///    assumption. It falls short where one chunk carries several tokens (a server or client
///    that lags, speculative decoding, log-probabilities), and far short with
///    tool calls and reasoning parsers, which hold tokens back.
///
/// Beside token ids or running usage the sum of all chunks equals the usage chunk's
/// `completion_tokens`, for any `n` and any number of prompts. A prompt that
/// `echo` repeats is text in the first chunk, never tokens.
#[derive(Debug, Clone, Default)]
pub struct TokenFold {
    /// Counted so far, for each choice seen.
    choices: Vec<(u32, u32)>,
    counted: u32,
    source: Option<TokenSource>,
    usage: Option<Usage>,
}

/// How chunks' tokens were counted, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenSource {
    /// From the token ids. Exact.
    TokenIds,
    /// From the growth of the running usage. Exact.
    RunningUsage,
    /// One token a chunk and choice, assumed.
    Assumed,
}

impl TokenFold {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tokens of this chunk; 0 when it is not token-bearing.
    pub fn fold(&mut self, delta: &Delta) -> u32 {
        let tokens = match delta.choices.as_slice() {
            [] => {
                if let Some(usage) = &delta.usage {
                    self.usage = Some(usage.clone());
                }
                0
            }
            [choice] => self.fold_choice(choice, delta.usage.as_ref()),
            // No vLLM sends this: several choices in a chunk. A usage beside
            // them can only be of all of them.
            choices => match &delta.usage {
                Some(usage) if choices.iter().any(|choice| choice.token_ids.is_none()) => {
                    let tokens = usage.completion_tokens.saturating_sub(self.counted);
                    self.add(choices[0].index, tokens, TokenSource::RunningUsage)
                }
                _ => choices.iter().map(|choice| self.fold_choice(choice, None)).sum(),
            },
        };
        self.counted = self.counted.saturating_add(tokens);
        tokens
    }

    fn fold_choice(&mut self, choice: &ChoiceDelta, running: Option<&Usage>) -> u32 {
        let (tokens, source) = match (choice.token_ids, running) {
            (Some(ids), _) => (ids, TokenSource::TokenIds),
            (None, Some(usage)) => (
                usage.completion_tokens.saturating_sub(self.counted_of(choice.index)),
                TokenSource::RunningUsage,
            ),
            (None, None) => (u32::from(choice.bears_tokens()), TokenSource::Assumed),
        };
        self.add(choice.index, tokens, source)
    }

    fn add(&mut self, index: u32, tokens: u32, source: TokenSource) -> u32 {
        if tokens > 0 {
            match self.choices.iter_mut().find(|(known, _)| *known == index) {
                Some((_, counted)) => *counted = counted.saturating_add(tokens),
                None => self.choices.push((index, tokens)),
            }
            // The weakest that was needed: one assumed chunk makes the counts assumed.
            self.source = self.source.max(Some(source));
        }
        tokens
    }

    fn counted_of(&self, index: u32) -> u32 {
        self.choices.iter().find(|(known, _)| *known == index).map_or(0, |(_, counted)| *counted)
    }

    /// How the chunks' tokens were counted: the weakest way that some chunk
    /// needed, [`Assumed`](TokenSource::Assumed) when none bore a token.
    pub fn source(&self) -> TokenSource {
        self.source.unwrap_or(TokenSource::Assumed)
    }

    /// The sum over the chunks so far.
    pub fn counted(&self) -> u32 {
        self.counted
    }

    /// The whole usage, once its chunk has come.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Generated tokens of the answer so far: the whole usage's where it has
    /// come, else the sum over the chunks; `None` when neither told of any.
    pub fn total(&self) -> Option<u32> {
        match &self.usage {
            Some(usage) => Some(usage.completion_tokens),
            None => (self.counted > 0).then_some(self.counted),
        }
    }
}
