//! What changed while a stage ran: steps and drifts of its figures, and what else changed with them.
//!
//! A stage's figures are one number each; they mean something when the stage was the same from its
//! beginning to its end. Each stage at constant load is cut into stretches of equal length, and the
//! median of each stretch is looked at ([`trend`]).

mod cause;
mod series;
mod trend;

use serde::{Deserialize, Serialize};
use vllm_bench_record::{OpenLoad, Timestamp};

use crate::dataset::Dataset;
use crate::rows::RequestRow;
use crate::stage::{FiguresFrom, StageSummary};
use crate::text;

use cause::Around;
use series::{Series, Stretches};

/// One figure of one stage that was not the same all along.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Index into the manifest's `stages`.
    pub stage_index: u32,
    /// The stage's name.
    pub stage: String,
    /// Which figure.
    pub metric: Watched,
    /// How it changed.
    pub change: ChangeKind,
    /// A step: when it came. A drift: the beginning of the window.
    pub at_ns: Timestamp,
    /// Median before the step, or where the drift begins; nanoseconds, tokens a second or bytes.
    pub before: f64,
    /// Median behind the step, or where the drift ends.
    pub after: f64,
    /// How likely so clear a change is where nothing changed.
    pub p_value: f64,
    /// What it looks like.
    pub cause: Cause,
    /// All of it in a sentence.
    pub sentence: String,
}

/// A figure that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// Time to first token, by sending.
    Ttft,
    /// Time per output token, by sending.
    Tpot,
    /// Output tokens a second.
    OutputThroughput,
    /// GPU memory in use.
    GpuMemory,
}

/// How a figure changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// From one level to another, at once.
    Step,
    /// Little by little.
    Drift,
}

/// What a change looks like, by what else changed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Better soon after the stage's start: the server was still warming up.
    WarmUp,
    /// SM clocks fell, or the driver says that it throttles.
    Throttling,
    /// Preemptions came up.
    Preemption,
    /// More requests waited in the server.
    Queue,
    /// Memory use grew.
    Leak,
    /// Nothing that was sampled changed with it.
    Unknown,
}

impl Watched {
    /// The name in sentences.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::Tpot => "TPOT",
            Self::OutputThroughput => "output throughput",
            Self::GpuMemory => "GPU memory in use",
        }
    }

    fn words(self, value: f64) -> String {
        match self {
            Self::Ttft | Self::Tpot => text::time(value),
            Self::OutputThroughput => format!("{} tok/s", text::number(value)),
            Self::GpuMemory => crate::charts::bytes(value.max(0.0) as u64),
        }
    }

    /// The least relative change that is worth a sentence.
    const fn least(self) -> f64 {
        match self {
            Self::GpuMemory => 0.02,
            _ => 0.1,
        }
    }

    const fn more_is_better(self) -> bool {
        matches!(self, Self::OutputThroughput)
    }
}

/// Changes that are likelier than this where nothing changed are not told: four series of every stage are
/// looked at, twice each.
const SURE: f64 = 1e-3;

/// What changed in the measured `stages` of a run, in their order.
pub(crate) fn findings(dataset: &Dataset, stages: &[StageSummary]) -> Vec<Finding> {
    stages.iter().flat_map(|stage| of_stage(dataset, stage)).collect()
}

/// Whether the load asks for the same all along; otherwise a change is what was asked for.
fn constant(open: Option<&OpenLoad>) -> bool {
    open.is_none_or(|open| open.profile.is_none() && !open.is_trace())
}

fn of_stage(dataset: &Dataset, stage: &StageSummary) -> Vec<Finding> {
    let Some(window) = stage.figures().filter(|_| constant(stage.open.as_ref())) else {
        return Vec::new();
    };
    let all: Vec<&RequestRow> = dataset.of_stage(stage.index).collect();
    let within = |row: &&&RequestRow| {
        row.completed()
            && row.sent_at.is_some_and(|at| (window.from_ns..=window.to_ns).contains(&at))
    };
    let rows: Vec<&RequestRow> = all.iter().filter(within).copied().collect();
    let Some(stretches) = Stretches::of(window.from_ns, window.to_ns, rows.len()) else {
        return Vec::new();
    };
    let mut series = vec![Series::ttft(&rows, &stretches), Series::tpot(&rows, &stretches)];
    // A whole stage begins and ends with less than its load in flight: that its throughput rises
    // and falls there is no change of the server.
    if stage.figures_from == FiguresFrom::Steady {
        series.push(Series::throughput(&all, &stretches));
    }
    series.push(Series::gpu_memory(dataset.gpu(), &stretches));
    let around = Around { dataset, from: window.from_ns, to: window.to_ns };
    series.iter().filter_map(|series| change(stage, series, &around)).collect()
}

fn change(stage: &StageSummary, series: &Series, around: &Around<'_>) -> Option<Finding> {
    let drift = trend::drift(&series.values)?;
    let (kind, at, before, after, p) = match trend::step(&series.values) {
        Some(step) if step.p < SURE && better_fit(&series.values, &step, &drift) => {
            (ChangeKind::Step, series.starts[step.at], step.before, step.behind, step.p)
        }
        _ if drift.p < SURE => (ChangeKind::Drift, around.from, drift.first, drift.last, drift.p),
        _ => return None,
    };
    let metric = series.metric;
    let size = (after - before) / before.abs();
    if !size.is_finite() || size.abs() < metric.least() {
        return None;
    }
    // Memory that is given back, or grows once at the start, is no news.
    if metric == Watched::GpuMemory && (after < before || kind == ChangeKind::Step) {
        return None;
    }
    let better = (after > before) == metric.more_is_better();
    let cause = around.cause(metric, kind, at, better);
    let sentence = sentence(stage, metric, kind, at, (before, after), &cause);
    Some(Finding {
        stage_index: stage.index,
        stage: stage.label.clone(),
        metric,
        change: kind,
        at_ns: at,
        before,
        after,
        p_value: p,
        cause: cause.kind,
        sentence,
    })
}

fn better_fit(values: &[f64], step: &trend::Step, drift: &trend::Drift) -> bool {
    let (to_step, to_line) = trend::misfits(values, step, drift);
    to_step <= to_line
}

/// `cc 8: TTFT rose from 212 ms to 340 ms at 41.2 s; SM clock 1,980 to 1,410 MHz: the GPU throttles.`
fn sentence(
    stage: &StageSummary,
    metric: Watched,
    kind: ChangeKind,
    at: Timestamp,
    (before, after): (f64, f64),
    cause: &cause::Found,
) -> String {
    let verb = match (kind, after > before) {
        (ChangeKind::Step, true) => "rose",
        (ChangeKind::Step, false) => "fell",
        (ChangeKind::Drift, true) => "rose little by little",
        (ChangeKind::Drift, false) => "fell little by little",
    };
    let when = match kind {
        ChangeKind::Step => format!(" at {}", crate::charts::seconds(at.as_secs_f64())),
        ChangeKind::Drift => String::new(),
    };
    format!(
        "{}: {} {verb} from {} to {}{when}; {}.",
        text::shown(&stage.label, false),
        metric.name(),
        metric.words(before),
        metric.words(after),
        cause.words
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_changes_explains_itself() {
        let open = |arrivals: &str, profile: Option<&str>| OpenLoad {
            rate: 1.0,
            arrivals: arrivals.into(),
            profile: profile.map(Into::into),
            warmup: std::time::Duration::ZERO,
            max_in_flight: None,
            last_arrival: None,
            capped: 0,
            left_out: Vec::new(),
        };
        assert!(constant(None) && constant(Some(&open("poisson", None))));
        assert!(!constant(Some(&open("poisson", Some("1 to 4 req/s")))));
        assert!(!constant(Some(&open("trace a.csv", None))));
    }
}
