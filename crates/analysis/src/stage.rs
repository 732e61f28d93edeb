//! The figures of one measured stage: the shapes. How they are found: `measure.rs`.

use serde::{Deserialize, Serialize};
use vllm_bench_record::{ClientCpu, FailureCause, Level, OpenLoad, StageEnd, Timestamp};

use crate::economy::Economy;
use crate::stat::Stat;
use crate::time_split::TimeSplit;

/// Every figure of one measured stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Index into the manifest's `stages` and of `RequestRow::stage_index`.
    pub index: u32,
    /// Its name: `cc 8`.
    pub label: String,
    /// How hard it asked: users at once, or requests a second. On disk `concurrency` or `rate`.
    #[serde(flatten)]
    pub level: Level,
    /// How its arrivals were made; `None` for a closed loop.
    #[serde(default)]
    pub open: Option<OpenLoad>,
    /// Why it ended; `None` when it did not.
    pub ended: Option<StageEnd>,
    /// Requests planned; `None` when only a duration bounds it.
    pub planned: Option<u64>,
    /// Requests recorded, whatever became of them.
    pub requests: u64,
    /// Of these, whole answers.
    pub completed: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, stopped by the run's own end.
    pub cancelled: u64,
    /// Completed among completed and failed, 0 to 1; `None` when there are neither.
    pub success_rate: Option<f64>,
    /// Failures by cause, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// Completed answers with fewer tokens than `max_tokens`; `None` when no request set one.
    pub early_stops: Option<u64>,
    /// Figures of the steady window: at full load in a closed loop, from the end of the declared
    /// warm-up to the last arrival in an open one. `None` when there was no such time.
    pub steady: Option<WindowSummary>,
    /// Figures of the whole stage; `None` when nothing was sent.
    pub whole: Option<WindowSummary>,
    /// Which of the two stands in tables and is held against the objectives.
    pub figures_from: FiguresFrom,
    /// Where the time of the requests went; `None` when none carries the server's own timings (vLLM
    /// sends them with `--enable-per-request-metrics`) and its histograms were not read around the
    /// stage, or when answers were not streamed.
    #[serde(default)]
    pub time_split: Option<TimeSplit>,
    /// One result an objective, in the order of their names.
    pub slo: Vec<SloResult>,
    /// The servers' counters over the stage; `None` when they were not read before and after.
    pub server: Option<ServerCounts>,
    /// CPU time of the load generator; `None` when it was not told.
    #[serde(default)]
    pub client_cpu: Option<ClientCpu>,
    /// What its figures cost; `None` when it has none.
    #[serde(default)]
    pub economy: Option<Economy>,
}

impl StageSummary {
    /// The figures that tables and charts show: of the steady window where it holds at least half
    /// of the completed requests (any at all in an open loop, whose warm-up was declared), else of
    /// the whole stage. `None` when nothing was sent.
    pub fn figures(&self) -> Option<&WindowSummary> {
        match self.figures_from {
            FiguresFrom::Steady => self.steady.as_ref(),
            FiguresFrom::Whole => self.whole.as_ref(),
        }
    }

    /// Whether every objective is met: `None` when there is none or one cannot be told.
    pub fn slo_met(&self) -> Option<bool> {
        if self.slo.iter().any(|s| s.met == Some(false)) {
            return Some(false);
        }
        (!self.slo.is_empty() && self.slo.iter().all(|s| s.met.is_some())).then_some(true)
    }
}

/// Which window a stage's figures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiguresFrom {
    /// While the target was in flight; in an open loop after its warm-up, while requests arrived.
    Steady,
    /// From the first sending to the last end.
    Whole,
}

/// Failures of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The cause.
    pub cause: FailureCause,
    /// The HTTP status they share; `None` when they have none.
    pub http_status: Option<u16>,
    /// How many.
    pub count: u64,
    /// The most frequent message.
    pub example: Option<String>,
}

/// The figures of one span of a stage.
///
/// A request belongs to the span in which it was sent, and is followed to its end; tokens, gaps
/// and completions belong to the span in which they arrived. Latencies are of completed requests
/// only; token rates count every token that arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowSummary {
    /// Its start, run clock.
    pub from_ns: Timestamp,
    /// Its end, run clock.
    pub to_ns: Timestamp,
    /// Its length, seconds.
    pub seconds: f64,
    /// Requests sent in it.
    pub sent: u64,
    /// Of these, whole answers.
    pub completed: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, cancelled.
    pub cancelled: u64,
    /// Requests that were due in it, a second: what the load plan asked for.
    #[serde(default)]
    pub due_per_s: Option<f64>,
    /// Requests sent a second. Rates are `None` for a span without length.
    pub sent_per_s: Option<f64>,
    /// Completions a second: answers that ended in the span.
    pub completed_per_s: Option<f64>,
    /// Output tokens that arrived in the span, a second.
    pub output_tokens_per_s: Option<f64>,
    /// The same, and the prompt tokens of requests whose first token arrived in it; `None` when a
    /// prompt's tokens are unknown.
    pub total_tokens_per_s: Option<f64>,
    /// Time-weighted mean of requests in flight.
    pub in_flight_mean: Option<f64>,
    /// Most requests in flight at once.
    pub in_flight_max: u32,
    /// Time to first token.
    pub ttft_ns: Option<Stat>,
    /// Time to first token, from the schedule.
    pub ttft_from_schedule_ns: Option<Stat>,
    /// Time per output token.
    pub tpot_ns: Option<Stat>,
    /// Inter-token latency, once a token.
    pub itl_ns: Option<Stat>,
    /// Inter-chunk latency, once a chunk.
    pub icl_ns: Option<Stat>,
    /// End-to-end latency.
    pub e2e_ns: Option<Stat>,
    /// End-to-end latency, from the schedule.
    pub e2e_from_schedule_ns: Option<Stat>,
    /// End-to-end latency divided by output tokens.
    pub normalised_latency_ns: Option<Stat>,
    /// Lateness of sending.
    pub send_lag_ns: Option<Stat>,
    /// How late this program read each chunk; `None` without kernel stamps.
    pub client_lag_ns: Option<Stat>,
    /// Output tokens a second of each request.
    pub request_tokens_per_s: Option<Stat>,
    /// Prompt tokens a request.
    pub prompt_tokens: Option<Stat>,
    /// Output tokens a request.
    pub output_tokens: Option<Stat>,
    /// Prompt tokens that the server took from its cache; `None` when it does not tell.
    pub cached_tokens: Option<u64>,
    /// Their share of the prompt tokens of the requests that tell, 0 to 1.
    pub cached_share: Option<f64>,
    /// How tokens came in chunks.
    pub chunks: ChunkShares,
    /// Requests that meet every objective; `None` when there are no objectives.
    pub goodput: Option<Goodput>,
    /// The server's own figures, where answers carry them.
    pub server: ServerFigures,
}

impl WindowSummary {
    /// Whether requests waited to be sent: TTFT from schedule is more than a trifle (a
    /// millisecond, and 2 %) above TTFT at p50, p95 or p99.
    pub fn waits_to_send(&self) -> bool {
        let Some((sent, due)) = self.ttft_ns.zip(self.ttft_from_schedule_ns) else { return false };
        let parts = |sent: f64, due: f64| due - sent > (sent * 0.02).max(1e6);
        [(sent.p50, due.p50), (sent.p95, due.p95), (sent.p99, due.p99)]
            .into_iter()
            .any(|(sent, due)| parts(sent.value, due.value))
    }
}

/// How the tokens of a span's completed requests came in chunks. Shares are 0 to 1, `None` of no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ChunkShares {
    /// Token-bearing chunks.
    pub count: u64,
    /// Chunks that came in one read with a later one (interval-censored arrivals).
    pub coalesced: Option<f64>,
    /// Chunks of more than one token.
    pub multi_token: Option<f64>,
    /// Chunks whose tokens were assumed to be one.
    pub assumed: Option<f64>,
}

/// Requests that meet every objective.
///
/// A latency objective holds for one request when that request's own value is within the limit
/// (for ITL, the objective's statistic of its own gaps). A failed request never does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Goodput {
    /// How many of the span's completed and failed requests meet all.
    pub requests: u64,
    /// Their share, 0 to 1; `None` of none.
    pub share: Option<f64>,
    /// Such requests sent in the span, a second.
    pub per_s: Option<f64>,
}

/// The server's own figures of the span's completed requests; `None` where answers carry none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerFigures {
    /// Its time to first token. vLLM counts it from when the request leaves the queue: [`TimeSplit`].
    pub ttft_ns: Option<Stat>,
    /// Its queue time.
    pub queue_ns: Option<Stat>,
    /// Its generation time.
    pub generation_ns: Option<Stat>,
    /// The client's TTFT minus the server's: the path, and with vLLM the queue too.
    pub path_ns: Option<Stat>,
}

/// One objective held against a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SloResult {
    /// Its name: `ttft_p95`.
    pub name: String,
    /// The limit as written.
    pub limit_text: String,
    /// The limit: nanoseconds, or a share for `error_rate`.
    pub limit: f64,
    /// The stage's figure, same unit; `None` when there is none.
    pub figure: Option<f64>,
    /// Lower end of the figure's 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Whether the figure is within the limit; `None` without a figure.
    pub met: Option<bool>,
    /// The interval lies on one side of the limit. `false` means that another run may say otherwise.
    pub certain: bool,
}

/// What the servers' counters say of a stage, beside what this program counted.
///
/// Deltas are summed over the servers; `None` when a server does not export the counter or was
/// restarted meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerCounts {
    /// A server was restarted during the stage (new process, or counters ran backwards).
    pub restarted: bool,
    /// Requests that the servers ended.
    pub requests: Option<u64>,
    /// Requests that this program sent.
    pub client_requests: u64,
    /// Prompt tokens by the servers.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens by the answers' usage.
    pub client_prompt_tokens: u64,
    /// Generated tokens by the servers.
    pub generation_tokens: Option<u64>,
    /// Output tokens by the answers.
    pub client_output_tokens: u64,
    /// Requests of ours whose token counts are not fully known (failed, cancelled, no usage).
    pub client_unknown: u64,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_cache_queries: Option<u64>,
    /// Prompt tokens found there.
    pub prefix_cache_hits: Option<u64>,
    /// Preemptions.
    pub preemptions: Option<u64>,
}
