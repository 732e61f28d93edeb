//! From rows to the figures of the stages.

use std::collections::BTreeMap;

use vllm_bench_record::{
    FailureCause, InFlight, Phase, Slo, Span, StageLoad, steady_stands, steady_window,
};

use crate::counters;
use crate::dataset::Dataset;
use crate::economy::{Meter, Prices};
use crate::rows::{RequestRow, RowOutcome};
use crate::slo::{self, Objective};
use crate::span;
use crate::stage::{ErrorCount, FiguresFrom, StageSummary, WindowSummary};
use crate::summary::RunTotals;
use crate::time_split::TimeSplit;

/// One summary a measured stage of the plan, those without a request too.
pub(crate) fn stages(
    dataset: &Dataset,
    objectives: &[Objective],
    prices: Prices,
) -> Vec<StageSummary> {
    let mut rows: BTreeMap<u32, Vec<&RequestRow>> = BTreeMap::new();
    for row in dataset.requests() {
        rows.entry(row.stage_index).or_default().push(row);
    }
    let meter = Meter::of(dataset, prices);
    let slos: Vec<Slo> = objectives.iter().map(|o| o.slo).collect();
    let of = |index: u32| {
        let rows = rows.get(&index).map_or(&[][..], Vec::as_slice);
        stage(dataset, index, rows, &slos, &meter)
    };
    let mut stages: Vec<StageSummary> =
        dataset.measured_stages().map(|(index, _)| of(index)).collect();
    for stage in &mut stages {
        stage.slo = slo::results(stage, objectives);
    }
    stages
}

fn stage(
    dataset: &Dataset,
    index: u32,
    rows: &[&RequestRow],
    slos: &[Slo],
    meter: &Meter<'_>,
) -> StageSummary {
    let info = &dataset.manifest().stages[index as usize];
    let in_flight = InFlight::of(rows.iter().filter_map(|row| row.in_flight()));
    let summary = |span: Span| span::summary(dataset, rows, &in_flight, span, slos);
    let due = rows.iter().map(|row| row.scheduled_at);
    let steady = steady_window(info, &in_flight, due).map(summary);
    let whole = extent(rows).map(summary);
    let figures_from = figures_from(&info.load, steady.as_ref(), whole.as_ref());
    let figures = match figures_from {
        FiguresFrom::Steady => steady.as_ref(),
        FiguresFrom::Whole => whole.as_ref(),
    };
    // An answer that came in one piece has no first token of its own.
    let time_split = figures.filter(|_| dataset.manifest().scenario.stream).and_then(|w| {
        TimeSplit::of(rows, Span { from: w.from_ns, to: w.to_ns })
            .or_else(|| TimeSplit::of_histograms(info, rows))
    });
    let economy = figures.map(|window| meter.economy(rows, window));
    let outcomes = Outcomes::of(rows);
    StageSummary {
        index,
        label: info.label.clone(),
        level: info.load.level(),
        open: info.load.open().cloned(),
        ended: info.ended,
        planned: info.planned_requests,
        requests: rows.len() as u64,
        completed: outcomes.completed,
        failed: outcomes.failed,
        cancelled: outcomes.cancelled,
        success_rate: outcomes.success_rate(),
        errors: errors(rows),
        early_stops: early_stops(rows),
        steady,
        whole,
        figures_from,
        time_split,
        slo: Vec::new(),
        server: counters::of(info, rows),
        client_cpu: info.client_cpu,
        economy,
    }
}

/// From the first request to the end of the last; `None` when there is none.
fn extent(rows: &[&RequestRow]) -> Option<Span> {
    let from = rows.iter().map(|row| row.sent_at.unwrap_or(row.scheduled_at)).min()?;
    let ends = rows.iter().filter_map(|row| row.finished_at.or(row.last_token_at).or(row.sent_at));
    Some(Span { from, to: ends.max().unwrap_or(from).max(from) })
}

/// The steady window where it stands for most of the stage; a declared warm-up is taken at its word.
fn figures_from(
    load: &StageLoad,
    steady: Option<&WindowSummary>,
    whole: Option<&WindowSummary>,
) -> FiguresFrom {
    let completed = |window: Option<&WindowSummary>| window.map_or(0, |w| w.completed);
    match steady_stands(load, completed(steady), completed(whole)) {
        true => FiguresFrom::Steady,
        false => FiguresFrom::Whole,
    }
}

/// Completed requests that asked for more tokens than they got; `None` when none set `max_tokens`.
fn early_stops(rows: &[&RequestRow]) -> Option<u64> {
    let asked = || {
        rows.iter()
            .filter(|row| row.completed())
            .filter_map(|row| Some((row.max_tokens?, row.output_tokens?)))
    };
    asked().next()?;
    Some(asked().filter(|(asked, got)| got < asked).count() as u64)
}

#[derive(Default)]
struct Outcomes {
    completed: u64,
    failed: u64,
    cancelled: u64,
}

impl Outcomes {
    fn of(rows: &[&RequestRow]) -> Self {
        let mut outcomes = Self::default();
        for row in rows {
            match row.outcome {
                RowOutcome::Completed => outcomes.completed += 1,
                RowOutcome::Failed(_) => outcomes.failed += 1,
                RowOutcome::Cancelled => outcomes.cancelled += 1,
            }
        }
        outcomes
    }

    /// A cancelled request was neither answered nor refused.
    fn success_rate(&self) -> Option<f64> {
        let judged = self.completed + self.failed;
        (judged > 0).then(|| self.completed as f64 / judged as f64)
    }
}

/// Failures by cause and status, most frequent first.
fn errors(rows: &[&RequestRow]) -> Vec<ErrorCount> {
    let mut groups: BTreeMap<(FailureCause, Option<u16>), Vec<Option<&str>>> = BTreeMap::new();
    for row in rows {
        if let RowOutcome::Failed(cause) = row.outcome {
            // A status says something only where it was the failure.
            let status = row.http_status.filter(|_| cause == FailureCause::HttpStatus);
            groups.entry((cause, status)).or_default().push(row.error_message.as_deref());
        }
    }
    let count = |((cause, http_status), messages): ((_, _), Vec<Option<&str>>)| ErrorCount {
        cause,
        http_status,
        count: messages.len() as u64,
        example: most_frequent(messages.into_iter().flatten()),
    };
    let mut errors: Vec<ErrorCount> = groups.into_iter().map(count).collect();
    errors.sort_by_key(|e| std::cmp::Reverse(e.count));
    errors
}

fn most_frequent<'a>(messages: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    messages.for_each(|message| *counts.entry(message).or_default() += 1);
    let most = counts.iter().rev().max_by_key(|(_, count)| **count);
    most.map(|(message, _)| (*message).to_owned()).filter(|message| !message.is_empty())
}

/// All measured stages together.
pub(crate) fn totals(dataset: &Dataset) -> RunTotals {
    let rows: Vec<&RequestRow> = dataset.measured().collect();
    let outcomes = Outcomes::of(&rows);
    let sum = |of: fn(&RequestRow) -> Option<u32>| {
        rows.iter().filter_map(|row| of(row)).map(u64::from).sum()
    };
    let warmup = |row: &&RequestRow| {
        dataset
            .manifest()
            .stages
            .get(row.stage_index as usize)
            .is_some_and(|s| s.phase == Phase::Warmup)
    };
    RunTotals {
        requests: rows.len() as u64,
        completed: outcomes.completed,
        failed: outcomes.failed,
        cancelled: outcomes.cancelled,
        success_rate: outcomes.success_rate(),
        errors: errors(&rows),
        prompt_tokens: sum(|row| row.prompt_tokens),
        output_tokens: sum(|row| row.output_tokens),
        warmup_requests: dataset.requests().iter().filter(warmup).count() as u64,
    }
}
