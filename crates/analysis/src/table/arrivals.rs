//! How requests arrived: a line for each open-loop stage.

use vllm_bench_record::OpenLoad;

use crate::arrivals::{open_stages, told};
use crate::stage::StageSummary;
use crate::summary::Summary;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::overview::percentile;
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

/// Nothing without an open loop.
pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let stages: Vec<_> = open_stages(summary).collect();
    if stages.is_empty() {
        return Vec::new();
    }
    let rows = stages.iter().map(|(stage, open)| row(stage, open)).collect();
    let mut lines = Grid { head: Tone::Faint, columns: columns(), rows }.lines(look);
    let mut note = |text: String| {
        let wrapped = text::wrap(&format!("  {text}"), look.columns(), 4);
        lines.extend(wrapped.iter().map(|line| look.paint(Tone::Faint, line)));
    };
    note(
        "due: asked for by the schedule; done: completed; waited: for the limit of requests in \
         flight; TTFT from sending and from when due"
            .into(),
    );
    for line in told(summary, |stage| stage.label.clone()) {
        note(text::shown(&line, false));
    }
    lines
}

/// 80 columns with the margin.
fn columns() -> Vec<Column<'static>> {
    let right = |group, name, width| Column { group, name, width, left: false };
    vec![
        Column { group: "", name: "stage", width: 11, left: true },
        right("req/s", "due", 6),
        right("req/s", "sent", 6),
        right("req/s", "done", 6),
        right("in flight", "mean", 7),
        right("in flight", "max", 5),
        right("", "waited", 7),
        right("send lag ms", "p50", 7),
        right("send lag ms", "p99", 7),
        right("TTFT p95 ms", "sent ", 8),
        right("TTFT p95 ms", "due ", 8),
    ]
}

fn row(stage: &StageSummary, open: &OpenLoad) -> Vec<Cell> {
    let figures = stage.figures();
    let number =
        |value: Option<f64>, width| value.map_or_else(|| NONE.into(), |v| text::fit(v, width));
    let rate = |value: Option<f64>| Cell::new(number(value, 5));
    let lag = figures.and_then(|f| f.send_lag_ns);
    vec![
        Cell::new(text::shown(&stage.label, false)),
        rate(figures.and_then(|f| f.due_per_s)),
        rate(figures.and_then(|f| f.sent_per_s)),
        rate(figures.and_then(|f| f.completed_per_s)),
        Cell::new(number(figures.and_then(|f| f.in_flight_mean), 6)),
        Cell::new(
            figures.map_or_else(|| NONE.into(), |f| text::fit_count(f.in_flight_max.into(), 4)),
        ),
        match open.capped {
            0 => Cell::new("0"),
            n => Cell::painted(text::fit_count(n, 6), Tone::Doubt),
        },
        Cell::new(number(lag.map(|s| s.p50.value / 1e6), 6)),
        Cell::new(number(lag.map(|s| s.p99.value / 1e6), 6)),
        percentile(figures.and_then(|f| f.ttft_ns).map(|s| s.p95), 6),
        percentile(figures.and_then(|f| f.ttft_from_schedule_ns).map(|s| s.p95), 6),
    ]
}
