//! Where the time of a stage's requests went: from when they were due to their last token.

mod histograms;
mod notes;

use serde::{Deserialize, Serialize};
use vllm_bench_record::Span;

pub(crate) use notes::{absence, notes};

use crate::rows::RequestRow;
use crate::stat::Stat;

/// Where the time went: over the completed requests of a stage's figures that carry the server's
/// own timings, else over all completed requests of the stage by the server's histograms.
///
/// **Answers.** vLLM puts them into an answer's `metrics` when it is started with
/// `--enable-per-request-metrics`. What they mean is from its source (0.32.0,
/// `vllm/entrypoints/generate/base/serving.py`, `build_per_request_timing_metrics`):
///
/// - `queue_time_ms`: `scheduled_ts - queued_ts`, the wait in the scheduler's queue;
/// - `time_to_first_token_ms`: `first_token_ts - scheduled_ts`. It begins where the queue **ends**,
///   so it is prefill alone: the same difference is vLLM's `request_prefill_time_seconds`, while
///   its `time_to_first_token_seconds` counts from the request's arrival;
/// - `generation_time_ms`: `last_token_ts - first_token_ts`, decode alone.
///
/// **Histograms.** Where no answer has them, what the sums and counts of `vllm:request_queue_time_seconds`,
/// `vllm:request_prefill_time_seconds` and `vllm:request_decode_time_seconds` grew by between the
/// readings before and after the stage: the same three differences, of every request that the
/// server finished in that time (vLLM 0.32.0, `vllm/v1/metrics/stats.py`,
/// `update_from_finished_request`). Means only.
///
/// All four instants are the engine core's monotonic clock; a preemption does not move
/// `scheduled_ts`. Only differences are taken of either clock, so the two need not agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeSplit {
    /// Who tells the server's part.
    #[serde(default)]
    pub source: TimeSplitSource,
    /// Requests that the client's part is of, and where answers tell, the server's too.
    pub requests: u64,
    /// Completed requests, those without timings too: of the figures' window where answers tell,
    /// of the whole stage where histograms do.
    pub completed: u64,
    /// Requests in the server's histograms; `None` where answers tell. Not equal to `completed`: the
    /// server's part is of others' requests too, or of ours that failed here after they ended there.
    #[serde(default)]
    pub server_requests: Option<u64>,
    /// Client wait: send lag, from when it was due until it was sent.
    pub client_wait_ns: TimePart,
    /// Network and front end, both ways: client TTFT − queue − prefill.
    pub network_ns: TimePart,
    /// The server's queue: `queue_time_ms`, or `request_queue_time_seconds`.
    pub queue_ns: TimePart,
    /// Prefill: `time_to_first_token_ms`, or `request_prefill_time_seconds`.
    pub prefill_ns: TimePart,
    /// Decode: `generation_time_ms`, or `request_decode_time_seconds`.
    pub decode_ns: TimePart,
    /// What does not add up: E2E from schedule minus the five parts. Below zero when tokens came
    /// closer together than the server made them.
    pub rest_ns: TimePart,
    /// End-to-end latency from the schedule, of the same requests: the sum of the means.
    pub e2e_from_schedule_ns: TimePart,
    /// Decode as the client saw it, last token − first token; beside `decode_ns`, in no sum.
    pub client_decode_ns: TimePart,
    /// Of network and front end, what passed in the API server (tokenizing, the way to the engine
    /// and back): `time_to_first_token_seconds` − queue − prefill. Beside it, in no sum. `None` where
    /// answers tell, and where that histogram is of other requests.
    #[serde(default)]
    pub front_end_ns: Option<TimePart>,
    /// What passed outside of the server: E2E from sending − `e2e_request_latency_seconds`. A first
    /// token that is held up, and caught up with by the rest, is in network and front end and taken
    /// off again in `rest_ns`; it is not in this. Beside them, in no sum. `None` as `front_end_ns`.
    #[serde(default)]
    pub outside_ns: Option<TimePart>,
}

impl TimeSplit {
    /// How many requests the server's part has more than the completed ones; below zero: fewer.
    /// `None` where it is of the same requests.
    pub fn difference(&self) -> Option<i64> {
        let difference = i128::from(self.server_requests?) - i128::from(self.completed);
        let difference = i64::try_from(difference).ok()?;
        (difference != 0).then_some(difference)
    }
}

/// Who tells the server's part of a [`TimeSplit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSplitSource {
    /// The answers' own `metrics`.
    #[default]
    Answers,
    /// The server's histograms before and after the stage.
    Histograms,
}

impl TimeSplitSource {
    /// The word on disk and in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Histograms => "histograms",
        }
    }
}

/// One part of the time. Means of parts add up, medians do not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimePart {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median; `None` where only sums and counts are known.
    pub p50: Option<f64>,
}

/// A part by name, for tables and charts.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    /// As people read it.
    pub(crate) name: &'static str,
    /// The same for a narrow column.
    pub(crate) short: &'static str,
    pub(crate) of: fn(&TimeSplit) -> TimePart,
}

/// The parts that add up to E2E from schedule, in the order of time.
pub(crate) const PARTS: [Named; 6] = [
    Named { name: "client wait", short: "wait", of: |t| t.client_wait_ns },
    Named { name: "network and front end", short: "network", of: |t| t.network_ns },
    Named { name: "queue", short: "queue", of: |t| t.queue_ns },
    Named { name: "prefill", short: "prefill", of: |t| t.prefill_ns },
    Named { name: "decode", short: "decode", of: |t| t.decode_ns },
    Named { name: "does not add up", short: "rest", of: |t| t.rest_ns },
];

/// What they add up to.
pub(crate) const SUM: Named =
    Named { name: "E2E from schedule", short: "E2E", of: |t| t.e2e_from_schedule_ns };

/// A statistic's name and how it is had.
pub(crate) type Statistic = (&'static str, fn(TimePart) -> Option<f64>);

/// The statistics of a part by name.
pub(crate) const STATISTICS: [Statistic; 2] = [("mean", |p| Some(p.mean)), ("p50", |p| p.p50)];

/// Marks a stage whose server's part is not of the completed requests alone.
pub(crate) const UNEQUAL: &str = "≠";

impl TimeSplit {
    /// The statistics that it has.
    pub(crate) fn statistics(&self) -> impl Iterator<Item = Statistic> + use<> {
        let sum = self.e2e_from_schedule_ns;
        STATISTICS.into_iter().filter(move |(_, of)| of(sum).is_some())
    }

    /// Of the `rows` sent in `span`; `None` when none of those completed carries the timings.
    pub(crate) fn of(rows: &[&RequestRow], span: Span) -> Option<Self> {
        let done = || {
            rows.iter().filter(|row| {
                row.completed() && span.holds(row.sent_at.unwrap_or(row.scheduled_at))
            })
        };
        let split: Vec<One> = done().filter_map(|row| One::of(row)).collect();
        let part = |of: fn(&One) -> f64| {
            let stat = Stat::of(split.iter().map(of))?;
            Some(TimePart { mean: stat.mean, p50: Some(stat.p50.value) })
        };
        Some(Self {
            source: TimeSplitSource::Answers,
            requests: split.len() as u64,
            completed: done().count() as u64,
            server_requests: None,
            client_wait_ns: part(|r| r.client_wait)?,
            network_ns: part(|r| r.ttft - r.queue - r.prefill)?,
            queue_ns: part(|r| r.queue)?,
            prefill_ns: part(|r| r.prefill)?,
            decode_ns: part(|r| r.decode)?,
            rest_ns: part(|r| r.e2e_from_schedule - r.client_wait - r.ttft - r.decode)?,
            e2e_from_schedule_ns: part(|r| r.e2e_from_schedule)?,
            client_decode_ns: part(|r| r.client_decode)?,
            front_end_ns: None,
            outside_ns: None,
        })
    }
}

/// The times of one request, nanoseconds.
struct One {
    client_wait: f64,
    ttft: f64,
    queue: f64,
    prefill: f64,
    decode: f64,
    client_decode: f64,
    e2e_from_schedule: f64,
}

impl One {
    /// `None` when any is missing: a sum of some parts would be no sum.
    fn of(row: &RequestRow) -> Option<Self> {
        let nanos = crate::span::nanos;
        Some(Self {
            client_wait: nanos(row.send_lag?),
            ttft: nanos(row.ttft?),
            queue: row.server.queue_ms? * 1e6,
            prefill: row.server.ttft_ms? * 1e6,
            decode: row.server.generation_ms? * 1e6,
            client_decode: nanos(row.last_token_at?.since(row.first_token_at?)),
            e2e_from_schedule: nanos(row.e2e_from_schedule?),
        })
    }
}
