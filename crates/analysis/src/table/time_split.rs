//! Where the time went: a line for the means and, where answers tell, one for the medians of each stage.

use crate::summary::Summary;
use crate::table::grid::{Cell, Column, Grid};
use crate::table::{Look, Tone};
use crate::text::{self, NONE};
use crate::time_split::{PARTS, SUM, Statistic, TimeSplit, UNEQUAL, notes};

/// Nothing when no stage tells.
pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let told = summary.stages.iter().filter_map(|s| Some((s.label.as_str(), s.time_split?)));
    let rows: Vec<Vec<Cell>> = told.flat_map(|(label, split)| stage(label, &split)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut columns = vec![
        Column { group: "", name: "stage", width: 11, left: true },
        Column { group: "", name: "", width: 5, left: true },
        Column { group: "", name: "n", width: 6, left: false },
    ];
    columns.extend(PARTS.iter().chain([&SUM]).map(|part| Column {
        group: "where the time went, ms",
        name: part.short,
        width: 8,
        left: false,
    }));
    let mut lines = Grid { head: Tone::Strong, columns, rows }.lines(look);
    let columns = "network: and front end, both ways; queue, prefill and decode by the server; rest: \
                   what does not add up; E2E from schedule.";
    for note in std::iter::once(columns.to_owned()).chain(notes(summary)) {
        let wrapped = text::wrap(&format!("  {note}"), look.columns(), 4);
        lines.extend(wrapped.iter().map(|line| look.paint(Tone::Faint, line)));
    }
    lines
}

fn stage(label: &str, split: &TimeSplit) -> Vec<Vec<Cell>> {
    let row = |(at, (name, of)): (usize, Statistic)| {
        let (label, n) = match at {
            0 => (text::shown(label, false), requests(split)),
            _ => Default::default(),
        };
        let ms = |ns: Option<f64>| ns.map_or_else(|| NONE.into(), |ns| text::fit(ns / 1e6, 7));
        let mut cells = vec![Cell::new(label), Cell::new(name), Cell::new(n)];
        let parts = PARTS.iter().chain([&SUM]);
        cells.extend(parts.map(|part| Cell::new(ms(of((part.of)(split))))));
        cells
    };
    split.statistics().enumerate().map(row).collect()
}

/// How many it is of, marked where the server's part is of others too.
fn requests(split: &TimeSplit) -> String {
    match split.difference() {
        None => text::fit_count(split.requests, 5),
        Some(_) => format!("{}{UNEQUAL}", text::fit_count(split.requests, 4)),
    }
}
