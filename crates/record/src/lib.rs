//! What a run leaves behind: plain data, without I/O, and the one definition of every metric.
//!
//! The principal types are [`RequestRecord`] (one request as it was observed),
//! [`GpuSample`] and [`EngineSample`] (telemetry on the same clock) and
//! [`Manifest`] (what the run was). Time is a [`Timestamp`] on a [`RunClock`].
//!
//! ```
//! use std::time::Duration;
//! use vllm_bench_record::{ChunkArrival, Timestamp};
//!
//! let sent_at = Timestamp::from_nanos(5_000_000);
//! let first = ChunkArrival {
//!     at: sent_at + Duration::from_millis(40),
//!     tokens: 1,
//!     coalesced: false,
//!     client_lag: None,
//! };
//! assert_eq!(first.at.since(sent_at), Duration::from_millis(40));
//! ```

mod calibration;
mod capture;
pub mod columns;
mod engine;
mod engine_delta;
mod gpu;
pub mod layout;
mod load;
mod manifest;
pub mod percentile;
mod request;
mod search;
mod slo;
mod time;
mod verdict;
mod window;
pub mod words;

pub use calibration::{Calibration, ErrorQuantiles};
pub use capture::CaptureInfo;
pub use engine::{EngineSample, HistogramTotals};
pub use engine_delta::EngineDelta;
pub use gpu::{GpuSample, GpuSource};
pub use load::{Level, OpenLoad, StageLoad};
pub use manifest::{
    ClientCpu, ClockSource, CorpusInfo, HostInfo, Manifest, Phase, RunStatus, SCHEMA_VERSION,
    ScenarioInfo, ServerInfo, StageEnd, StageInfo, TelemetryInfo,
};
pub use request::{
    ChunkArrival, ChunkTokenSource, Failure, FailureCause, Outcome, RequestRecord, ServerTimings,
    TokenCount, TokenCountSource, inter_chunk_latencies, inter_token_latencies,
};
pub use search::{Capacity, Probe, ProbeObjective, ProbeOutcome, SearchAxis, SearchInfo};
pub use slo::{Slo, SloError, SloMetric, SloStatistic, SloTarget};
pub use time::{RunClock, Timestamp};
pub use verdict::{
    Arrivals, Check, CheckKind, CheckStatus, Counts, Ended, Evidence, FINISHED_BY_LENGTH,
    GpuEvidence, RequestFacts, ServerStarts, StageEvidence, SteadyEvidence, Verdict,
};
pub use window::{InFlight, Span, steady_stands, steady_window};
