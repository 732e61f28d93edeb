//! One answer as it grows: tokens to text, stop strings, log-probabilities.

use vllm_bench_protocol::Endpoint;

use crate::engine::{FinishReason, TokenOutput};
use crate::job::Job;
use crate::logprobs::TokenLogprob;
use crate::tokenizer::StreamDecoder;

/// The state of one answer.
pub(crate) struct Choice {
    decoder: StreamDecoder,
    /// Text that could be the beginning of a stop string.
    held: String,
    /// Tokens so far.
    pub(crate) tokens: u32,
    /// Characters of the tokens so far, for `text_offset`.
    offset: usize,
    pub(crate) finished: bool,
}

/// What some tokens add to an answer.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) token_ids: Vec<u32>,
    pub(crate) logprobs: Option<serde_json::Value>,
    pub(crate) finish: Option<End>,
}

/// Why an answer ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) reason: FinishReason,
    /// The stop string that was met: the engine does not know about it.
    pub(crate) stop: Option<String>,
}

impl Choice {
    pub(crate) fn new() -> Self {
        Choice {
            decoder: StreamDecoder::default(),
            held: String::new(),
            tokens: 0,
            offset: 0,
            finished: false,
        }
    }

    /// Takes in tokens that came together; those after a stop string are dropped.
    pub(crate) fn push(&mut self, outputs: &[TokenOutput], job: &Job) -> Piece {
        let mut piece = Piece::default();
        let mut logprobs = job.logprobs.map(|_| Vec::new());
        let offset = self.offset;
        for output in outputs {
            self.tokens += 1;
            piece.token_ids.push(output.token);
            self.held.push_str(&self.decoder.push(output.token));
            if let (Some(list), Some(top)) = (&mut logprobs, job.logprobs) {
                let logprob = TokenLogprob::of(output.token, top);
                self.offset += logprob.characters();
                list.push(logprob);
            }
            if let Some(stop) = self.find_stop(job) {
                piece.finish = Some(End { reason: FinishReason::Stop, stop: Some(stop) });
                break;
            }
            if let Some(finish) = &output.finish {
                piece.finish = Some(End { reason: finish.reason, stop: None });
                break;
            }
        }
        self.finished = piece.finish.is_some();
        piece.text = if self.finished { std::mem::take(&mut self.held) } else { self.release(job) };
        piece.logprobs = logprobs.map(|list| match job.endpoint {
            Endpoint::Chat => TokenLogprob::chat(&list),
            Endpoint::Completions => TokenLogprob::completion(&list, offset),
        });
        piece
    }

    /// Cuts the held text before the first stop string in it, and names that.
    fn find_stop(&mut self, job: &Job) -> Option<String> {
        if job.stop.is_empty() || self.tokens <= job.min_tokens {
            return None;
        }
        let found = job.stop.iter().filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)));
        let (at, stop) = found.min_by_key(|(at, _)| *at)?;
        self.held.truncate(at);
        Some(stop.clone())
    }

    /// Text that no stop string can begin in any more: all but the last characters.
    fn release(&mut self, job: &Job) -> String {
        let longest = job.stop.iter().map(|stop| stop.chars().count()).max().unwrap_or(1);
        let back = longest.saturating_sub(1);
        if back == 0 {
            return std::mem::take(&mut self.held);
        }
        let cut = self.held.char_indices().rev().nth(back - 1).map_or(0, |(at, _)| at);
        let kept = self.held.split_off(cut);
        std::mem::replace(&mut self.held, kept)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::SimulatorConfig;
    use crate::engine::{Kind, Times};
    use crate::tokenizer::Tokenizer;

    fn job(stop: &str) -> Job {
        let body = format!(r#"{{"prompt":"x","stop":{stop}}}"#);
        Job::completions(body.as_bytes(), &SimulatorConfig::default(), 0).expect("a sound request")
    }

    fn outputs(text: &str) -> Vec<TokenOutput> {
        let token = |token| TokenOutput {
            id: 0,
            token,
            kind: Kind::Later { gap: Duration::ZERO },
            times: Times::default(),
            finish: None,
        };
        Tokenizer::shared().encode(text).into_iter().map(token).collect()
    }

    fn pieces(stop: &str, text: &str) -> (String, Option<String>, u32) {
        let (job, mut choice) = (job(stop), Choice::new());
        let mut all = String::new();
        for output in outputs(text) {
            let piece = choice.push(&[output], &job);
            all.push_str(&piece.text);
            if let Some(end) = piece.finish {
                return (all, end.stop, choice.tokens);
            }
        }
        (all, None, choice.tokens)
    }

    #[test]
    fn a_stop_string_over_several_tokens_never_shows() {
        let (text, stop, tokens) = pieces(r#"["bridge was"]"#, " the old bridge was long");
        assert_eq!((text.as_str(), stop.as_deref(), tokens), (" the old ", Some("bridge was"), 4));
    }

    #[test]
    fn the_first_of_several_stops_counts() {
        let (text, stop, _) = pieces(r#"["was", "old"]"#, " the old bridge was long");
        assert_eq!((text.as_str(), stop.as_deref()), (" the ", Some("old")));
    }

    #[test]
    fn without_a_stop_string_in_it_text_is_only_delayed() {
        let (job, mut choice) = (job(r#"["xyz"]"#), Choice::new());
        let piece = choice.push(&outputs(" bridge"), &job);
        assert_eq!((piece.text.as_str(), choice.held.as_str()), (" brid", "ge"));
    }

    #[test]
    fn tokens_after_a_stop_string_in_one_chunk_are_dropped() {
        let (job, mut choice) = (job(r#"["old"]"#), Choice::new());
        let piece = choice.push(&outputs(" the old bridge was"), &job);
        assert_eq!(
            (piece.text.as_str(), piece.token_ids.len(), choice.finished),
            (" the ", 2, true)
        );
    }
}
