//! What every client of a measurement sends: the same requests, byte for byte in the body.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The load of one measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientPlan {
    /// The truth server.
    pub addr: SocketAddr,
    /// Streams at once.
    pub streams: u32,
    /// Requests of each stream, one after the other.
    pub requests_per_stream: u32,
    /// Tokens asked for with each request.
    pub tokens: u32,
    /// Keep every arrival. Off where only the cost is of interest.
    pub keep_arrivals: bool,
}

impl ClientPlan {
    /// One stream, one request of 16 tokens to `addr`, arrivals kept.
    pub const fn to(addr: SocketAddr) -> Self {
        Self { addr, streams: 1, requests_per_stream: 1, tokens: 16, keep_arrivals: true }
    }

    /// Requests in all.
    pub fn requests(&self) -> u64 {
        u64::from(self.streams) * u64::from(self.requests_per_stream)
    }

    /// Tokens in all.
    pub fn tokens(&self) -> u64 {
        self.requests() * u64::from(self.tokens)
    }

    /// The id of the request number `n`, from 0; unique in the plan.
    pub fn request_id(&self, n: u64) -> String {
        format!("bench-{n}")
    }

    /// The body of every request.
    pub fn body(&self) -> String {
        format!(
            "{{\"model\":\"truth\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}],\
             \"max_tokens\":{},\"temperature\":0.0,\"ignore_eos\":true,\"stream\":true,\
             \"stream_options\":{{\"include_usage\":true}}}}",
            "Say something of the length asked for. ".repeat(8),
            self.tokens
        )
    }
}

impl Default for ClientPlan {
    fn default() -> Self {
        Self::to(SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_json_and_asks_for_the_tokens() {
        let plan =
            ClientPlan { tokens: 77, streams: 3, requests_per_stream: 5, ..Default::default() };
        let body: serde_json::Value = serde_json::from_str(&plan.body()).expect("JSON");
        assert_eq!(body["max_tokens"], 77);
        assert_eq!(body["stream_options"]["include_usage"], true);
        assert_eq!((plan.requests(), plan.tokens()), (15, 15 * 77));
    }
}
