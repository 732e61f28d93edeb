//! A probe's own figures: its requests as they end, and what they say of the objectives.

use std::time::Duration;

use vllm_bench_record::percentile::{Z, quantile_interval, share_interval};
use vllm_bench_record::{
    Outcome, ProbeObjective, ProbeOutcome, RequestRecord, Slo, SloMetric, SloStatistic, SloTarget,
    Timestamp,
};

use super::machine::ProbeResult;
use super::objective::Objective;

/// The requests of a probe, as far as they have ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProbeFigures {
    requests: Vec<Sample>,
}

/// What a probe needs of one request.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) scheduled_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) ended: Ended,
    /// It meets every latency objective for itself.
    pub(crate) good: bool,
    /// Its values of each objective's metric, in the order of the objectives.
    pub(crate) values: Vec<Vec<f64>>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed,
    Failed,
    Cancelled,
}

/// The steady part of a probe: requests scheduled from its start on, until its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steady {
    /// When warm-up was over.
    pub(crate) from: Timestamp,
    /// The last arrival.
    pub(crate) to: Timestamp,
}

/// What a probe came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) objectives: Vec<ProbeObjective>,
    pub(crate) result: ProbeResult,
    /// Requests of the steady part that completed or failed.
    pub(crate) requests: u64,
}

impl ProbeFigures {
    /// Adds a request that has ended.
    pub(crate) fn add(&mut self, record: &RequestRecord, objectives: &[Objective]) {
        let completed = record.outcome == Outcome::Completed;
        let values = objectives.iter().map(|objective| match objective.slo() {
            Some(slo) if completed => values(record, slo),
            _ => Vec::new(),
        });
        self.requests.push(Sample {
            scheduled_at: record.scheduled_at,
            finished_at: record.finished_at,
            ended: match record.outcome {
                Outcome::Completed => Ended::Completed,
                Outcome::Failed(_) => Ended::Failed,
                Outcome::Cancelled => Ended::Cancelled,
            },
            good: objectives.iter().filter_map(Objective::slo).all(|slo| slo.met_by(record)),
            values: values.collect(),
        });
    }

    #[cfg(test)]
    pub(crate) fn push(&mut self, sample: Sample) {
        self.requests.push(sample);
    }

    /// How many have ended.
    pub(crate) const fn len(&self) -> usize {
        self.requests.len()
    }

    /// The last arrival among the requests that have ended.
    pub(crate) fn last_arrival(&self) -> Option<Timestamp> {
        self.requests.iter().map(|r| r.scheduled_at).max()
    }

    /// Holds the steady part against `objectives`.
    pub(crate) fn judge(&self, objectives: &[Objective], steady: Steady) -> Judgement {
        let within: Vec<&Sample> = self
            .requests
            .iter()
            .filter(|r| steady.from <= r.scheduled_at && r.scheduled_at <= steady.to)
            .filter(|r| r.ended != Ended::Cancelled)
            .collect();
        let mut found = Vec::with_capacity(objectives.len());
        let mut decided = Vec::with_capacity(objectives.len());
        for (index, objective) in objectives.iter().enumerate() {
            let figure = match objective.slo() {
                Some(slo) => of_slo(slo, index, &within),
                None => self.growth(steady),
            };
            let says = figure.and_then(|f| objective.decided(f.value, f.low, f.high));
            let holds = match figure {
                Some(f) => says.unwrap_or_else(|| objective.holds(f.value)),
                // Every request failed: there is no latency, and it is not a good one.
                None => within.is_empty() || objective.slo().is_none(),
            };
            decided.push((figure.is_some() || !within.is_empty()).then_some((says, holds)));
            found.push(ProbeObjective {
                slo: objective.to_string(),
                value: figure.map(|f| f.value),
                interval: figure.and_then(|f| f.low.zip(f.high)),
                holds,
            });
        }
        let result = if within.is_empty() {
            ProbeResult { outcome: ProbeOutcome::Unclear, estimate: None }
        } else {
            let all = decided.iter().flatten();
            let estimate = Some(all.clone().all(|(_, holds)| *holds));
            let outcome = if all.clone().any(|(says, _)| *says == Some(false)) {
                ProbeOutcome::Fails
            } else if all.clone().all(|(says, _)| *says == Some(true)) {
                ProbeOutcome::Holds
            } else {
                ProbeOutcome::Unclear
            };
            ProbeResult { outcome, estimate }
        };
        Judgement { objectives: found, result, requests: within.len() as u64 }
    }

    /// Whether too many of at most `planned` requests are beyond a limit for the objective
    /// to hold yet, whatever the rest does. Only what has ended counts.
    pub(crate) fn hopeless(&self, objectives: &[Objective], from: Timestamp, planned: u64) -> bool {
        if planned < MIN_TO_GIVE_UP {
            return false;
        }
        let within: Vec<&Sample> = self
            .requests
            .iter()
            .filter(|r| from <= r.scheduled_at && r.ended != Ended::Cancelled)
            .collect();
        let of_planned = |allowed: f64| (allowed * planned as f64).ceil() as usize + 1;
        let failed = within.iter().filter(|r| r.ended == Ended::Failed).count();
        objectives.iter().enumerate().any(|(index, objective)| {
            let Some(slo) = objective.slo() else { return false };
            match slo.target {
                SloTarget::ErrorRate => failed > of_planned(slo.limit),
                SloTarget::Goodput => {
                    within.iter().filter(|r| !r.good).count() > of_planned(1.0 - slo.limit)
                }
                // One value a request, so that the number of values to come is known.
                SloTarget::Latency(metric, statistic) => {
                    let Some(q) = statistic.quantile().filter(|_| metric != SloMetric::Itl) else {
                        return false;
                    };
                    let values = within.iter().filter_map(|r| r.values.get(index)).flatten();
                    values.filter(|v| **v > slo.limit).count() > of_planned(1.0 - q)
                }
            }
        })
    }

    /// By how much the requests under way grow over the second half of the steady part, as
    /// a share of the requests that arrive in it: 0 for a server that keeps up, 0.2 for one that
    /// completes 80 of 100. The first half is left for the load to build up.
    fn growth(&self, steady: Steady) -> Option<Figure> {
        let middle = steady.from + steady.to.since(steady.from) / 2;
        let under_way = |at: Timestamp| {
            let begun = self.requests.iter().filter(|r| r.scheduled_at <= at);
            begun.filter(|r| r.finished_at.is_none_or(|end| end > at)).count() as f64
        };
        let in_half = |r: &&Sample| middle < r.scheduled_at && r.scheduled_at <= steady.to;
        let arrived = self.requests.iter().filter(in_half).count() as f64;
        if arrived == 0.0 {
            return None;
        }
        let (before, after) = (under_way(middle), under_way(steady.to));
        let value = (after - before) / arrived;
        // Numbers in a queue that keeps up scatter about their mean as Poisson numbers do.
        let half = Z * (before + after).sqrt() / arrived;
        Some(Figure { value, low: Some(value - half), high: Some(value + half) })
    }
}

/// Probes of fewer requests are not given up early.
const MIN_TO_GIVE_UP: u64 = 20;

/// A figure with the ends of its interval (95 %).
#[derive(Debug, Clone, Copy)]
struct Figure {
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
}

fn of_slo(slo: &Slo, index: usize, within: &[&Sample]) -> Option<Figure> {
    let share = |hits: usize| {
        let (low, high) = share_interval(hits as u64, within.len() as u64)?;
        let value = hits as f64 / within.len() as f64;
        Some(Figure { value, low: Some(low), high: Some(high) })
    };
    match slo.target {
        SloTarget::ErrorRate => share(within.iter().filter(|r| r.ended == Ended::Failed).count()),
        SloTarget::Goodput => share(within.iter().filter(|r| r.good).count()),
        SloTarget::Latency(_, statistic) => {
            let mut values: Vec<f64> =
                within.iter().filter_map(|r| r.values.get(index)).flatten().copied().collect();
            values.sort_by(f64::total_cmp);
            latency(statistic, &values)
        }
    }
}

fn latency(statistic: SloStatistic, sorted: &[f64]) -> Option<Figure> {
    let value = statistic.of(sorted)?;
    let (low, high) = match statistic.quantile() {
        Some(1.0) => (Some(value), None),
        Some(q) => quantile_interval(sorted, q),
        None => {
            let n = sorted.len() as f64;
            let squares: f64 = sorted.iter().map(|v| (v - value) * (v - value)).sum();
            let half = Z * (squares / (n - 1.0) / n).sqrt();
            (half.is_finite().then_some(value - half), half.is_finite().then_some(value + half))
        }
    };
    Some(Figure { value, low, high })
}

/// A completed request's values of the objective's metric.
fn values(record: &RequestRecord, slo: &Slo) -> Vec<f64> {
    let SloTarget::Latency(metric, _) = slo.target else { return Vec::new() };
    let ns = |d: Duration| d.as_nanos() as f64;
    match metric {
        SloMetric::Ttft => record.ttft().map(ns).into_iter().collect(),
        SloMetric::TtftFromSchedule => record.ttft_from_schedule().map(ns).into_iter().collect(),
        SloMetric::Tpot => record.tpot().map(ns).into_iter().collect(),
        SloMetric::Itl => record.itl().map(ns).collect(),
        SloMetric::E2e => record.e2e().map(ns).into_iter().collect(),
        SloMetric::E2eFromSchedule => record.e2e_from_schedule().map(ns).into_iter().collect(),
    }
}
