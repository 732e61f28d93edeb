//! Log-probabilities: made up, but alike for equal tokens and in vLLM's two forms.

use serde_json::{Map, Value, json};

use crate::tokenizer::{StreamDecoder, Tokenizer};

/// A token with its log-probability and those of others in its place.
#[derive(Debug)]
pub(crate) struct TokenLogprob {
    token: u32,
    logprob: f64,
    top: Vec<(u32, f64)>,
}

impl TokenLogprob {
    /// The token as the likeliest, and the next ones up to `top` in all.
    pub(crate) fn of(token: u32, top: u32) -> Self {
        let size = Tokenizer::shared().vocabulary_size();
        let logprob = -0.05 - f64::from(token.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let others =
            (1..top).map(|rank| ((token + 7 * rank) % size, logprob - 0.5 * f64::from(rank)));
        let top = if top == 0 {
            Vec::new()
        } else {
            std::iter::once((token, logprob)).chain(others).collect()
        };
        TokenLogprob { token, logprob, top }
    }

    /// Characters that the token adds to `text_offset`.
    pub(crate) fn characters(&self) -> usize {
        text(self.token).chars().count()
    }

    /// The form of `/v1/chat/completions`.
    pub(crate) fn chat(list: &[TokenLogprob]) -> Value {
        let entry = |token: u32, logprob: f64| {
            let mut fields = Map::new();
            fields.insert("token".into(), text(token).into());
            fields.insert("logprob".into(), logprob.into());
            fields.insert(
                "bytes".into(),
                Tokenizer::shared().piece(token).unwrap_or_default().into(),
            );
            fields
        };
        let content = list.iter().map(|item| {
            let mut fields = entry(item.token, item.logprob);
            let top = item.top.iter().map(|&(token, logprob)| Value::Object(entry(token, logprob)));
            fields.insert("top_logprobs".into(), top.collect());
            Value::Object(fields)
        });
        json!({ "content": content.collect::<Vec<_>>() })
    }

    /// The form of `/v1/completions`; offsets start at `offset` characters.
    pub(crate) fn completion(list: &[TokenLogprob], offset: usize) -> Value {
        let mut at = offset;
        let mut offsets = Vec::with_capacity(list.len());
        for item in list {
            offsets.push(at);
            at += item.characters();
        }
        let top = list.iter().map(|item| {
            let mut fields = Map::new();
            fields.insert(text(item.token), item.logprob.into());
            for &(token, logprob) in &item.top {
                fields.insert(text(token), logprob.into());
            }
            Value::Object(fields)
        });
        json!({
            "text_offset": offsets,
            "token_logprobs": list.iter().map(|item| item.logprob).collect::<Vec<_>>(),
            "tokens": list.iter().map(|item| text(item.token)).collect::<Vec<_>>(),
            "top_logprobs": top.collect::<Vec<_>>(),
        })
    }
}

/// The token's text alone; special tokens have a name here.
fn text(token: u32) -> String {
    let whole = StreamDecoder::default().push(token);
    if whole.is_empty() { Tokenizer::shared().token_text(token) } else { whole }
}
