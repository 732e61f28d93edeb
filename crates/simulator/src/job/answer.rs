//! What the tokens of an answer will be.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};

use crate::config::AnswerLength;
use crate::prose::{Prose, draw_length};
use crate::schema;
use crate::tokenizer::{EOS, Tokenizer};

/// The kind of answer that a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum AnswerPlan {
    /// Sentences; they end by themselves, at once where the request biases towards that.
    Prose { ends_at_once: bool },
    /// Exactly these tokens: a structured answer.
    Fixed(Vec<u32>),
}

impl AnswerPlan {
    /// Reads the plan from the fields of a request that steer its content.
    pub(super) fn of(
        extra: &Map<String, Value>,
        response_format: Option<&Value>,
        logit_bias: Option<&Map<String, Value>>,
    ) -> Self {
        let structured = extra.get("structured_outputs");
        let choice =
            structured.and_then(|outputs| outputs.pointer("/choice/0")).and_then(Value::as_str);
        if let Some(choice) = choice {
            return AnswerPlan::fixed(choice);
        }
        let schema = structured
            .and_then(|outputs| outputs.get("json"))
            .or_else(|| response_format.and_then(|format| format.pointer("/json_schema/schema")));
        if let Some(schema) = schema {
            return AnswerPlan::fixed(&schema::instance(schema).to_string());
        }
        let kind = response_format.and_then(|format| format.get("type")).and_then(Value::as_str);
        if kind == Some("json_object") {
            return AnswerPlan::fixed(&json!({"answer": "river"}).to_string());
        }
        let bias = logit_bias.and_then(|bias| bias.get(&EOS.to_string())).and_then(Value::as_f64);
        AnswerPlan::Prose { ends_at_once: bias.is_some_and(|bias| bias >= 50.0) }
    }

    /// Exactly this text.
    pub(super) fn fixed(text: &str) -> Self {
        AnswerPlan::Fixed(Tokenizer::shared().encode(text))
    }

    /// The tokens before the end of sequence, which comes after `min_tokens` at the earliest.
    pub(crate) fn tokens(
        &self,
        seed: u64,
        length: AnswerLength,
        min_tokens: u32,
        ignore_eos: bool,
    ) -> Box<dyn Iterator<Item = u32> + Send> {
        match self {
            AnswerPlan::Fixed(tokens) => Box::new(tokens.clone().into_iter()),
            AnswerPlan::Prose { .. } if ignore_eos => Box::new(Prose::endless(seed)),
            AnswerPlan::Prose { ends_at_once } => {
                let drawn = if *ends_at_once { 1 } else { draw_length(length, seed) };
                Box::new(Prose::limited(seed, (drawn - 1).max(min_tokens)))
            }
        }
    }
}

/// Seed of a request's answers. A given seed, or a temperature of 0, makes equal requests answer alike;
/// else `fresh` decides.
pub(super) fn seed(
    given: Option<i64>,
    temperature: Option<f64>,
    prompts: &[&[u32]],
    fresh: u64,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    if given.is_none() && temperature != Some(0.0) {
        fresh.hash(&mut hasher);
    } else {
        given.hash(&mut hasher);
        prompts.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_steer_the_content_are_obeyed() {
        let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
        let text = |plan: AnswerPlan| match plan {
            AnswerPlan::Fixed(tokens) => Tokenizer::shared().decode(&tokens),
            AnswerPlan::Prose { ends_at_once } => format!("prose {ends_at_once}"),
        };
        let choice = fields(json!({"structured_outputs": {"choice": ["ü", "b"]}}));
        assert_eq!(text(AnswerPlan::of(&choice, None, None)), "ü");
        let schema = json!({"type": "json_schema", "json_schema": {"schema": {"const": [1]}}});
        assert_eq!(text(AnswerPlan::of(&Map::new(), Some(&schema), None)), "[1]");
        let bias = fields(json!({"2": 100}));
        assert_eq!(text(AnswerPlan::of(&Map::new(), None, Some(&bias))), "prose true");
        assert_eq!(text(AnswerPlan::of(&Map::new(), None, None)), "prose false");
    }

    #[test]
    fn an_answer_that_ends_at_once_still_keeps_the_minimum() {
        let plan = AnswerPlan::Prose { ends_at_once: true };
        let count = |min| plan.tokens(1, AnswerLength::default(), min, false).count();
        assert_eq!((count(0), count(4)), (0, 4));
    }

    #[test]
    fn seeds_depend_on_what_they_should() {
        let prompt: &[&[u32]] = &[&[1, 2]];
        assert_ne!(seed(None, None, prompt, 1), seed(None, None, prompt, 2));
        assert_eq!(seed(None, Some(0.0), prompt, 1), seed(None, Some(0.0), prompt, 2));
        assert_eq!(seed(Some(7), None, prompt, 1), seed(Some(7), None, prompt, 2));
        assert_ne!(seed(Some(7), None, prompt, 1), seed(Some(8), None, prompt, 1));
    }
}
