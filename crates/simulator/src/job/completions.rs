//! `/v1/completions`: from a body to a job, refusing what vLLM refuses, in its order.

use serde_json::{Map, Value};
use vllm_bench_protocol::{CompletionRequest, Endpoint, PromptInput};

use super::limits::{Limits, check_model, check_prompt, check_stream_options};
use super::{AnswerPlan, Job, Prompt, answer, stop_texts, usage_wanted};
use crate::body::{self, Kind};
use crate::config::SimulatorConfig;
use crate::refusal::Refusal;
use crate::tokenizer::Tokenizer;

/// Tokens of an answer where the request does not say: OpenAI's number, kept by vLLM.
const DEFAULT_MAX_TOKENS: i64 = 16;

const KINDS: &[(&str, Kind)] = &[
    ("model", Kind::Text),
    ("max_tokens", Kind::Integer),
    ("min_tokens", Kind::Integer),
    ("n", Kind::Integer),
    ("seed", Kind::Integer),
    ("top_k", Kind::Integer),
    ("logprobs", Kind::Integer),
    ("temperature", Kind::Number),
    ("top_p", Kind::Number),
    ("stream", Kind::Boolean),
    ("ignore_eos", Kind::Boolean),
    ("echo", Kind::Boolean),
    ("return_token_ids", Kind::Boolean),
    ("cache_salt", Kind::Text),
];

impl Job {
    /// Reads a completion request. `fresh` is a number that no other request gets.
    pub(crate) fn completions(
        bytes: &[u8],
        config: &SimulatorConfig,
        fresh: u64,
    ) -> Result<Self, Refusal> {
        let mut fields = body::object(bytes)?;
        check_stream_options(&fields)?;
        check_given(&fields)?;
        // An explicit null asks for all the room there is; silence for the default.
        fields.entry("max_tokens").or_insert(DEFAULT_MAX_TOKENS.into());
        let request: CompletionRequest = body::read(fields, &[], KINDS)?;
        check_model(request.model.as_deref(), config)?;
        let limits = Limits {
            max_tokens: request.max_tokens,
            min_tokens: request.min_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            n: request.n,
        };
        limits.check_length(config)?;
        let mut prompts = Vec::new();
        let mut parameters = (1, 0);
        for (tokens, text) in tokens_of(request.prompt) {
            check_prompt(tokens.len(), config)?;
            let max_tokens = limits.room(tokens.len(), config);
            parameters = limits.check(max_tokens)?;
            let vocabulary = Tokenizer::shared().vocabulary_size();
            if let Some(unknown) = tokens.iter().find(|&&token| token >= vocabulary) {
                return Err(Refusal::bad(format!("Token id {unknown} is out of vocabulary")));
            }
            prompts.push(Prompt { tokens: tokens.into(), text, max_tokens });
        }
        let (n, min_tokens) = parameters;
        let all: Vec<&[u32]> = prompts.iter().map(|prompt| &prompt.tokens[..]).collect();
        let seed = answer::seed(request.seed, request.temperature, &all, fresh);
        let (include_usage, continuous_usage) = usage_wanted(request.stream_options.as_ref());
        let format = request.response_format.as_ref();
        Ok(Job {
            endpoint: Endpoint::Completions,
            prompts,
            n,
            ignore_eos: request.ignore_eos.unwrap_or(false),
            min_tokens,
            stop: stop_texts(request.stop.as_ref()),
            cache_salt: request.cache_salt.map(Into::into),
            answer: AnswerPlan::of(&request.extra, format, request.logit_bias.as_ref()),
            seed,
            tool: None,
            logprobs: request.logprobs.map(|asked| u32::try_from(asked).unwrap_or(0).min(20)),
            return_token_ids: request.return_token_ids.unwrap_or(false),
            echo: request.echo.unwrap_or(false),
            stream: request.stream.unwrap_or(false),
            include_usage,
            continuous_usage,
        })
    }
}

/// Each prompt's tokens and text.
fn tokens_of(prompt: PromptInput) -> Vec<(Vec<u32>, String)> {
    let tokenizer = Tokenizer::shared();
    let of_text = |text: String| (tokenizer.encode_prompt(&text), text);
    let of_tokens = |tokens: Vec<u32>| {
        let text = tokenizer.decode(&tokens);
        (tokens, text)
    };
    match prompt {
        PromptInput::Text(text) => vec![of_text(text)],
        PromptInput::Texts(texts) => texts.into_iter().map(of_text).collect(),
        PromptInput::TokenIds(tokens) => vec![of_tokens(tokens)],
        PromptInput::TokenIdLists(lists) => lists.into_iter().map(of_tokens).collect(),
    }
}

fn check_given(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let empty = |prompt: &Value| match prompt {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => {
            let nothing = |item: &Value| match item {
                Value::String(text) => text.is_empty(),
                Value::Array(tokens) => tokens.is_empty(),
                _ => false,
            };
            items.is_empty() || items.iter().any(nothing)
        }
        _ => false,
    };
    if fields.get("prompt").is_none_or(empty) {
        let message = "Either prompt or prompt_embeds must be provided and non-empty.";
        return Err(Refusal::bad_parameter(message, "prompt", None));
    }
    if let Some(logprobs) =
        fields.get("logprobs").and_then(Value::as_i64).filter(|&logprobs| logprobs < -1)
    {
        let message = "`logprobs` must be a positive value or -1.";
        return Err(Refusal::bad_parameter(message, "logprobs", Some(logprobs.to_string())));
    }
    Ok(())
}
