//! A comparison as text for a terminal.

use super::{Better, ComparedCell, ComparedMetric, Comparison};
use crate::search;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

/// Columns of a stage's name, of a value, and of a change.
const LABEL: usize = 12;
const VALUE: usize = 11;
const CHANGE: usize = 11;

/// The comparison: the runs by letter, what differs, and a table a metric. Runs that do not fit
/// into the width stand in further tables beside the baseline.
///
/// Ends with a line feed. No line takes more columns than `look.width`.
pub fn terminal(comparison: &Comparison, look: &Look<'_>) -> String {
    let mut lines = Vec::new();
    for (letter, run) in letters().zip(&comparison.runs) {
        let model = run
            .model
            .as_deref()
            .map_or_else(String::new, |m| format!(" · {}", text::shown(m, false)));
        let simulated = if run.simulated { " · SIMULATED" } else { "" };
        let role = if letter == "A" { " (baseline)" } else { "" };
        let line =
            format!("  {letter}  {}{model}{simulated}{role}", text::shown(&run.run_id, false));
        lines.extend(text::wrap(&line, look.columns(), 5));
        if let Some(search) = &run.search {
            let answer = text::shown(&search::sentence(search, &run.slo), false);
            lines.extend(text::wrap(&format!("     {answer}"), look.columns(), 5));
        }
    }
    if !comparison.differences.is_empty() {
        lines.push(String::new());
        let head = "  The runs differ in more than their results:";
        lines.push(look.paint(Tone::Doubt, head));
        for difference in &comparison.differences {
            let wrapped = text::wrap(&format!("    {}", difference.line()), look.columns(), 6);
            lines.extend(wrapped.iter().map(|line| look.paint(Tone::Doubt, line)));
        }
    }
    for metric in comparison
        .metrics
        .iter()
        .filter(|m| m.rows.iter().any(|r| r.cells.iter().any(Option::is_some)))
    {
        lines.push(String::new());
        lines.extend(tables(metric, comparison.runs.len(), look));
    }
    lines.push(String::new());
    let legend =
        "  changes are against A; ? the 95 % intervals overlap; * few samples for this percentile";
    lines.extend(
        text::wrap(legend, look.columns(), 4).iter().map(|line| look.paint(Tone::Faint, line)),
    );
    lines.join("\n") + "\n"
}

/// `A`, `B`, … `Z`, `A1`, …
fn letters() -> impl Iterator<Item = String> {
    (0_u32..).flat_map(|round| {
        ('A'..='Z').map(
            move |letter| if round == 0 { letter.to_string() } else { format!("{letter}{round}") },
        )
    })
}

fn tables(metric: &ComparedMetric, runs: usize, look: &Look<'_>) -> Vec<String> {
    let better = match metric.better {
        Better::Higher => "(higher is better)",
        Better::Lower => "(lower is better)",
    };
    let mut lines = vec![format!(
        "  {} {}",
        look.paint(Tone::Strong, &metric.name),
        look.paint(Tone::Faint, better)
    )];
    let beside = ((look.columns() - 2 - LABEL - VALUE) / (VALUE + CHANGE)).max(1);
    let others: Vec<usize> = (1..runs).collect();
    for chunk in others.chunks(beside) {
        lines.extend(table(metric, chunk, look));
    }
    lines
}

fn table(metric: &ComparedMetric, others: &[usize], look: &Look<'_>) -> Vec<String> {
    let names: Vec<String> =
        letters().take(others.last().map_or(1, |last| last + 1)).map(|l| format!("{l} ")).collect();
    let column = |name, width| Column { group: "", name, width, left: false };
    let mut columns = vec![
        Column { group: "", name: "stage", width: LABEL, left: true },
        column(&names[0], VALUE),
    ];
    for run in others {
        columns.extend([column(&names[*run], VALUE), column("change", CHANGE)]);
    }
    let rows = metric.rows.iter().map(|row| {
        let cell = |run: usize| row.cells.get(run).and_then(Option::as_ref);
        let mut cells = vec![Cell::new(text::shown(&row.label, false)), value(metric, cell(0))];
        for run in others {
            cells.extend([value(metric, cell(*run)), change(metric, cell(*run))]);
        }
        cells
    });
    Grid { head: Tone::Faint, rows: rows.collect(), columns }.lines(look)
}

fn value(metric: &ComparedMetric, cell: Option<&ComparedCell>) -> Cell {
    let Some(cell) = cell else { return Cell::new(format!("{NONE} ")) };
    let scale = if metric.key.ends_with("_ns") { 1e6 } else { 1.0 };
    let mark = if cell.low_samples { "*" } else { " " };
    Cell::new(format!("{}{mark}", text::fit(cell.value / scale, VALUE - 2)))
}

fn change(metric: &ComparedMetric, cell: Option<&ComparedCell>) -> Cell {
    let Some((cell, change)) = cell.and_then(|cell| Some((cell, cell.change?))) else {
        return Cell::new(NONE);
    };
    let percent = change * 100.0;
    let shown = if percent.abs() < 999.95 {
        format!("{percent:+.1} %")
    } else {
        format!("×{}", text::fit(change + 1.0, 6))
    };
    if change == 0.0 {
        return Cell::new("=");
    }
    if cell.apart == Some(false) {
        return Cell::painted(format!("{shown}?"), Tone::Faint);
    }
    let good = match metric.better {
        Better::Higher => change > 0.0,
        Better::Lower => change < 0.0,
    };
    Cell::painted(shown, if good { Tone::Good } else { Tone::Bad })
}
