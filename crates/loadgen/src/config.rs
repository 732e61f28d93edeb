//! What to send to, and with which limits.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;
use vllm_bench_protocol::Endpoint;

use crate::target::Target;

/// Everything that is the same for every request of a run.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The servers; user `i` of a stage, or request `i` of an open loop, goes to target `i mod n`.
    pub targets: Vec<Target>,
    /// The endpoint asked.
    pub endpoint: Endpoint,
    /// Whether the bodies ask for a streamed answer.
    pub stream: bool,
    /// Bearer key.
    pub api_key: Option<ApiKey>,
    /// Extra headers, sent with every request.
    pub headers: Vec<(String, String)>,
    /// Limits of one request.
    pub timeouts: Timeouts,
    /// Keep the answers' text in the records.
    pub keep_answers: bool,
    /// Load-generator threads; `None` is one a CPU, in a closed loop never more than there are
    /// users.
    pub workers: Option<NonZeroUsize>,
    /// A further certificate authority to trust, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// How arrivals are stamped.
    pub arrivals: Arrivals,
}

/// How arrivals are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// By the kernel, where it offers receive stamps (Linux); else as `Userland`.
    /// Each chunk's `client_lag` tells which it was.
    #[default]
    Kernel,
    /// By the clock right after each read.
    Userland,
    /// By the kernel, and then each event's own segment by a packet capture beside
    /// the connections: exact even where this program read several at once. Linux, plain
    /// HTTP, and the capability `NET_RAW`; a stage that lacks one of these is an error.
    Capture,
}

impl ClientConfig {
    /// Streamed chat to `target`, default limits, no key.
    pub fn new(target: Target) -> Self {
        Self {
            targets: vec![target],
            endpoint: Endpoint::Chat,
            stream: true,
            api_key: None,
            headers: Vec::new(),
            timeouts: Timeouts::default(),
            keep_answers: true,
            workers: None,
            ca_pem: None,
            arrivals: Arrivals::Kernel,
        }
    }
}

/// Limits of one request. A request that meets one fails with it as its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For opening a connection, TLS included.
    pub connect: Duration,
    /// From `sent_at` to the first token.
    pub first_token: Duration,
    /// From one token-bearing chunk to the next.
    pub between_tokens: Duration,
    /// From `sent_at` to the end of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(120),
            between_tokens: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// A bearer key that does not show itself.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key itself, for the `Authorization` header only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show_itself() {
        assert!(!format!("{:?}", ApiKey::new("hunter2")).contains("hunter2"));
    }
}
