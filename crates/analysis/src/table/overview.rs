//! One line a stage.

use crate::stage::{FiguresFrom, StageSummary};
use crate::stat::Percentile;
use crate::summary::Summary;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    if summary.stages.is_empty() {
        return vec!["  no measured stage".into()];
    }
    let grid = Grid {
        head: Tone::Faint,
        columns: columns(look),
        rows: summary.stages.iter().map(row).collect(),
    };
    let mut lines = grid.lines(look);
    let whole = |open| {
        let of_load = summary.stages.iter().filter(|s| s.open.is_some() == open);
        of_load.into_iter().any(|s| s.figures_from == FiguresFrom::Whole && s.whole.is_some())
    };
    let marked = summary.stages.iter().filter_map(StageSummary::figures).any(|f| {
        [f.ttft_ns, f.tpot_ns].into_iter().flatten().any(|s| s.p50.low_samples || s.p95.low_samples)
    });
    let mut note = |text: &str| {
        lines.extend(
            text::wrap(&format!("  {text}"), look.columns(), 4)
                .iter()
                .map(|l| look.paint(Tone::Faint, l)),
        );
    };
    if marked {
        note("* few samples for this percentile");
    }
    if summary.stages.iter().any(|s| verdict(s).text.ends_with('?')) {
        note("? the figure's 95 % interval lies on both sides of the limit");
    }
    if whole(false) {
        note("~ of the whole stage, start and end included: full load held too short");
    }
    if whole(true) {
        note("~ of the whole stage, warm-up included: nothing after it was answered");
    }
    lines
}

/// 80 columns with the margin; what the terminal has more goes to the label.
fn columns(look: &Look<'_>) -> Vec<Column<'static>> {
    let label = 11 + (look.columns() - Look::MIN_WIDTH).min(30);
    let right = |group, name, width| Column { group, name, width, left: false };
    vec![
        Column { group: "", name: "stage", width: label, left: true },
        right("", "req", 6),
        right("", "err", 6),
        right("", "req/s", 7),
        right("", "out tok/s", 10),
        right("TTFT ms", "p50 ", 8),
        right("TTFT ms", "p95 ", 8),
        right("TPOT ms", "p50 ", 8),
        right("TPOT ms", "p95 ", 8),
        right("", "SLO", 6),
    ]
}

fn row(stage: &StageSummary) -> Vec<Cell> {
    let figures = stage.figures();
    let rate =
        |value: Option<f64>, width| value.map_or_else(|| NONE.into(), |v| text::fit(v, width));
    let ttft = figures.and_then(|f| f.ttft_ns);
    let tpot = figures.and_then(|f| f.tpot_ns);
    let whole = stage.figures_from == FiguresFrom::Whole && figures.is_some();
    let label = text::cut(&text::shown(&stage.label, false), if whole { 39 } else { 40 });
    vec![
        Cell::new(if whole { format!("{label}~") } else { label }),
        Cell::new(text::fit_count(stage.requests, 5)),
        match stage.failed {
            0 => Cell::new("0"),
            n => Cell::painted(text::fit_count(n, 5), Tone::Bad),
        },
        Cell::new(rate(figures.and_then(|f| f.completed_per_s), 6)),
        Cell::new(rate(figures.and_then(|f| f.output_tokens_per_s), 9)),
        percentile(ttft.map(|s| s.p50), 6),
        percentile(ttft.map(|s| s.p95), 6),
        percentile(tpot.map(|s| s.p50), 6),
        percentile(tpot.map(|s| s.p95), 6),
        verdict(stage),
    ]
}

/// Milliseconds in `width` columns, and one column for the mark.
pub(super) fn percentile(percentile: Option<Percentile>, width: usize) -> Cell {
    match percentile {
        None => Cell::new(format!("{NONE} ")),
        Some(p) if p.low_samples => {
            Cell::painted(format!("{}*", text::fit(p.value / 1e6, width)), Tone::Faint)
        }
        Some(p) => Cell::new(format!("{} ", text::fit(p.value / 1e6, width))),
    }
}

/// `ok`, `miss`, with a `?` where the interval lies on both sides of a limit.
fn verdict(stage: &StageSummary) -> Cell {
    let certain = stage
        .slo
        .iter()
        .filter(|s| stage.slo_met() != Some(false) || s.met == Some(false))
        .all(|s| s.certain);
    let mark = if certain { "" } else { "?" };
    match stage.slo_met() {
        Some(true) => {
            Cell::painted(format!("ok{mark}"), if certain { Tone::Good } else { Tone::Doubt })
        }
        Some(false) => {
            Cell::painted(format!("miss{mark}"), if certain { Tone::Bad } else { Tone::Doubt })
        }
        None => Cell::new(NONE),
    }
}
