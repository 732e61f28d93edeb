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
    pub fn fold(&mut self, delta: &Delta<'_>) -> u32 {
        let tokens = match &*delta.choices {
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

    fn fold_choice(&mut self, choice: &ChoiceDelta<'_>, running: Option<&Usage>) -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(index: u32, text: &str) -> ChoiceDelta<'_> {
        ChoiceDelta { index, text: Some(text.into()), ..ChoiceDelta::default() }
    }

    fn chunk(choices: Vec<ChoiceDelta<'_>>, completion_tokens: Option<u32>) -> Delta<'_> {
        let usage = completion_tokens.map(|tokens| Usage::new(5, tokens));
        Delta { choices: choices.into_iter().collect(), usage, ..Delta::default() }
    }

    /// Folds all; the tokens of each chunk.
    fn fold(deltas: &[Delta<'_>]) -> (Vec<u32>, TokenFold) {
        let mut fold = TokenFold::new();
        (deltas.iter().map(|delta| fold.fold(delta)).collect(), fold)
    }

    #[test]
    fn running_usage_is_of_each_choice_and_the_last_of_all() {
        let (tokens, fold) = fold(&[
            chunk(vec![ChoiceDelta { opening: true, ..choice(0, "") }], Some(0)),
            chunk(vec![ChoiceDelta { opening: true, ..choice(1, "") }], Some(0)),
            chunk(vec![choice(0, "a")], Some(1)),
            chunk(vec![choice(1, "b")], Some(1)),
            chunk(vec![choice(1, "cde")], Some(4)),
            chunk(vec![choice(0, "")], Some(2)),
            chunk(Vec::new(), Some(6)),
        ]);
        assert_eq!(tokens, [0, 0, 1, 1, 3, 1, 0]);
        assert_eq!((fold.counted(), fold.total()), (6, Some(6)));
        assert_eq!(fold.source(), TokenSource::RunningUsage);
    }

    #[test]
    fn ids_go_before_usage_and_text() {
        let with = |ids| ChoiceDelta { token_ids: Some(ids), ..choice(0, "some text") };
        let (tokens, fold) = fold(&[
            chunk(vec![with(2)], Some(7)),
            chunk(vec![with(0)], Some(9)),
            chunk(vec![with(1)], None),
        ]);
        assert_eq!(tokens, [2, 0, 1]);
        assert_eq!((fold.source(), fold.total()), (TokenSource::TokenIds, Some(3)));
    }

    #[test]
    fn held_back_tokens_are_counted_where_they_show() {
        // A reasoning parser keeps two chunks to itself.
        let (tokens, fold) = fold(&[
            chunk(vec![choice(0, "a")], Some(1)),
            chunk(vec![choice(0, "b")], Some(4)),
            // The end of a tool call: no text, but tokens.
            chunk(
                vec![ChoiceDelta { finish_reason: Some("stop".into()), ..Default::default() }],
                Some(6),
            ),
        ]);
        assert_eq!(tokens, [1, 3, 2]);
        assert_eq!(fold.source(), TokenSource::RunningUsage);
    }

    #[test]
    fn usage_only_beside_the_last_choice_corrects_what_was_assumed() {
        let (tokens, fold) = fold(&[
            chunk(vec![choice(0, "a")], None),
            chunk(vec![choice(0, "b")], None),
            chunk(vec![choice(0, "c")], Some(5)),
        ]);
        assert_eq!(tokens, [1, 1, 3]);
        assert_eq!(fold.source(), TokenSource::Assumed, "the weakest way needed");
        assert_eq!(fold.total(), Some(5));
    }

    #[test]
    fn usage_that_shrinks_counts_nothing() {
        let (tokens, _) =
            fold(&[chunk(vec![choice(0, "a")], Some(3)), chunk(vec![choice(0, "b")], Some(2))]);
        assert_eq!(tokens, [3, 0]);
    }

    #[test]
    fn several_choices_in_a_chunk() {
        let both = || vec![choice(0, "a"), choice(1, "b")];
        let (tokens, _) = fold(&[chunk(both(), None), chunk(both(), None)]);
        assert_eq!(tokens, [2, 2]);
        let (tokens, sum) = fold(&[chunk(both(), Some(2)), chunk(both(), Some(5))]);
        assert_eq!((tokens, sum.total()), (vec![2, 3], Some(5)));
        let ids = |index, ids| ChoiceDelta { token_ids: Some(ids), ..choice(index, "") };
        let (tokens, sum) = fold(&[chunk(vec![ids(0, 2), ids(1, 3)], Some(9))]);
        assert_eq!((tokens, sum.source()), (vec![5], TokenSource::TokenIds));
    }

    #[test]
    fn nothing_told_is_nothing() {
        let fold = TokenFold::new();
        assert_eq!((fold.total(), fold.counted(), fold.source()), (None, 0, TokenSource::Assumed));
        // A cut stream: what came so far.
        let mut fold = TokenFold::new();
        fold.fold(&chunk(vec![choice(0, "a")], Some(1)));
        assert_eq!((fold.total(), fold.usage()), (Some(1), None));
    }

    #[test]
    fn what_bears_tokens_without_a_count() {
        let bears = |choice: ChoiceDelta<'_>| choice.bears_tokens();
        let opening = |text: &'static str| ChoiceDelta { opening: true, ..choice(0, text) };
        assert!(bears(choice(0, "a")));
        assert!(bears(choice(0, "")), "a token that completes no character");
        assert!(!bears(opening("")), "a role is no token");
        assert!(bears(opening("a")), "some servers name the role in every chunk");
        let end = || Some("stop".into());
        assert!(bears(ChoiceDelta { finish_reason: end(), ..choice(0, "") }), "end of sequence");
        assert!(!bears(ChoiceDelta { finish_reason: end(), ..ChoiceDelta::default() }));
        assert!(bears(ChoiceDelta { reasoning: Some("a".into()), ..ChoiceDelta::default() }));
        let call = |text: &'static str| ChoiceDelta {
            tool_call_text: Some(text.into()),
            ..ChoiceDelta::default()
        };
        assert!(bears(call("f")));
        assert!(!bears(call("")));
    }
}
