//! Several runs side by side over load: users at once, or requests a second.

mod differences;
mod metrics;
mod terminal;

use serde::{Deserialize, Serialize};
use vllm_bench_record::Level;

use crate::error::AnalysisError;
use crate::stage::StageSummary;
use crate::summary::{RunFacts, Summary};
use crate::text;

pub use terminal::terminal;

use differences::differences;
use metrics::{Found, METRICS, Metric};

/// Runs side by side; the first is the baseline that changes are counted from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The runs, in the order given.
    pub runs: Vec<RunFacts>,
    /// What else differs between them than what one meant to change: a reader must know.
    pub differences: Vec<Difference>,
    /// One a metric.
    pub metrics: Vec<ComparedMetric>,
}

/// Something that is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What: `model`.
    pub what: String,
    /// Its value in each run, in order.
    pub values: Vec<String>,
}

/// One metric of all runs, over load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedMetric {
    /// Its name with its unit: `ttft_p95_ns`.
    pub key: String,
    /// As people read it: `TTFT p95, ms`.
    pub name: String,
    /// Which way is better.
    pub better: Better,
    /// One a level of load, ascending, closed loops first.
    pub rows: Vec<ComparedRow>,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// One metric of all runs at one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRow {
    /// How hard these stages asked. On disk `concurrency` or `rate`.
    #[serde(flatten)]
    pub level: Level,
    /// The stage's name in the first run that has it.
    pub label: String,
    /// One a run, in order; `None` where the run has no such stage or figure.
    pub cells: Vec<Option<ComparedCell>>,
}

/// One figure of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ComparedCell {
    /// The figure, in the unit of the metric's key.
    pub value: f64,
    /// Lower end of its 95 % interval; `None` where it has none.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// It rests on too few samples.
    pub low_samples: bool,
    /// Change against the first run as a share (0.1 is 10 % more); `None` for the first run,
    /// without its figure, and where that is 0.
    pub change: Option<f64>,
    /// Whether the two intervals lie apart; `None` where either is missing. Apart is a difference
    /// that chance hardly makes within the runs; how much runs differ among themselves it does not tell.
    pub apart: Option<bool>,
}

/// Lays `summaries` side by side; the first is the baseline.
///
/// # Errors
/// Fewer than two summaries.
pub fn compare(summaries: &[Summary]) -> Result<Comparison, AnalysisError> {
    if summaries.len() < 2 {
        return Err(AnalysisError::TooFewRuns { given: summaries.len() });
    }
    let stages = matched(summaries);
    let metric = |m: &Metric| ComparedMetric {
        key: m.key.into(),
        name: m.name.into(),
        better: m.better,
        rows: stages.iter().map(|(level, stages)| row(m, *level, stages)).collect(),
    };
    Ok(Comparison {
        runs: summaries.iter().map(|s| s.run.clone()).collect(),
        differences: differences(summaries),
        metrics: METRICS.iter().map(metric).collect(),
    })
}

/// A level of load and each run's stage there.
type Met<'a> = (Level, Vec<Option<&'a StageSummary>>);

/// The stages of all runs by load; the n-th of a level meets the n-th of the others.
fn matched(summaries: &[Summary]) -> Vec<Met<'_>> {
    let mut met: Vec<(usize, Met<'_>)> = Vec::new();
    let same = |a: Level, b: Level| a.total_cmp(b).is_eq();
    for (run, summary) in summaries.iter().enumerate() {
        for (i, stage) in summary.stages.iter().enumerate() {
            let before = summary.stages[..i].iter();
            let nth = before.filter(|s| same(s.level, stage.level)).count();
            let found =
                met.iter_mut().find(|(n, (level, _))| *n == nth && same(*level, stage.level));
            match found {
                Some((_, (_, runs))) => runs[run] = Some(stage),
                None => {
                    let mut runs = vec![None; summaries.len()];
                    runs[run] = Some(stage);
                    met.push((nth, (stage.level, runs)));
                }
            }
        }
    }
    met.sort_by(|(n, (a, _)), (m, (b, _))| a.total_cmp(*b).then(n.cmp(m)));
    met.into_iter().map(|(_, met)| met).collect()
}

fn row(metric: &Metric, level: Level, stages: &[Option<&StageSummary>]) -> ComparedRow {
    let found: Vec<Option<Found>> =
        stages.iter().map(|stage| stage.and_then(|s| (metric.of)(s, s.figures()?))).collect();
    let baseline = found.first().copied().flatten();
    let cell = |(run, found): (usize, &Option<Found>)| {
        let found = (*found)?;
        let against = baseline.filter(|_| run > 0);
        Some(ComparedCell {
            value: found.value,
            low: found.low,
            high: found.high,
            low_samples: found.low_samples,
            change: against.filter(|b| b.value != 0.0).map(|b| (found.value - b.value) / b.value),
            apart: against.and_then(|b| apart(&b, &found)),
        })
    };
    let label = stages.iter().flatten().next().map(|s| s.label.clone()).unwrap_or_default();
    ComparedRow { level, label, cells: found.iter().enumerate().map(cell).collect() }
}

fn apart(a: &Found, b: &Found) -> Option<bool> {
    Some(a.high? < b.low? || b.high? < a.low?)
}

impl Difference {
    /// `model: A / B`.
    pub fn line(&self) -> String {
        let values: Vec<String> =
            self.values.iter().map(|v| text::cut(&text::shown(v, false), 60)).collect();
        format!("{}: {}", self.what, values.join(" / "))
    }
}
