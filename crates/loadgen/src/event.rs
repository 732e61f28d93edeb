//! What a stage says while it runs.

use vllm_bench_record::{RequestRecord, Timestamp};

/// Said by [`run_stage`](crate::run_stage), in the caller's thread.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LoadEvent {
    /// Connections are open (or found impossible, which the requests will tell);
    /// the load starts now.
    StageStarted {
        /// Start of the stage.
        at: Timestamp,
        /// Connections that are open.
        connections: u32,
    },
    /// A request ended, however it did.
    RequestFinished(Box<RequestRecord>),
    /// Some time passed; for progress displays.
    Tick(Live),
    /// All requests have ended.
    StageFinished {
        /// End of the last request.
        at: Timestamp,
    },
}

/// Counts so far in this stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Live {
    /// Requests that have come due: those ended, those in flight and, in an open loop, those
    /// that wait for a free slot, as far as they are prepared.
    pub due: u64,
    /// Requests sent and not yet ended.
    pub in_flight: u32,
    /// Requests ended.
    pub finished: u64,
    /// Tokens that have arrived.
    pub tokens: u64,
}
