//! The report's table of energy, costs and readers.

use crate::economy::told;
use crate::report::tables::{Cell, Head, Table};
use crate::summary::Summary;

/// One line a stage; without rows where no stage has a figure.
pub(crate) fn table(summary: &Summary, names: &[String]) -> Table {
    let told = told(summary);
    let mut groups = vec![Head::new("")];
    groups.extend(
        told.chunk_by(|a, b| a.group == b.group)
            .map(|same| Head::new(same[0].group).over(same.len() as u32)),
    );
    let mut columns = vec![Head::text("stage")];
    columns.extend(told.iter().map(|column| Head::titled(column.name, column.long)));
    let rows = summary.stages.iter().filter(|_| !told.is_empty()).map(|stage| {
        let name = names.get(stage.index as usize).unwrap_or(&stage.label);
        let mut row = vec![Cell::level(name, stage.level)];
        row.extend(told.iter().map(|c| Cell::number(stage.economy.as_ref().and_then(c.of))));
        row
    });
    Table {
        name: "energy and costs",
        caption: crate::economy::notes(summary).join(" "),
        groups,
        rows: rows.collect(),
        columns,
        ..Table::default()
    }
}
