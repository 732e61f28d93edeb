//! The checks of sampling parameters and lengths that both endpoints share.

use serde_json::{Map, Value};

use crate::body::python_float;
use crate::config::SimulatorConfig;
use crate::refusal::Refusal;

/// Parameters of both endpoints that vLLM checks the same way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) max_tokens: Option<i64>,
    pub(super) min_tokens: Option<i64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) n: Option<i64>,
}

impl Limits {
    /// What is checked before the prompt is tokenised.
    pub(super) fn check_length(&self, config: &SimulatorConfig) -> Result<(), Refusal> {
        let most = config.max_model_len;
        match self.max_tokens {
            Some(asked) if asked > i64::from(most) => {
                let message = format!(
                    "max_tokens={asked} cannot be greater than max_model_len={most}. Please request fewer output tokens."
                );
                Err(Refusal::bad_parameter(&message, "max_tokens", Some(asked.to_string())))
            }
            _ => Ok(()),
        }
    }

    /// Checks the sampling parameters in vLLM's order; gives the number of answers a prompt, and the
    /// fewest tokens of each.
    pub(super) fn check(&self, max_tokens: u32) -> Result<(u32, u32), Refusal> {
        let n = self.n.unwrap_or(1);
        let n = match u32::try_from(n) {
            Ok(n @ 1..=16_384) => n,
            Ok(0) | Err(_) if n < 1 => {
                return Err(Refusal::bad(format!("n must be at least 1, got {n}.")));
            }
            _ => {
                return Err(Refusal::bad(format!(
                    "n must be at most 16384, got {n}. To increase this limit, set the \
                     VLLM_MAX_N_SEQUENCES environment variable."
                )));
            }
        };
        let temperature = self.temperature.unwrap_or(1.0);
        let in_range = if temperature < 0.0 {
            Err("non-negative")
        } else if temperature > 2.0 {
            Err("in [0, 2]")
        } else {
            Ok(())
        };
        in_range.map_err(|range| {
            let shown = python_float(temperature);
            let message = format!("temperature must be {range}, got {shown}.");
            Refusal::bad_parameter(&message, "temperature", Some(shown))
        })?;
        let top_p = self.top_p.unwrap_or(1.0);
        if !(top_p > 0.0 && top_p <= 1.0) {
            let shown = python_float(top_p);
            let message = format!("top_p must be in (0, 1], got {shown}.");
            return Err(Refusal::bad_parameter(&message, "top_p", Some(shown)));
        }
        if let Some(asked) = self.max_tokens.filter(|&asked| asked < 1) {
            let message = format!("max_tokens must be at least 1, got {asked}.");
            return Err(Refusal::bad_parameter(&message, "max_tokens", Some(asked.to_string())));
        }
        let min = self.min_tokens.unwrap_or(0);
        if min < 0 {
            return Err(Refusal::bad(format!(
                "min_tokens must be greater than or equal to 0, got {min}."
            )));
        }
        let min_tokens = match u32::try_from(min) {
            Ok(min) if min <= max_tokens => min,
            _ => {
                return Err(Refusal::bad(format!(
                    "min_tokens must be less than or equal to max_tokens={max_tokens}, got {min}."
                )));
            }
        };
        if temperature < 1e-5 && n > 1 {
            return Err(Refusal::bad(format!("n must be 1 when using greedy sampling, got {n}.")));
        }
        Ok((n, min_tokens))
    }

    /// The most tokens of an answer to a prompt of this length.
    pub(super) fn room(&self, prompt_tokens: usize, config: &SimulatorConfig) -> u32 {
        let room = config.max_model_len.saturating_sub(prompt_tokens as u32);
        match self.max_tokens.map(u32::try_from) {
            Some(Ok(asked)) => asked.min(room),
            Some(Err(_)) | None => room,
        }
    }
}

/// Refuses a prompt that leaves no room, in vLLM's words: it stops counting one token past the limit.
pub(super) fn check_prompt(tokens: usize, config: &SimulatorConfig) -> Result<(), Refusal> {
    let most = config.max_model_len as usize;
    if tokens == most {
        let message = "max_tokens must be at least 1, got 0.";
        return Err(Refusal::bad_parameter(message, "max_tokens", Some("0".into())));
    }
    if tokens < most {
        return Ok(());
    }
    let counted = most + 1;
    let message = format!(
        "This model's maximum context length is {most} tokens. However, your prompt contains at least \
         {counted} input tokens, which exceeds this limit even without any output tokens. Please reduce \
         the length of the input prompt."
    );
    Err(Refusal::bad_parameter(&message, "input_tokens", Some(counted.to_string())))
}

/// What both endpoints refuse before they look at types.
pub(super) fn check_stream_options(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let streams = fields.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let options = fields.get("stream_options").is_some_and(|options| !options.is_null());
    if options && !streams {
        let message = "Stream options can only be defined when `stream=True`.";
        return Err(Refusal::bad_parameter(message, "stream_options", None));
    }
    Ok(())
}

/// Refuses a model that is not served; none asked for is the one served.
pub(super) fn check_model(asked: Option<&str>, config: &SimulatorConfig) -> Result<(), Refusal> {
    match asked {
        Some(asked) if asked != config.model => Err(Refusal::unknown_model(asked, &config.model)),
        _ => Ok(()),
    }
}
