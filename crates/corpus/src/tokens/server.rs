//! Counting by the server itself: `/tokenize` applies the served model's own template and tokenizer.

use std::sync::OnceLock;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Agent;
use vllm_bench_protocol::{
    ApiError, ChatMessage, Endpoint, ModelList, TokenizeRequest, TokenizeResponse,
};

use super::{Measure, TokenCounter, TokenizerIdentity};
use crate::{CorpusError, plain_text};

/// Which server counts.
#[derive(Clone)]
pub struct ServerOptions {
    /// Base URL; `/v1` at its end is taken off.
    pub url: String,
    /// The model; `None`: the only one that the server lists.
    pub model: Option<String>,
    /// Bearer key.
    pub api_key: Option<String>,
    /// Requests at a time.
    pub threads: usize,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            url: "http://localhost:8000".to_owned(),
            model: None,
            api_key: None,
            threads: 8,
            timeout: Duration::from_secs(60),
        }
    }
}

// By hand: the key stays out of logs.
impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions")
            .field("url", &self.url)
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|_| "..."))
            .field("threads", &self.threads)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Counts by a server's `/tokenize`.
#[derive(Debug)]
pub struct ServerCounter {
    agent: Agent,
    base: String,
    model: String,
    options: ServerOptions,
    endpoint: Endpoint,
    /// Bytes and tokens of the samples.
    ratio: OnceLock<(u64, u64)>,
}

impl ServerCounter {
    /// Asks the server for its model and tries `/tokenize` once.
    ///
    /// # Errors
    /// [`CorpusError::Server`] with the server's own words: not there, wrong key, no such model, no `/tokenize`.
    pub fn connect(options: ServerOptions, endpoint: Endpoint) -> Result<Self, CorpusError> {
        let base = options
            .url
            .trim_end_matches('/')
            .trim_end_matches("/v1")
            .trim_end_matches('/')
            .to_owned();
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // What counts here must be what is benchmarked: no proxy of the environment in between.
            .proxy(None)
            .max_idle_connections(options.threads.max(1))
            .max_idle_connections_per_host(options.threads.max(1))
            .build()
            .into();
        let mut counter =
            Self { agent, base, model: String::new(), options, endpoint, ratio: OnceLock::new() };
        counter.model = counter.choose_model()?;
        counter.tokenize(TokenizeRequest {
            prompt: Some("test".to_owned()),
            ..TokenizeRequest::default()
        })?;
        Ok(counter)
    }

    /// The model that counts.
    pub fn model(&self) -> &str {
        &self.model
    }

    fn choose_model(&self) -> Result<String, CorpusError> {
        let url = format!("{}/v1/models", self.base);
        let list: ModelList = self.answer(&url, self.with_key(self.agent.get(&url)).call())?;
        let ids: Vec<&str> = list.data.iter().map(|card| card.id.as_str()).collect();
        let failed = |message: String| CorpusError::Server { url: url.clone(), message };
        match (&self.options.model, ids.as_slice()) {
            (Some(model), ids) if ids.contains(&model.as_str()) => Ok(model.clone()),
            (Some(model), ids) => {
                Err(failed(format!("no model `{model}`; it serves: {}", ids.join(", "))))
            }
            (None, [only]) => Ok((*only).to_owned()),
            (None, []) => Err(failed("it serves no model".to_owned())),
            (None, ids) => {
                Err(failed(format!("it serves several models, name one of: {}", ids.join(", "))))
            }
        }
    }

    fn tokenize(&self, mut request: TokenizeRequest) -> Result<Vec<u32>, CorpusError> {
        request.model = Some(self.model.clone());
        let url = format!("{}/tokenize", self.base);
        let failed = |message: String| CorpusError::Server { url: url.clone(), message };
        let body = serde_json::to_vec(&request).map_err(|e| failed(e.to_string()))?;
        let send = || {
            self.with_key(self.agent.post(&url))
                .header("Content-Type", "application/json")
                .send(&body[..])
        };
        let sent = match send() {
            // A kept connection that the server had closed meanwhile; counting twice does no harm.
            Err(ureq::Error::Io(_)) => send(),
            other => other,
        };
        let answer: TokenizeResponse = self.answer(&url, sent)?;
        Ok(answer.tokens)
    }

    fn with_key<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.options.api_key {
            Some(key) => request.header("Authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    fn answer<T: DeserializeOwned>(
        &self,
        url: &str,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, CorpusError> {
        let failed = |message: String| CorpusError::Server { url: url.to_owned(), message };
        let mut response = sent.map_err(|e| failed(format!("the server does not answer: {e}")))?;
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 28)
            .read_to_vec()
            .map_err(|e| failed(format!("its answer breaks off: {e}")))?;
        if !status.is_success() {
            let words = ApiError::from_body(&body).message;
            let advice = match status.as_u16() {
                401 | 403 => {
                    "\n  give the key: VLLM_API_KEY in the environment or in .env, or --api-key-file"
                }
                404 if url.ends_with("/tokenize") => {
                    "\n  this server has no /tokenize: count with a tokenizer, --tokenizer MODEL-OR-PATH"
                }
                _ => "",
            };
            return Err(failed(format!("HTTP {}: {words}{advice}", status.as_u16())));
        }
        serde_json::from_slice(&body)
            .map_err(|e| failed(format!("not the answer of a vLLM server: {e}")))
    }
}

impl TokenCounter for ServerCounter {
    fn identity(&self) -> TokenizerIdentity {
        let chat_template = match self.endpoint {
            Endpoint::Chat => "the server's",
            Endpoint::Completions => "none",
        };
        TokenizerIdentity {
            name: format!("/tokenize of {}", self.model),
            sha256: None,
            chat_template: chat_template.to_owned(),
            exact: true,
        }
    }

    fn threads(&self) -> Option<usize> {
        Some(self.options.threads.max(1))
    }

    fn calibrate(&self, samples: &[&str]) -> Result<(), CorpusError> {
        let (mut bytes, mut tokens) = (0, 0);
        for &sample in samples {
            let ids = self.tokenize(TokenizeRequest {
                prompt: Some(sample.to_owned()),
                add_special_tokens: Some(false),
                ..TokenizeRequest::default()
            })?;
            bytes += sample.len() as u64;
            tokens += ids.len() as u64;
        }
        if bytes > 0 && tokens > 0 {
            // A second calibration keeps the first.
            let _ = self.ratio.set((bytes, tokens));
        }
        Ok(())
    }

    fn measure(&self, text: &str) -> Result<Measure, CorpusError> {
        // Not asked of the server: thousands of passages would be as many requests. Whole prompts are verified by it.
        let (bytes, tokens) = self.ratio.get().copied().unwrap_or((4, 1));
        let count = (text.len() as u64 * tokens).div_ceil(bytes);
        Ok(Measure::Even { tokens: count as u32, bytes: text.len() as u32 })
    }

    fn prompt_ids(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, CorpusError> {
        self.tokenize(match self.endpoint {
            Endpoint::Chat => TokenizeRequest {
                messages: Some(messages.to_vec()),
                add_generation_prompt: Some(true),
                ..TokenizeRequest::default()
            },
            Endpoint::Completions => {
                TokenizeRequest { prompt: Some(plain_text(messages)), ..TokenizeRequest::default() }
            }
        })
    }
}
