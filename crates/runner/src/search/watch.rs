//! One probe while it runs.

use std::time::Duration;

use vllm_bench_loadgen::StopHandle;
use vllm_bench_record::{ProbeOutcome, RequestRecord, Timestamp};

use super::figures::{Judgement, ProbeFigures, Steady};
use super::machine::ProbeResult;
use super::objective::Objective;

/// Takes the probe's requests as they end, and ends the probe when nothing can save it.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    objectives: &'a [Objective],
    warmup: Duration,
    /// Requests that the probe sends in all; `None` when only time bounds it.
    planned: Option<u64>,
    started_at: Timestamp,
    figures: ProbeFigures,
    given_up: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(objectives: &'a [Objective], warmup: Duration, planned: Option<u64>) -> Self {
        let (started_at, figures) = (Timestamp::ZERO, ProbeFigures::default());
        Self { objectives, warmup, planned, started_at, figures, given_up: false }
    }

    /// The probe starts to send.
    pub(crate) fn begin(&mut self, at: Timestamp) {
        self.started_at = at;
    }

    /// A request has ended.
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        self.figures.add(record, self.objectives);
    }

    /// Some time has passed.
    pub(crate) fn tick(&mut self, stop: &StopHandle) {
        let Some(planned) = self.planned.filter(|_| !self.given_up) else { return };
        if self.figures.hopeless(self.objectives, self.started_at + self.warmup, planned) {
            self.given_up = true;
            stop.end_stage();
        }
    }

    /// Whether it was ended before its time.
    pub(crate) const fn given_up(&self) -> bool {
        self.given_up
    }

    /// Requests that have ended, of any part of the probe.
    pub(crate) fn ended(&self) -> u64 {
        self.figures.len() as u64
    }

    /// What it came to.
    pub(crate) fn judge(&self) -> Judgement {
        let from = self.started_at + self.warmup;
        let to = self.figures.last_arrival().unwrap_or(from);
        let mut judgement = self.figures.judge(self.objectives, Steady { from, to });
        if self.given_up {
            // What was not sent any more could not have made it hold.
            let outcome = ProbeOutcome::Fails;
            judgement.result = ProbeResult { outcome, estimate: Some(false) };
        }
        judgement
    }
}
