//! The distributions of every stage, and what else a stage says.

use vllm_bench_record::StageEnd;

use crate::arrivals;
use crate::columns::{LATENCIES, PERCENTILES};
use crate::slo::figure_words;
use crate::stage::{SloResult, StageSummary, WindowSummary};
use crate::stat::Stat;
use crate::summary::Summary;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::overview::percentile;
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in &summary.stages {
        let Some(figures) = stage.figures() else { continue };
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(distributions(stage, figures, look));
        lines.extend(facts(stage, figures).iter().flat_map(|fact| {
            let wrapped = text::wrap(&format!("    {fact}"), look.columns(), 6);
            wrapped.into_iter().map(|line| look.paint(Tone::Faint, &line)).collect::<Vec<_>>()
        }));
    }
    lines
}

fn distributions(stage: &StageSummary, figures: &WindowSummary, look: &Look<'_>) -> Vec<String> {
    let right = |name, width| Column { group: "", name, width, left: false };
    let title = format!("{}, ms", text::cut(&text::shown(&stage.label, false), 17));
    let columns = vec![
        Column { group: "", name: &title, width: 22, left: true },
        right("n", 11),
        right("mean ", 9),
        right("p50 ", 9),
        right("p90 ", 9),
        right("p95 ", 9),
        right("p99 ", 9),
    ];
    let rows = LATENCIES.iter().map(|latency| row(latency.name, (latency.of)(figures))).collect();
    Grid { head: Tone::Strong, columns, rows }.lines(look)
}

fn row(name: &str, stat: Option<Stat>) -> Vec<Cell> {
    let mut cells = vec![Cell::new(format!("  {name}"))];
    let Some(stat) = stat else {
        cells.push(Cell::new("0"));
        cells.extend((0..=PERCENTILES.len()).map(|_| percentile(None, 7)));
        return cells;
    };
    cells.push(Cell::new(text::fit_count(stat.count, 10)));
    cells.push(Cell::new(format!("{} ", text::fit(stat.mean / 1e6, 7))));
    cells.extend(PERCENTILES.iter().map(|(_, of)| percentile(Some(of(&stat)), 7)));
    cells
}

/// What stands under a stage's distributions, a line each.
fn facts(stage: &StageSummary, figures: &WindowSummary) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| NONE.into(), text::number);
    let share = |share: Option<f64>| share.map_or_else(|| NONE.into(), text::percent);
    let mut facts = vec![format!(
        "{} answered, {} cancelled; in flight mean {}, max {}; total {} tok/s over {}",
        share(stage.success_rate),
        text::count(stage.cancelled),
        number(figures.in_flight_mean),
        figures.in_flight_max,
        number(figures.total_tokens_per_s),
        text::time(figures.seconds * 1e9),
    )];
    if let Some(end) =
        stage.ended.filter(|end| !matches!(end, StageEnd::Requests | StageEnd::Duration))
    {
        facts.push(format!("ended: {}", arrivals::ended(end)));
    }
    facts.push(format!(
        "cached {}; chunks: {} coalesced, {} of several tokens",
        match (figures.cached_tokens, figures.cached_share) {
            (Some(tokens), of) =>
                format!("{} ({})", text::of(tokens, "token", "tokens"), share(of)),
            (None, _) => "tokens unknown".into(),
        },
        share(figures.chunks.coalesced),
        share(figures.chunks.multi_token),
    ));
    if let Some(goodput) = figures.goodput {
        facts.push(format!(
            "goodput {} req/s ({} of requests meet every objective)",
            number(goodput.per_s),
            share(goodput.share)
        ));
    }
    facts.extend(stage.slo.iter().map(objective));
    facts
}

/// `ttft_p95 480 ms (450 to 520), limit 2s: met`.
fn objective(slo: &SloResult) -> String {
    let show = |value: f64| figure_words(&slo.name, value);
    let Some(figure) = slo.figure else {
        return format!("{}: no figure, limit {}", slo.name, text::shown(&slo.limit_text, false));
    };
    let end = |end: Option<f64>| end.map_or_else(|| "?".into(), show);
    format!(
        "{} {} ({} to {}), limit {}: {}{}",
        slo.name,
        show(figure),
        end(slo.low),
        end(slo.high),
        text::shown(&slo.limit_text, false),
        if slo.met == Some(true) { "met" } else { "missed" },
        if slo.certain { "" } else { ", but another run may say otherwise" },
    )
}
