//! The report's table of energy, costs and readers.

use crate::economy::told;
use crate::report::tables::{Cell, Head, Table};
use crate::summary::Summary;

/// One line a stage; without rows where no stage has a figure.
pub(crate) fn table(summary: &Summary, names: &[String]) -> Table {
    let told = told(summary);
    let mut columns = vec![Head::text("stage")];
    columns.extend(told.iter().map(|column| Head::new(column.long)));
    let rows = summary.stages.iter().filter(|_| !told.is_empty()).map(|stage| {
        let name = names.get(stage.index as usize).unwrap_or(&stage.label);
        let mut row = vec![Cell::level(name, stage.level)];
        row.extend(told.iter().map(|c| Cell::number(stage.economy.as_ref().and_then(c.of))));
        row
    });
    Table {
        name: "energy and costs",
        caption: crate::economy::notes(summary).join(" "),
        pinned: true,
        sortable: true,
        rows: rows.collect(),
        columns,
        ..Table::default()
    }
}
