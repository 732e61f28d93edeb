//! The report's table of where the time went.

use crate::charts::{count, number};
use crate::report::tables::{Cell, Head, Table};
use crate::summary::Summary;
use crate::time_split::{PARTS, STATISTICS, SUM};

/// The definition of each of [`PARTS`], in their order.
const TERMS: [&str; PARTS.len()] = ["client-wait", "network", "queue", "prefill", "decode", "rest"];

/// A row for the means and one for the medians of each stage that tells; no row when none does.
pub(crate) fn table(summary: &Summary, names: &[String]) -> Table {
    let mut rows = Vec::new();
    for stage in &summary.stages {
        let Some(split) = &stage.time_split else { continue };
        let label = names.get(stage.index as usize).unwrap_or(&stage.label);
        for (statistic, of) in STATISTICS {
            let ms = |value: f64| Cell::figure(number(value / 1e6), value / 1e6, "", String::new());
            let told = format!(
                "{} of {} completed requests carry the server's own timings",
                count(split.requests),
                count(split.completed)
            );
            let mut row = vec![
                Cell::text(label.clone()),
                Cell::text(statistic),
                Cell::figure(count(split.requests), split.requests as f64, "", told),
            ];
            row.extend(PARTS.iter().chain([&SUM]).map(|part| ms(of((part.of)(split)))));
            row.push(ms(of(split.client_decode_ns)));
            rows.push(row);
        }
    }
    let mut columns = vec![Head::text("stage"), Head::text("of"), Head::new("n")];
    columns.extend(PARTS.iter().zip(TERMS).map(|(part, term)| Head::term(part.name, term)));
    columns.push(Head::titled(
        SUM.short,
        "E2E latency from schedule: what the parts add up to, in the mean",
    ));
    columns.push(Head::titled(
        "client's decode",
        "last token − first token as the client saw them; in no sum",
    ));
    Table {
        name: "where the time went",
        caption: "Milliseconds, of the completed requests behind the figures above whose answers carry the server's own timings. Means add up, medians do not.".into(),
        columns,
        rows,
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::definitions::definition;

    #[test]
    fn every_part_is_defined() {
        for term in TERMS {
            assert!(!definition(term).is_empty(), "{term}");
        }
    }
}
