//! The latencies of a stage by name: the one list that tables, CSV and comparisons go through.

use crate::stage::WindowSummary;
use crate::stat::{Percentile, Stat};

/// A latency of a stage.
#[derive(Clone, Copy)]
pub(crate) struct Latency {
    /// As people read it: `TTFT`.
    pub(crate) name: &'static str,
    /// As column names begin: `ttft`.
    pub(crate) key: &'static str,
    /// Its distribution, nanoseconds.
    pub(crate) of: fn(&WindowSummary) -> Option<Stat>,
}

/// All latencies, in the order in which they are shown.
pub(crate) const LATENCIES: [Latency; 7] = [
    Latency { name: "TTFT", key: "ttft", of: |w| w.ttft_ns },
    Latency {
        name: "TTFT from schedule",
        key: "ttft_from_schedule",
        of: |w| w.ttft_from_schedule_ns,
    },
    Latency { name: "TPOT", key: "tpot", of: |w| w.tpot_ns },
    Latency { name: "ITL", key: "itl", of: |w| w.itl_ns },
    Latency { name: "ICL", key: "icl", of: |w| w.icl_ns },
    Latency { name: "E2E", key: "e2e", of: |w| w.e2e_ns },
    Latency { name: "E2E from schedule", key: "e2e_from_schedule", of: |w| w.e2e_from_schedule_ns },
];

/// A percentile's name and how it is had.
type Named = (&'static str, fn(&Stat) -> Percentile);

/// The percentiles of a distribution by name.
pub(crate) const PERCENTILES: [Named; 4] =
    [("p50", |s| s.p50), ("p90", |s| s.p90), ("p95", |s| s.p95), ("p99", |s| s.p99)];
