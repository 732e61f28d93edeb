//! The few plain requests around a run: models, version, metrics, tokenize. Never timed.

use std::time::Duration;

use vllm_bench_loadgen::{ApiKey, Target};
use vllm_bench_protocol::ApiError;

use crate::error::RunError;

/// Longest body taken, bytes.
const BODY_LIMIT: u64 = 64 << 20;

/// A small blocking client for one server.
pub(crate) struct Http<'a> {
    agent: ureq::Agent,
    target: &'a Target,
    api_key: Option<&'a ApiKey>,
    headers: &'a [(String, String)],
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub url: String,
    pub status: u16,
    pub server: Option<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) const fn is_ok(&self) -> bool {
        self.status == 200
    }

    /// The refusal that this answer is.
    pub(crate) fn refusal(&self, what: &str) -> RunError {
        let error = ApiError::from_body(&self.body);
        let words = error.message.trim();
        let words = if words.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            format!("HTTP {}: {words}", self.status)
        };
        RunError::Refused { url: self.url.clone(), what: what.into(), words }
    }
}

impl<'a> Http<'a> {
    pub(crate) fn new(
        target: &'a Target,
        api_key: Option<&'a ApiKey>,
        headers: &'a [(String, String)],
        ca_pem: Option<&[u8]>,
    ) -> Self {
        let mut config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None);
        if let Some(pem) = ca_pem {
            let roots: Vec<_> = ureq::tls::parse_pem(pem)
                .filter_map(Result::ok)
                .filter_map(|item| match item {
                    ureq::tls::PemItem::Certificate(c) => Some(c),
                    _ => None,
                })
                .collect();
            let tls = ureq::tls::TlsConfig::builder()
                .root_certs(ureq::tls::RootCerts::new_with_certs(&roots))
                .build();
            config = config.tls_config(tls);
        }
        Self { agent: config.build().new_agent(), target, api_key, headers }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, RunError> {
        let url = format!("{}{path}", self.target.base_url());
        let request = self.with_headers(self.agent.get(&url));
        self.answer(url, request.call())
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Answer, RunError> {
        let url = format!("{}{path}", self.target.base_url());
        let request =
            self.with_headers(self.agent.post(&url)).header("content-type", "application/json");
        self.answer(url, request.send(body))
    }

    fn with_headers<B>(&self, mut request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match self.api_key {
            Some(key) => request.header("authorization", format!("Bearer {}", key.expose())),
            None => request,
        }
    }

    fn answer(
        &self,
        url: String,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, RunError> {
        let no_server = |e: ureq::Error| RunError::NoServer {
            url: self.target.base_url(),
            reason: e.to_string(),
        };
        let mut answer = answer.map_err(no_server)?;
        let server = answer.headers().get("server").and_then(|v| v.to_str().ok()).map(Into::into);
        let status = answer.status().as_u16();
        let body =
            answer.body_mut().with_config().limit(BODY_LIMIT).read_to_vec().map_err(no_server)?;
        Ok(Answer { url, status, server, body })
    }
}
