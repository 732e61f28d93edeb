//! What the client's own error was, measured against a server whose writes are known.

use serde::{Deserialize, Serialize};

/// The load generator measured just before a run, on the same host, against the embedded truth
/// server in a process of its own: a server that paces its writes by absolute deadlines and logs
/// each on the same monotonic clock. What is found is the error bar of every time in the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Streams at once, those of the run's heaviest stage (or as many as are worth trying here).
    pub streams: u32,
    /// Tokens a second, all streams together.
    pub tokens_per_second: f64,
    /// Token-bearing events compared.
    pub events: u64,
    /// Of these, events that came in one read with a later one: no arrival of their own.
    pub coalesced: u64,
    /// Our stamp of an event − the truth server's clock just before its write; events that are
    /// not coalesced. Absolute values.
    pub arrival_error: ErrorQuantiles,
    /// Our TTFT − (write of the first event − the request's kernel arrival at the server).
    pub ttft_error: ErrorQuantiles,
    /// Our gaps − the server's, all events.
    pub itl_error: ErrorQuantiles,
    /// Tokens a second that this host took in when the server wrote as fast as it could.
    pub max_tokens_per_second: f64,
    /// CPU time of the load generator a token, nanoseconds.
    pub cpu_ns_per_token: f64,
    /// How long calibrating took, seconds.
    pub seconds: f64,
}

/// Quantiles of absolute errors, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorQuantiles {
    /// Values.
    pub count: u64,
    /// Median, ns.
    pub p50_ns: f64,
    /// 99th percentile, ns.
    pub p99_ns: f64,
}
