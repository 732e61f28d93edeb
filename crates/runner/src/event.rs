//! What a run says of itself while it runs: for progress, for scripts, for tests.

use std::path::PathBuf;

use serde::Serialize;
use vllm_bench_record::{
    Calibration, Check, CheckStatus, Phase, Probe, SearchAxis, SearchInfo, StageLoad,
};

use crate::brief::BriefFigures;

/// Said by [`execute`](crate::execute), in the caller's thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The client's own error is being measured, before the run begins.
    Calibrating {
        /// Seconds since its start.
        elapsed_s: f64,
        /// How long it is to take, seconds.
        planned_s: f64,
        /// Streams that it is measured with.
        streams: u32,
    },
    /// The client's own error was measured.
    Calibrated {
        /// What it is.
        calibration: Calibration,
    },
    /// The run directory is there.
    RunStarted {
        /// It.
        run_dir: PathBuf,
        /// The scenario's name.
        scenario: String,
        /// The model under test.
        model: String,
        /// It runs on the simulator.
        simulated: bool,
        /// Stages to come.
        stages: usize,
    },
    /// A stage's connections are open and its users start.
    StageStarted {
        /// Index among the stages.
        index: usize,
        /// Its label.
        stage: String,
        /// Warm-up or measured.
        phase: Phase,
        /// How hard: `concurrency`, or `open`.
        #[serde(flatten)]
        load: StageLoad,
        /// Requests planned; `None` when only a duration bounds it.
        planned_requests: Option<u64>,
        /// Its longest time, seconds.
        duration_s: Option<f64>,
    },
    /// Some time passed.
    Progress {
        /// Index among the stages.
        index: usize,
        /// Seconds since the stage's start.
        elapsed_s: f64,
        /// Requests ended.
        finished: u64,
        /// Requests failed.
        failed: u64,
        /// Requests in flight.
        in_flight: u32,
        /// Tokens that have arrived.
        tokens: u64,
        /// Median TTFT so far, ms.
        ttft_p50_ms: Option<f64>,
        /// 95th percentile of TTFT so far, ms.
        ttft_p95_ms: Option<f64>,
    },
    /// A stage is over.
    StageFinished {
        /// Index among the stages.
        index: usize,
        /// Warm-up or measured.
        phase: Phase,
        /// How long it took, seconds.
        elapsed_s: f64,
        /// Its figures.
        figures: BriefFigures,
    },
    /// The search for the highest load begins.
    SearchStarted {
        /// What is varied.
        over: SearchAxis,
        /// Lower bound.
        from: f64,
        /// Upper bound.
        to: f64,
        /// How narrow the bracket is to be, a share of the answer.
        precision: f64,
        /// What is to hold: `ttft_p99 <= 500ms`.
        objectives: Vec<String>,
        /// Prompts that it takes if the answer lies in the middle between the bounds.
        prompts_estimated: u64,
        /// The estimate counts one request a user; it will be more.
        prompts_at_least: bool,
    },
    /// A probe of the search was held against the objectives; its stage was finished just before.
    ProbeFinished {
        /// Its number, from 1.
        number: usize,
        /// What it showed.
        probe: Probe,
        /// Requests of its steady part.
        requests: u64,
        /// It was ended early, since nothing could make it hold any more.
        given_up: bool,
        /// The highest load that holds, as far as is known now.
        holds: Option<f64>,
        /// The lowest load that does not.
        fails: Option<f64>,
    },
    /// The search is over.
    SearchFinished {
        /// Its probes and its answer.
        search: SearchInfo,
    },
    /// What speaks for and against believing the run's figures; said when all of them are there.
    Verdict {
        /// The worst of the checks.
        status: CheckStatus,
        /// One a check, in the order in which they are shown.
        checks: Vec<Check>,
    },
    /// Something a reader must know.
    Warning {
        /// What.
        message: String,
    },
    /// The run directory is complete.
    RunFinished {
        /// It.
        run_dir: PathBuf,
        /// Stopped before its end.
        interrupted: bool,
    },
}
