//! `/v1/chat/completions`: from a body to a job, refusing what vLLM refuses, in its order.

use serde_json::{Map, Value};
use vllm_bench_protocol::{ChatRequest, Endpoint};

use super::limits::{Limits, check_model, check_prompt, check_stream_options};
use super::{AnswerPlan, Job, Prompt, answer, stop_texts, tools, usage_wanted};
use crate::body::{self, Kind};
use crate::config::SimulatorConfig;
use crate::refusal::Refusal;
use crate::tokenizer::Tokenizer;

const KINDS: &[(&str, Kind)] = &[
    ("messages", Kind::List),
    ("model", Kind::Text),
    ("max_tokens", Kind::Integer),
    ("max_completion_tokens", Kind::Integer),
    ("min_tokens", Kind::Integer),
    ("n", Kind::Integer),
    ("seed", Kind::Integer),
    ("top_k", Kind::Integer),
    ("top_logprobs", Kind::Integer),
    ("temperature", Kind::Number),
    ("top_p", Kind::Number),
    ("logprobs", Kind::Boolean),
    ("stream", Kind::Boolean),
    ("ignore_eos", Kind::Boolean),
    ("echo", Kind::Boolean),
    ("return_token_ids", Kind::Boolean),
    ("cache_salt", Kind::Text),
    ("tools", Kind::List),
];

impl Job {
    /// Reads a chat request. `fresh` is a number that no other request gets.
    pub(crate) fn chat(
        bytes: &[u8],
        config: &SimulatorConfig,
        fresh: u64,
    ) -> Result<Self, Refusal> {
        let fields = body::object(bytes)?;
        check_stream_options(&fields)?;
        check_logprobs(&fields)?;
        let request: ChatRequest = body::read(fields, &["messages"], KINDS)?;
        check_model(request.model.as_deref(), config)?;
        let forced = tools::plan(&request, config)?;
        if request.messages.is_empty() {
            return Err(Refusal::bad(
                "Cannot apply chat template to an empty conversation. Provide at least one message.",
            ));
        }
        let limits = Limits {
            max_tokens: request.token_limit(),
            min_tokens: request.min_tokens,
            temperature: request.temperature,
            top_p: request.top_p,
            n: request.n,
        };
        limits.check_length(config)?;
        let tokens = Tokenizer::shared().encode_chat(&request.messages, true);
        check_prompt(tokens.len(), config)?;
        let max_tokens = limits.room(tokens.len(), config);
        let (n, min_tokens) = limits.check(max_tokens)?;
        let seed = answer::seed(request.seed, request.temperature, &[&tokens], fresh);
        let (include_usage, continuous_usage) = usage_wanted(request.stream_options.as_ref());
        let (tool, answer) = match forced {
            Some((tool, answer)) => (Some(tool), answer),
            None => {
                let format = request.response_format.as_ref();
                (None, AnswerPlan::of(&request.extra, format, request.logit_bias.as_ref()))
            }
        };
        Ok(Job {
            endpoint: Endpoint::Chat,
            // `echo` of a chat repeats the last message only if it is the assistant's: not simulated.
            prompts: vec![Prompt { tokens: tokens.into(), text: String::new(), max_tokens }],
            n,
            ignore_eos: request.ignore_eos.unwrap_or(false),
            min_tokens,
            stop: stop_texts(request.stop.as_ref()),
            cache_salt: request.cache_salt.map(Into::into),
            answer,
            seed,
            tool,
            logprobs: request.logprobs.unwrap_or(false).then(|| top(request.top_logprobs)),
            return_token_ids: request.return_token_ids.unwrap_or(false),
            echo: false,
            stream: request.stream.unwrap_or(false),
            include_usage,
            continuous_usage,
        })
    }
}

fn top(asked: Option<i64>) -> u32 {
    asked.and_then(|asked| u32::try_from(asked).ok()).unwrap_or(0).min(20)
}

fn check_logprobs(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(top) = fields.get("top_logprobs").and_then(Value::as_i64) else { return Ok(()) };
    if top < -1 {
        let message = "`top_logprobs` must be a positive value or -1.";
        return Err(Refusal::bad_parameter(message, "top_logprobs", Some(top.to_string())));
    }
    let wanted = fields.get("logprobs").and_then(Value::as_bool).unwrap_or(false);
    if top != 0 && !wanted {
        let message = "when using `top_logprobs`, `logprobs` must be set to true.";
        return Err(Refusal::bad_parameter(message, "top_logprobs", None));
    }
    Ok(())
}
