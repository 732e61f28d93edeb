//! A capacity search: its answer, and a line for each probe.

use vllm_bench_record::{Probe, ProbeOutcome};

use crate::search::{basis, figure, outcome, sentence};
use crate::summary::Summary;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

/// Nothing without a search.
pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let Some(search) = &summary.run.search else { return Vec::new() };
    let mut lines = Vec::new();
    let mut say = |text: &str, tone| {
        let wrapped = text::wrap(&format!("  {}", text::shown(text, false)), look.columns(), 4);
        lines.extend(wrapped.iter().map(|line| look.paint(tone, line)));
    };
    say(&sentence(search, &summary.run.slo), Tone::Strong);
    say(&basis(search), Tone::Faint);
    let rows: Vec<Vec<Cell>> =
        (1..).zip(&search.probes).flat_map(|(n, probe)| rows(n, probe)).collect();
    if !rows.is_empty() {
        let columns = vec![
            Column { group: "", name: "probe", width: 6, left: false },
            Column { group: "", name: " load", width: 13, left: true },
            Column { group: "", name: "outcome", width: 12, left: true },
            Column { group: "", name: "objectives", width: look.columns() - 33, left: true },
        ];
        lines.extend(Grid { head: Tone::Faint, columns, rows }.lines(look));
    }
    lines
}

/// A line an objective; the first says which probe it is.
fn rows(number: usize, probe: &Probe) -> Vec<Vec<Cell>> {
    let tone = match probe.outcome {
        ProbeOutcome::Holds => Tone::Good,
        ProbeOutcome::Fails => Tone::Bad,
        ProbeOutcome::Unclear => Tone::Doubt,
    };
    let again = if probe.confirms { " again" } else { "" };
    let first = [
        Cell::new(number.to_string()),
        Cell::new(format!(" {}", probe.level.with_unit())),
        Cell::painted(format!("{}{again}", outcome(probe.outcome)), tone),
    ];
    let mut objectives =
        probe.objectives.iter().map(|found| Cell::new(text::shown(&figure(found), false)));
    let head = objectives.next().unwrap_or_else(|| Cell::new(NONE));
    let more = objectives.map(|cell| vec![Cell::new(""), Cell::new(""), Cell::new(""), cell]);
    std::iter::once(first.into_iter().chain([head]).collect()).chain(more).collect()
}
