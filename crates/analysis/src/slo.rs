//! Objectives held against a stage and against single requests.

use vllm_bench_record::{Slo, SloMetric, SloStatistic, SloTarget, Span};

use crate::dataset::Dataset;
use crate::percentile::share_interval;
use crate::rows::{RequestRow, RowOutcome};
use crate::span::nanos;
use crate::stage::{Goodput, SloResult, StageSummary, WindowSummary};
use crate::stat::{Percentile, Stat};
use crate::text;

/// An objective with its words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Objective {
    pub(crate) name: String,
    pub(crate) limit_text: String,
    pub(crate) slo: Slo,
}

/// An objective's name as people write it: `TTFT p95`, `error rate`.
pub(crate) fn words(name: &str) -> String {
    // The limit only has to parse; the name is what is wanted.
    match Slo::parse(name, "1s").map(|s| s.target) {
        Ok(SloTarget::Latency(metric, statistic)) => latency_words(metric, statistic),
        _ => name.replace('_', " "),
    }
}

/// `TTFT p95 ≤ 2s`, `goodput ≥ 95%`.
pub(crate) fn limit_words(name: &str, limit: &str) -> String {
    let least = Slo::parse(name, limit).is_ok_and(|slo| slo.target == SloTarget::Goodput);
    format!("{} {} {limit}", words(name), if least { '≥' } else { '≤' })
}

/// The figure of the objective `name`: a share, or nanoseconds.
pub(crate) fn figure_words(name: &str, value: f64) -> String {
    if is_share(name) { text::percent(value) } else { text::time(value) }
}

/// Whether the objective `name` bounds a share, not a time.
pub(crate) fn is_share(name: &str) -> bool {
    // All but the latencies are: a search has one of its own, the growth of what is under way.
    !matches!(SloTarget::parse(name), Some(SloTarget::Latency(..)))
}

/// `TTFT p95`, `E2E from schedule mean`.
pub(crate) fn latency_words(metric: SloMetric, statistic: SloStatistic) -> String {
    let metric = match metric {
        SloMetric::Ttft => "TTFT",
        SloMetric::TtftFromSchedule => "TTFT from schedule",
        SloMetric::Tpot => "TPOT",
        SloMetric::Itl => "ITL",
        SloMetric::E2e => "E2E",
        SloMetric::E2eFromSchedule => "E2E from schedule",
    };
    format!("{metric} {}", statistic.as_str())
}

/// One result an objective, from the stage's counts and its [`figures`](StageSummary::figures).
pub(crate) fn results(stage: &StageSummary, objectives: &[Objective]) -> Vec<SloResult> {
    let result = |objective: &Objective| {
        let limit = objective.slo.limit;
        let found = match objective.slo.target {
            SloTarget::ErrorRate => share(stage.failed, stage.completed + stage.failed),
            SloTarget::Goodput => {
                stage.figures().and_then(|f| share(f.goodput?.requests, f.completed + f.failed))
            }
            SloTarget::Latency(metric, statistic) => stage
                .figures()
                .and_then(|f| latency(f, metric))
                .map(|stat| figure(&stat, statistic)),
        };
        let certain = found.is_some_and(|f| {
            // Both ends on one side; an end that is missing may be anywhere.
            match (f.low, f.high, objective.slo.holds(f.value)) {
                (Some(low), Some(high), met) => {
                    objective.slo.holds(low) == met && objective.slo.holds(high) == met
                }
                (Some(low), None, _) => low > limit,
                (None, Some(high), _) => high <= limit,
                (None, None, _) => false,
            }
        });
        SloResult {
            name: objective.name.clone(),
            limit_text: objective.limit_text.clone(),
            limit,
            figure: found.map(|f| f.value),
            low: found.and_then(|f| f.low),
            high: found.and_then(|f| f.high),
            met: found.map(|f| objective.slo.holds(f.value)),
            certain,
        }
    };
    objectives.iter().map(result).collect()
}

/// Requests among `sent` that meet every objective; `None` without objectives.
pub(crate) fn goodput(
    dataset: &Dataset,
    sent: &[&RequestRow],
    span: Span,
    slos: &[Slo],
) -> Option<Goodput> {
    if slos.is_empty() {
        return None;
    }
    let counted: Vec<&&RequestRow> =
        sent.iter().filter(|row| row.outcome != RowOutcome::Cancelled).collect();
    let good = counted.iter().filter(|row| meets_all(dataset, row, slos)).count();
    Some(Goodput {
        requests: good as u64,
        share: (!counted.is_empty()).then(|| good as f64 / counted.len() as f64),
        per_s: span.per_second(good as f64),
    })
}

fn meets_all(dataset: &Dataset, row: &RequestRow, slos: &[Slo]) -> bool {
    row.completed() && slos.iter().all(|slo| meets(dataset, row, slo))
}

/// A metric that the request has not (TPOT of a one-chunk answer) cannot be too long.
fn meets(dataset: &Dataset, row: &RequestRow, slo: &Slo) -> bool {
    let SloTarget::Latency(metric, statistic) = slo.target else { return true };
    let value = match metric {
        SloMetric::Ttft => row.ttft.map(nanos),
        SloMetric::TtftFromSchedule => row.ttft_from_schedule.map(nanos),
        SloMetric::Tpot => row.tpot.map(nanos),
        SloMetric::E2e => row.e2e.map(nanos),
        SloMetric::E2eFromSchedule => row.e2e_from_schedule.map(nanos),
        SloMetric::Itl => Stat::of(dataset.chunks(row).itl().map(nanos))
            .map(|gaps| figure(&gaps, statistic).value),
    };
    value.is_none_or(|value| value <= slo.limit)
}

fn latency(figures: &WindowSummary, metric: SloMetric) -> Option<Stat> {
    match metric {
        SloMetric::Ttft => figures.ttft_ns,
        SloMetric::TtftFromSchedule => figures.ttft_from_schedule_ns,
        SloMetric::Tpot => figures.tpot_ns,
        SloMetric::Itl => figures.itl_ns,
        SloMetric::E2e => figures.e2e_ns,
        SloMetric::E2eFromSchedule => figures.e2e_from_schedule_ns,
    }
}

/// A figure with its interval.
#[derive(Clone, Copy)]
struct Figure {
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
}

impl From<Percentile> for Figure {
    fn from(p: Percentile) -> Self {
        Self { value: p.value, low: p.low, high: p.high }
    }
}

fn figure(stat: &Stat, statistic: SloStatistic) -> Figure {
    match statistic {
        SloStatistic::Mean => Figure { value: stat.mean, low: stat.mean_low, high: stat.mean_high },
        SloStatistic::P50 => stat.p50.into(),
        SloStatistic::P90 => stat.p90.into(),
        SloStatistic::P95 => stat.p95.into(),
        SloStatistic::P99 => stat.p99.into(),
        // The next run's largest value has no bound.
        SloStatistic::Max => Figure { value: stat.max, low: Some(stat.max), high: None },
    }
}

fn share(some: u64, all: u64) -> Option<Figure> {
    let (low, high) = share_interval(some, all)?;
    let value = some as f64 / all as f64;
    Some(Figure { value, low: Some(low), high: Some(high) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_written_for_people() {
        assert_eq!(words("ttft_p95"), "TTFT p95");
        assert_eq!(words("e2e_from_schedule_mean"), "E2E from schedule mean");
        assert_eq!(words("error_rate"), "error rate");
        assert!(is_share("goodput") && is_share("in_flight_growth") && !is_share("itl_max"));
        assert_eq!(limit_words("ttft_p95", "2s"), "TTFT p95 ≤ 2s");
        assert_eq!(limit_words("goodput", "95%"), "goodput ≥ 95%");
        assert_eq!(figure_words("goodput", 0.5), "50.0 %");
        assert_eq!(figure_words("ttft_p95", 2e6), "2.00 ms");
    }
}
