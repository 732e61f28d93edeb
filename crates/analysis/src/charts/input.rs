//! What the charts are drawn from: plain numbers, milliseconds and seconds since run start.

use vllm_bench_record::{Level, ProbeOutcome};

/// Measured values of one stage, one a request, unsorted.
#[derive(Debug, Clone, Default)]
pub struct StageSamples {
    /// Name in the legend: `16 streams`.
    pub stage: String,
    /// The values.
    pub values: Vec<f64>,
}

/// One stage's span on the time axis.
#[derive(Debug, Clone, Default)]
pub struct Band {
    /// Name where there is room: `16 streams`.
    pub label: String,
    /// Name where there is little: `16`.
    pub short: String,
    /// Seconds since run start.
    pub start_s: f64,
    /// Seconds since run start.
    pub end_s: f64,
    /// Not counted; drawn hatched.
    pub warmup: bool,
}

/// The time axis that all time charts share.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// The stages, in order.
    pub bands: Vec<Band>,
    /// The run's end, seconds since run start.
    pub end_s: f64,
}

/// One request on the time axis.
#[derive(Debug, Clone, Copy)]
pub struct RequestPoint {
    /// When it was sent, seconds since run start.
    pub sent_s: f64,
    /// TTFT in ms; `None` when it failed.
    pub ttft_ms: Option<f64>,
}

/// A named series over time.
#[derive(Debug, Clone, Default)]
pub struct TimeSeries {
    /// Name in the legend.
    pub name: String,
    /// Seconds since run start and the value; `None` breaks the line.
    pub points: Vec<(f64, Option<f64>)>,
}

/// How requests arrived: `(middle of a bin in seconds, value)`, bins without gaps.
#[derive(Debug, Clone, Default)]
pub struct ArrivalSeries {
    /// Requests that were due, a second.
    pub due: Vec<(f64, f64)>,
    /// Requests sent, a second.
    pub sent: Vec<(f64, f64)>,
    /// Requests completed, a second.
    pub completed: Vec<(f64, f64)>,
    /// Requests in flight, the mean over a bin.
    pub in_flight: Vec<(f64, f64)>,
    /// Most that may be in flight, where all open loops have the same limit.
    pub cap: Option<u32>,
    /// Width of a bin, seconds.
    pub bin_s: f64,
}

/// A capacity search in the order of its probes.
#[derive(Debug, Clone, Default)]
pub struct SearchPoints {
    /// The probes.
    pub probes: Vec<ProbePoint>,
    /// The highest load that holds.
    pub answer: Option<Level>,
}

/// One probe of a search.
#[derive(Debug, Clone)]
pub struct ProbePoint {
    /// The load tried.
    pub level: Level,
    /// How it came out.
    pub outcome: ProbeOutcome,
    /// What the pointer shows.
    pub lines: Vec<String>,
}

/// An estimate with its uncertainty.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figure {
    /// The estimate.
    pub value: f64,
    /// Confidence interval.
    pub interval: Option<(f64, f64)>,
    /// Too few samples to lean on it.
    pub few: bool,
}

impl Figure {
    /// A figure without an interval.
    pub const fn new(value: f64) -> Self {
        Self { value, interval: None, few: false }
    }
}

/// Percentiles of one metric in one stage; `None` when nothing was measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantiles {
    /// Median.
    pub p50: Option<Figure>,
    /// 95th percentile.
    pub p95: Option<Figure>,
    /// 99th percentile.
    pub p99: Option<Figure>,
}

/// One stage on the axis of load.
#[derive(Debug, Clone)]
pub struct StagePoint {
    /// Name: `16 streams`.
    pub stage: String,
    /// How hard it asked.
    pub level: Level,
    /// Requests that the figures rest on.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Output tokens per second.
    pub output_tokens_per_s: Option<f64>,
    /// Completed requests per second.
    pub requests_per_s: Option<f64>,
    /// Requests that were due, per second; of open loops.
    pub due_per_s: Option<f64>,
    /// Requests sent per second; of open loops.
    pub sent_per_s: Option<f64>,
    /// TTFT, milliseconds.
    pub ttft_ms: Quantiles,
    /// TTFT from schedule, milliseconds, where it parts from TTFT.
    pub ttft_from_schedule_ms: Quantiles,
    /// TPOT, milliseconds.
    pub tpot_ms: Quantiles,
    /// E2E latency, milliseconds.
    pub e2e_ms: Quantiles,
    /// The latency that the run's [`Goal`] names, milliseconds.
    pub goal_ms: Option<Figure>,
}

impl StagePoint {
    /// A stage of which nothing is known but its load.
    pub fn new(stage: impl Into<String>, level: Level) -> Self {
        Self {
            stage: stage.into(),
            level,
            requests: 0,
            failed: 0,
            output_tokens_per_s: None,
            requests_per_s: None,
            due_per_s: None,
            sent_per_s: None,
            ttft_ms: Quantiles::default(),
            ttft_from_schedule_ms: Quantiles::default(),
            tpot_ms: Quantiles::default(),
            e2e_ms: Quantiles::default(),
            goal_ms: None,
        }
    }
}

/// The latency axis of the throughput–latency curve.
#[derive(Debug, Clone)]
pub struct Goal {
    /// What is drawn: `TTFT p95`.
    pub name: String,
    /// The objective, milliseconds, when the scenario has one for it.
    pub limit_ms: Option<f64>,
}

/// One of several runs that are compared.
#[derive(Debug, Clone)]
pub struct RunPoints {
    /// Name in the legend.
    pub run: String,
    /// Its stages.
    pub stages: Vec<StagePoint>,
}
