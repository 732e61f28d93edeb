//! Energy, costs and readers: a line a stage.

use crate::economy::{notes, told};
use crate::summary::Summary;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

/// Nothing where no stage has a figure.
pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let told: Vec<_> = told(summary).into_iter().filter(|c| c.narrow).collect();
    if told.is_empty() {
        return Vec::new();
    }
    let mut columns = vec![Column { group: "", name: "stage", width: 13, left: true }];
    columns.extend(told.iter().map(|c| Column {
        group: c.group,
        name: c.name,
        width: 7,
        left: false,
    }));
    let rows = summary.stages.iter().map(|stage| {
        let mut row = vec![Cell::new(text::shown(&stage.label, false))];
        row.extend(told.iter().map(|column| {
            let value = stage.economy.as_ref().and_then(column.of);
            Cell::new(value.map_or_else(|| NONE.into(), |v| text::fit(v, 6)))
        }));
        row
    });
    let rows = rows.collect();
    let mut lines = Grid { head: Tone::Faint, columns, rows }.lines(look);
    for note in notes(summary) {
        let wrapped = text::wrap(&format!("  {note}"), look.columns(), 4);
        lines.extend(wrapped.iter().map(|line| look.paint(Tone::Faint, line)));
    }
    lines
}
