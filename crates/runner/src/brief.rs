//! The short summary that a run keeps of itself, from its own records.

use std::time::Duration;

use serde::Serialize;
use vllm_bench_record::{
    FailureCause, Outcome, RequestRecord, Slo, SloMetric, SloTarget, Timestamp, percentile,
};

use crate::histogram::Histogram;

/// One stage in short; all of its time, drain included. The report has the steady window.
#[derive(Debug, Clone, Default)]
pub struct Brief {
    completed: u64,
    failed: u64,
    cancelled: u64,
    causes: Vec<(FailureCause, u64, String)>,
    output_tokens: u64,
    prompt_tokens: u64,
    cached_tokens: Option<u64>,
    ttft_ns: Vec<f64>,
    ttft_from_schedule_ns: Vec<f64>,
    tpot_ns: Vec<f64>,
    /// One a token: too many to keep.
    itl: Histogram,
    /// What the live line shows of TTFT: sorting all of it at each tick would cost more and more.
    ttft_live: Histogram,
    e2e_ns: Vec<f64>,
    e2e_from_schedule_ns: Vec<f64>,
    /// The objectives that requests are counted as good by.
    slos: Vec<Slo>,
    good: u64,
}

/// The figures of a [`Brief`], for a table or a script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BriefFigures {
    /// The stage's label.
    pub stage: String,
    /// Requests that completed.
    pub completed: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were cancelled.
    pub cancelled: u64,
    /// Completed requests per second; `None` for a stage without time.
    pub request_rate: Option<f64>,
    /// Output tokens per second.
    pub output_tokens_per_s: Option<f64>,
    /// Median TTFT, ms.
    pub ttft_p50_ms: Option<f64>,
    /// 95th percentile of TTFT, ms.
    pub ttft_p95_ms: Option<f64>,
    /// Median TPOT, ms.
    pub tpot_p50_ms: Option<f64>,
    /// 95th percentile of TPOT, ms.
    pub tpot_p95_ms: Option<f64>,
    /// Prompt tokens, by the server.
    pub prompt_tokens: u64,
    /// Output tokens, by the server.
    pub output_tokens: u64,
    /// Prompt tokens from the prefix cache; `None` when the server does not tell.
    pub cached_tokens: Option<u64>,
    /// Causes of failure, most frequent first, with an example.
    pub errors: Vec<BriefError>,
    /// Whether every objective holds; `None` without objectives or figures.
    pub slo_met: Option<bool>,
}

/// One cause of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BriefError {
    /// The cause.
    pub cause: &'static str,
    /// How often.
    pub count: u64,
    /// One message, as the server or the system said it.
    pub example: String,
}

impl Brief {
    /// Empty, for a run with these objectives.
    pub fn new(slos: &[Slo]) -> Self {
        Self { slos: slos.to_vec(), ..Self::default() }
    }

    /// Adds a finished request.
    pub fn add(&mut self, record: &RequestRecord) {
        match &record.outcome {
            Outcome::Completed => self.completed += 1,
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::Failed(failure) => {
                self.failed += 1;
                match self.causes.iter_mut().find(|(cause, ..)| *cause == failure.cause) {
                    Some((_, count, _)) => *count += 1,
                    None => self.causes.push((failure.cause, 1, failure.message.clone())),
                }
            }
        }
        self.output_tokens += record.output_tokens.map_or(0, |t| u64::from(t.count));
        self.prompt_tokens += record.prompt_tokens.map_or(0, u64::from);
        if let Some(cached) = record.cached_tokens {
            *self.cached_tokens.get_or_insert(0) += u64::from(cached);
        }
        if record.outcome == Outcome::Completed {
            self.good += u64::from(self.slos.iter().all(|slo| slo.met_by(record)));
            let push = |list: &mut Vec<f64>, value: Option<Duration>| {
                list.extend(value.map(|d| d.as_nanos() as f64));
            };
            push(&mut self.ttft_ns, record.ttft());
            push(&mut self.ttft_from_schedule_ns, record.ttft_from_schedule());
            push(&mut self.tpot_ns, record.tpot());
            push(&mut self.e2e_ns, record.e2e());
            push(&mut self.e2e_from_schedule_ns, record.e2e_from_schedule());
            self.itl.extend(record.itl());
            self.ttft_live.extend(record.ttft());
        }
    }

    /// Requests ended so far.
    pub const fn finished(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Requests that failed so far.
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Median and 95th percentile of TTFT so far, ms.
    pub fn ttft_ms(&self) -> Option<(f64, f64)> {
        Some((ms(self.ttft_live.quantile(0.5)?), ms(self.ttft_live.quantile(0.95)?)))
    }

    /// The figures of a stage that ran from `start` to `end`.
    pub fn figures(&self, stage: &str, start: Timestamp, end: Timestamp) -> BriefFigures {
        let secs = end.since(start).as_secs_f64();
        let rate = |n: u64| (secs > 0.0).then(|| n as f64 / secs);
        let at = |list: &[f64], q| percentile::quantile(list, q).map(ms);
        let (ttft, tpot) = (sorted(&self.ttft_ns), sorted(&self.tpot_ns));
        let mut errors: Vec<BriefError> = self
            .causes
            .iter()
            .map(|(cause, count, example)| BriefError {
                cause: cause.as_str(),
                count: *count,
                example: example.clone(),
            })
            .collect();
        errors.sort_by_key(|e| std::cmp::Reverse(e.count));
        BriefFigures {
            stage: stage.to_owned(),
            completed: self.completed,
            failed: self.failed,
            cancelled: self.cancelled,
            request_rate: rate(self.completed),
            output_tokens_per_s: rate(self.output_tokens),
            ttft_p50_ms: at(&ttft, 0.5),
            ttft_p95_ms: at(&ttft, 0.95),
            tpot_p50_ms: at(&tpot, 0.5),
            tpot_p95_ms: at(&tpot, 0.95),
            prompt_tokens: self.prompt_tokens,
            output_tokens: self.output_tokens,
            cached_tokens: self.cached_tokens,
            errors,
            slo_met: self.slo_met(),
        }
    }

    fn slo_met(&self) -> Option<bool> {
        let met: Vec<bool> = self.slos.iter().filter_map(|slo| self.meets(slo)).collect();
        (!met.is_empty()).then(|| met.into_iter().all(|m| m))
    }

    fn meets(&self, slo: &Slo) -> Option<bool> {
        let value = match slo.target {
            SloTarget::ErrorRate => {
                let ended = self.completed + self.failed;
                (ended > 0).then(|| self.failed as f64 / ended as f64)?
            }
            SloTarget::Goodput => {
                let ended = self.completed + self.failed;
                (ended > 0).then(|| self.good as f64 / ended as f64)?
            }
            SloTarget::Latency(metric, statistic) => {
                let list = match metric {
                    SloMetric::Ttft => &self.ttft_ns,
                    SloMetric::TtftFromSchedule => &self.ttft_from_schedule_ns,
                    SloMetric::Tpot => &self.tpot_ns,
                    SloMetric::E2e => &self.e2e_ns,
                    SloMetric::E2eFromSchedule => &self.e2e_from_schedule_ns,
                    SloMetric::Itl => return self.itl.statistic(statistic).map(|v| slo.holds(v)),
                };
                statistic.of(&sorted(list))?
            }
        };
        Some(slo.holds(value))
    }
}

fn ms(ns: f64) -> f64 {
    ns / 1e6
}

fn sorted(list: &[f64]) -> Vec<f64> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}
