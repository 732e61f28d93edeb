//! Request bodies, serialised before anything is timed.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use vllm_bench_corpus::Prompt;
use vllm_bench_protocol::Endpoint;

use crate::scenario::Scenario;

/// How chunk tokens are asked for, once it is known what the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkCounts {
    /// `stream_options.continuous_usage_stats`.
    RunningUsage,
    /// `return_token_ids`.
    TokenIds,
    /// Nothing is asked.
    Assumed,
}

/// Writes the bodies of one scenario's requests.
#[derive(Debug, Clone)]
pub struct BodyWriter {
    endpoint: Endpoint,
    /// All that is the same in every body.
    fixed: Map<String, Value>,
}

impl BodyWriter {
    /// For requests of `scenario` to `model`.
    pub fn new(scenario: &Scenario, model: &str, counts: ChunkCounts) -> Self {
        let request = &scenario.spec.request;
        let mut fixed = Map::new();
        for (key, value) in &request.extra {
            fixed.insert(key.clone(), to_json(value));
        }
        let mut put = |key: &str, value: Value| fixed.insert(key.to_owned(), value);
        put("model", json!(model));
        put("temperature", json!(request.temperature));
        put("seed", json!(request.seed));
        if let Some(top_p) = request.top_p {
            put("top_p", json!(top_p));
        }
        // Servers other than vLLM refuse what they do not know: ask only for what is wanted.
        if request.ignore_eos {
            put("ignore_eos", json!(true));
        }
        if let Some(min) = request.min_tokens {
            put("min_tokens", json!(min));
        }
        put("stream", json!(scenario.spec.server.stream));
        if scenario.spec.server.stream {
            let mut options = json!({ "include_usage": true });
            if counts == ChunkCounts::RunningUsage {
                options["continuous_usage_stats"] = json!(true);
            }
            put("stream_options", options);
            if counts == ChunkCounts::TokenIds {
                put("return_token_ids", json!(true));
            }
        }
        Self { endpoint: scenario.spec.server.endpoint, fixed }
    }

    /// The body that sends `prompt` and asks for at most `max_tokens`.
    pub fn body(&self, prompt: &Prompt, max_tokens: u32) -> Bytes {
        let mut body = self.fixed.clone();
        body.insert("max_tokens".into(), json!(max_tokens));
        match self.endpoint {
            Endpoint::Chat => body.insert("messages".into(), json!(prompt.messages)),
            Endpoint::Completions => body.insert("prompt".into(), json!(prompt.text())),
        };
        Value::Object(body).to_string().into()
    }

    /// A short request of our own, for finding out what the server takes.
    pub fn probe(&self, nonce: &str) -> Bytes {
        let words = format!("{nonce} is the number of this check. Reply with one word.");
        let mut body = self.fixed.clone();
        body.remove("min_tokens");
        body.insert("max_tokens".into(), json!(4));
        match self.endpoint {
            Endpoint::Chat => {
                body.insert("messages".into(), json!([{ "role": "user", "content": words }]))
            }
            Endpoint::Completions => body.insert("prompt".into(), json!(words)),
        };
        Value::Object(body).to_string().into()
    }
}

fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(s) => json!(s),
        toml::Value::Integer(n) => json!(n),
        toml::Value::Float(x) => json!(x),
        toml::Value::Boolean(b) => json!(b),
        toml::Value::Datetime(d) => json!(d.to_string()),
        toml::Value::Array(list) => list.iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(k, v)| (k.clone(), to_json(v))).collect())
        }
    }
}
